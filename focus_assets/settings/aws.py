"""What S3 itself says of a destination: who writes, in which region the bucket is, how an object was encrypted.

What belongs here: questions that need boto3, for a person who tries a destination out. What does not: deliveries, which
never ask them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from focus_assets.lake.errors import StoreError
from focus_assets.settings.access import credential_provider
from focus_assets.settings.s3 import S3Settings


class BucketFacts:
    """A bucket as its service describes it, with the keys that ``s3`` names. Each question raises StoreError."""

    def __init__(self, s3: S3Settings, bucket: str) -> None:
        import boto3

        self._settings, self._bucket = s3, bucket
        session: dict[str, Any] = {"region_name": s3.region}
        keys = credential_provider(s3)
        if keys is not None:
            found = keys()
            session |= {
                "aws_access_key_id": found["access_key_id"],
                "aws_secret_access_key": found["secret_access_key"],
                "aws_session_token": found.get("token"),
            }
        self._session = boto3.Session(**session)

    def writer(self) -> str:
        """The ARN of who writes."""
        return str(self._ask("sts", "get_caller_identity")["Arn"])

    def region(self) -> str:
        """The bucket's region; S3 names it also to who may not look at the bucket as a whole.

        A policy that allows to list a prefix alone allows no HeadBucket.
        """
        try:
            answer = self._ask("s3", "head_bucket", Bucket=self._bucket)
        except StoreError as error:
            # Where the connection broke, botocore's error has none, or None.
            refused: dict[str, Any] | None = getattr(error.__cause__, "response", None)
            if named := _region_in(refused or {}):
                return named
            raise
        if named := answer.get("BucketRegion") or _region_in(answer):
            return str(named)
        # S3's oldest region has no name there.
        return (
            self._ask("s3", "get_bucket_location", Bucket=self._bucket)["LocationConstraint"] or "us-east-1"
        )

    def encryption(self, key: str) -> tuple[str | None, str | None]:
        """How an object was encrypted, ``AES256`` or ``aws:kms``, and with which KMS key."""
        answer = self._ask("s3", "head_object", Bucket=self._bucket, Key=key)
        return answer.get("ServerSideEncryption"), answer.get("SSEKMSKeyId")

    def _ask(self, service: str, question: str, **about: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

        endpoint = {"endpoint_url": self._settings.endpoint_url} if service == "s3" else {}
        try:
            answer: dict[str, Any] = getattr(self._session.client(service, **endpoint), question)(**about)
        except (BotoCoreError, ClientError) as error:
            raise StoreError(f"{service} does not answer {question}: {error}") from error
        return answer


def _region_in(answer: Mapping[str, Any]) -> str | None:
    named = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region")
    return None if named is None else str(named)
