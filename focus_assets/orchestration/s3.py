"""Lakes on S3: credentials as dagster-aws knows them.

Kept apart because importing dagster-aws takes seconds that a local lake should not cost.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_aws.s3 import S3Resource

from focus_assets.orchestration.resources import LakeResource
from focus_assets.settings import S3Settings, Settings
from focus_assets.settings.access import credential_provider


class S3LakeResource(LakeResource):
    """A lake on S3 with the session of dagster-aws's ``S3Resource``: profile, endpoint, region, assumed role.

    Without a profile and a role, credentials come from the environment.
    """

    s3: dg.ResourceDependency[S3Resource]
    role_arn: str | None = None
    external_id: str | None = None

    def store_options(self) -> Mapping[str, str]:
        """Endpoint and region of the S3Resource, as the object store names them."""
        options = dict(self.options)
        if self.s3.endpoint_url:
            options["endpoint"] = self.s3.endpoint_url
            options["allow_http"] = str(self.s3.endpoint_url.startswith("http://")).lower()
        if self.s3.region_name:
            options["region"] = self.s3.region_name
        return options

    def credential_provider(self) -> Any:
        """The profile's credentials, or those of the role assumed with them; ``None`` for the environment's."""
        return credential_provider(
            S3Settings(
                region=self.s3.region_name,
                profile=self.s3.profile_name,
                role_arn=self.role_arn,
                external_id=self.external_id,
            )
        )


def s3_lake_resource(settings: Settings, views_path: str | None) -> S3LakeResource:
    """The lake of the settings, with an ``S3Resource`` made from ``lake.s3``."""
    s3 = settings.lake.s3
    return S3LakeResource(
        url=settings.lake.url,
        views_path=views_path,
        s3=S3Resource(region_name=s3.region, endpoint_url=s3.endpoint_url, profile_name=s3.profile),
        role_arn=s3.role_arn,
        external_id=s3.external_id,
    )
