"""What the owner of a bucket has to allow so that deliveries reach it: least privilege, as policy documents.

What belongs here: the documents, as data. What does not: printing them, and asking a service for anything.

A delivery writes and reads objects below its prefix, lists that prefix, and removes what it replaced; nothing else.
Where versions are kept nothing is removed but the object that ``focus-assets destination test`` tries a bucket with.
"""

from __future__ import annotations

import re
from typing import Any, Final

from focus_assets.delivery.probe import PROBE
from focus_assets.errors import FocusAssetsError
from focus_assets.lake.urls import BucketLocation, parse_url
from focus_assets.settings import Destination

_ARN: Final = re.compile(r"^arn:(aws[a-z-]*):(iam|sts)::(\d{12}):(root|(user|role|assumed-role)/.+)$")
_GIVE: Final = "give --principal with the ARN of the IAM role or user that this program runs as"
_KEY_ARN: Final = re.compile(r"^arn:aws[a-z-]*:kms:")


class NoPolicy(FocusAssetsError):
    """A policy cannot be written for this destination, or not without knowing more."""


def bucket_policy(destination: Destination, principal: str | None = None) -> dict[str, Any]:
    """The bucket policy for whoever writes: the destination's role, or ``principal``, an ARN of IAM.

    Raises:
        NoPolicy: no bucket on S3, or nobody to allow.
    """
    who = destination.s3.role_arn or principal
    if who is None:
        raise NoPolicy(
            f"destination {destination.name} has no s3.role_arn, so the policy has to name who writes: {_GIVE}"
        )
    partition, account = _parts(who)
    allowed = _statements(destination, partition)
    for statement in allowed:
        statement["Principal"] = {"AWS": who}
        statement.setdefault("Condition", {}).setdefault("StringEquals", {})["aws:PrincipalAccount"] = account
    return {"Version": "2012-10-17", "Statement": allowed}


def role_policy(destination: Destination) -> dict[str, Any]:
    """The permissions of the role that a destination names, for its owner to attach to that role.

    Raises:
        NoPolicy: no bucket on S3, or no role.
    """
    partition, _ = _parts(_role(destination))
    allowed = _statements(destination, partition)
    key = destination.s3.kms_key
    if destination.s3.encryption == "sse-kms" and key is not None:
        if not _KEY_ARN.match(key):
            raise NoPolicy(
                f"destination {destination.name}: s3.kms_key {key!r} is no ARN, and a policy names keys by ARN"
            )
        allowed.append(
            {
                "Sid": "FocusAssetsEncrypts",
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": key,
            }
        )
    return {"Version": "2012-10-17", "Statement": allowed}


def trust_policy(destination: Destination, principal: str | None) -> dict[str, Any]:
    """Who may assume the role that a destination names: ``principal`` alone, and with the external id if there is one.

    Raises:
        NoPolicy: no role, or nobody to trust.
    """
    _role(destination)
    if principal is None:
        raise NoPolicy(f"a trust policy has to name who assumes the role: {_GIVE}")
    _, account = _parts(principal)
    equal = {"aws:PrincipalAccount": account}
    if destination.s3.external_id is not None:
        equal["sts:ExternalId"] = destination.s3.external_id
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "FocusAssetsAssumes",
                "Effect": "Allow",
                "Principal": {"AWS": principal},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": equal},
            }
        ],
    }


def _statements(destination: Destination, partition: str) -> list[dict[str, Any]]:
    location = parse_url(destination.url)
    if not isinstance(location, BucketLocation) or location.scheme != "s3":
        raise NoPolicy(
            f"destination {destination.name} is {destination.url}; policies are for s3:// buckets alone"
        )
    bucket, prefix = f"arn:{partition}:s3:::{location.bucket}", location.prefix.strip("/")
    below = f"{prefix}/*" if prefix else "*"
    objects = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
    if destination.mode == "overwrite":
        objects.insert(1, "s3:DeleteObject")
    listing: dict[str, Any] = {
        "Sid": "FocusAssetsLists",
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": bucket,
    }
    if prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": [prefix, below]}}
    allowed = [
        listing,
        {
            "Sid": "FocusAssetsDelivers",
            "Effect": "Allow",
            "Action": objects,
            "Resource": f"{bucket}/{below}",
        },
    ]
    if destination.mode != "overwrite":
        tried = {"Action": "s3:DeleteObject", "Resource": f"{bucket}/{below.removesuffix('*')}{PROBE}"}
        allowed.append({"Sid": "FocusAssetsTries", "Effect": "Allow", **tried})
    return allowed


def _role(destination: Destination) -> str:
    if destination.s3.role_arn is None:
        raise NoPolicy(
            f"destination {destination.name} has no s3.role_arn, so there is no role to write a policy for"
        )
    return destination.s3.role_arn


def _parts(arn: str) -> tuple[str, str]:
    match = _ARN.match(arn)
    if match is None:
        raise NoPolicy(
            f"{arn!r} is no ARN of an IAM role or user, such as arn:aws:iam::111122223333:role/focus-assets"
        )
    return match[1], match[3]
