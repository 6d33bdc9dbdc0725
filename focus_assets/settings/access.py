"""Opening what the settings name: the lake, and the keys that sign requests to S3.

What belongs here: settings to open stores. What does not: the stores themselves (``lake``), dagster-aws
(``orchestration.s3``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from focus_assets.lake import Lake, ObjectStore, StoreError, open_store
from focus_assets.settings.destinations import Destination
from focus_assets.settings.models import CloudEventsSettings, LakeSettings, Settings
from focus_assets.settings.s3 import S3Settings


def open_lake(settings: Settings) -> Lake:
    """The lake of the settings; nothing is contacted. Raises StoreError for a URL that names no store."""
    return Lake(open_place(settings.lake))


def open_place(place: LakeSettings | Destination | CloudEventsSettings) -> ObjectStore:
    """The folder or bucket prefix that a part of the settings names; nothing is contacted.

    Raises StoreError for a URL that names no store.
    """
    if not place.url.startswith("s3://"):
        return open_store(place.url)
    return open_store(place.url, place.options, credential_provider(place.s3))


def credential_provider(s3: S3Settings) -> Callable[[], Any] | None:
    """Keys of the profile, or of the role assumed with them; ``None`` leaves it to the environment.

    boto3 takes most of a second to import, so it is, only where a profile or a role is set. Raises StoreError for
    a profile that there is not, or that has no keys.
    """
    if s3.profile is None and s3.role_arn is None:
        return None
    import boto3
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
    from obstore.auth.boto3 import Boto3CredentialProvider, StsCredentialProvider

    try:
        session = boto3.Session(profile_name=s3.profile, region_name=s3.region)
        if s3.role_arn is None:
            return Boto3CredentialProvider(session)
    except (BotoCoreError, ValueError) as error:
        raise StoreError(
            f"s3.profile {s3.profile!r} gives no keys ({error}). Name a profile of the AWS configuration files "
            "that has keys, or leave it out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
    assumed: dict[str, Any] = {"RoleArn": s3.role_arn, "RoleSessionName": "focus-assets"}
    if s3.external_id is not None:
        assumed["ExternalId"] = s3.external_id
    return _AssumedKeys(StsCredentialProvider(session, **assumed), s3)


class _AssumedKeys:
    """Keys of the role of ``s3``, as obstore takes them; StoreError where the role is refused.

    botocore gives their expiry in dateutil's UTC, obstore takes datetime's alone and refuses every assumed role
    otherwise.
    """

    def __init__(self, assumed: Any, s3: S3Settings) -> None:
        self.config = assumed.config
        self._assumed, self._s3 = assumed, s3

    def __call__(self) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            keys = self._assumed()
        except (BotoCoreError, ClientError) as error:
            shown = "without an external id" if self._s3.external_id is None else "with s3.external_id"
            raise StoreError(
                f"the role {self._s3.role_arn} cannot be assumed {shown} ({str(error).rstrip('.')}). "
                "Correct s3.role_arn and s3.external_id, or have the role's owner attach the trust policy that "
                "focus-assets destination policy NAME --of trust prints"
            ) from error
        return {**keys, "expires_at": keys["expires_at"].astimezone(dt.UTC)}
