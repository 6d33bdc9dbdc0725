"""How an S3 bucket is reached, and how what is put there is encrypted.

What belongs here: the settings. What does not: keys, which come from the environment (``access``).
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from focus_assets.catalog.models import Entry


class S3Settings(Entry):
    """How an S3 bucket is reached; access keys come from the environment only."""

    endpoint_url: str | None = None
    """Address of an S3 compatible server; AWS where absent."""
    region: str | None = None
    """Region of the bucket; AWS_REGION where absent."""
    profile: str | None = None
    """Profile of the AWS configuration files."""
    role_arn: str | None = None
    """Role to assume."""
    external_id: str | None = None
    """External id that the role asks for."""
    encryption: Literal["sse-s3", "sse-kms"] | None = None
    """How the bucket encrypts what is put there; the bucket's own default where absent."""
    kms_key: str | None = None
    """Id or ARN of the key for sse-kms; AWS's own for S3 where absent."""

    @model_validator(mode="after")
    def _key_has_a_use(self) -> Self:
        if self.kms_key is not None and self.encryption != "sse-kms":
            raise ValueError("has a kms_key without encryption: sse-kms; set it, or leave kms_key out")
        return self

    @property
    def options(self) -> dict[str, str]:
        """What an object store client needs to find the bucket; credentials are not among it."""
        found = {"endpoint": self.endpoint_url, "region": self.region}
        if self.endpoint_url and self.endpoint_url.startswith("http://"):
            found["allow_http"] = "true"
        if self.encryption is not None:
            found["server_side_encryption"] = {"sse-s3": "AES256", "sse-kms": "aws:kms"}[self.encryption]
            found["sse_kms_key_id"] = self.kms_key
        return {name: value for name, value in found.items() if value}
