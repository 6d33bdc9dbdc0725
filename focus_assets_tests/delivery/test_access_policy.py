"""Policies allow what a delivery does, below its prefix, to who does it, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from focus_assets.delivery.access_policy import NoPolicy, bucket_policy, role_policy, trust_policy
from focus_assets.delivery.probe import PROBE
from focus_assets.settings import Destination

US = "arn:aws:iam::111122223333:role/focus-assets"
THEIRS = "arn:aws:iam::444455556666:role/from-us"
KEY = "arn:aws:kms:eu-central-1:444455556666:key/1234"


def destination(url: str = "s3://their-bucket/from-us", **keys: Any) -> Destination:
    return Destination.model_validate({"name": "acme", "url": url, **keys})


def statements(policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    json.dumps(policy)
    assert policy["Version"] == "2012-10-17"
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def test_a_bucket_allows_one_writer_its_prefix_and_nothing_else() -> None:
    found = statements(bucket_policy(destination(), US))
    assert found["FocusAssetsDelivers"] == {
        "Sid": "FocusAssetsDelivers",
        "Effect": "Allow",
        "Principal": {"AWS": US},
        "Action": ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        "Resource": "arn:aws:s3:::their-bucket/from-us/*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": "111122223333"}},
    }
    assert found["FocusAssetsLists"]["Resource"] == "arn:aws:s3:::their-bucket"
    assert found["FocusAssetsLists"]["Condition"] == {
        "StringLike": {"s3:prefix": ["from-us", "from-us/*"]},
        "StringEquals": {"aws:PrincipalAccount": "111122223333"},
    }
    assert len(found) == 2


@pytest.mark.parametrize("prefix", ["/from-us", ""])
def test_a_destination_that_keeps_versions_needs_no_right_to_delete_but_of_what_tries_it_out(
    prefix: str,
) -> None:
    found = statements(bucket_policy(destination(f"s3://their-bucket{prefix}", mode="new_version"), US))
    assert "s3:DeleteObject" not in found["FocusAssetsDelivers"]["Action"]
    assert found["FocusAssetsTries"] == {
        "Sid": "FocusAssetsTries",
        "Effect": "Allow",
        "Principal": {"AWS": US},
        "Action": "s3:DeleteObject",
        "Resource": f"arn:aws:s3:::their-bucket{prefix}/{PROBE}",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": "111122223333"}},
    }


def test_the_role_of_a_destination_is_who_writes() -> None:
    found = statements(bucket_policy(destination(s3={"role_arn": THEIRS}), US))
    assert found["FocusAssetsDelivers"]["Principal"] == {"AWS": THEIRS}


def test_a_role_gets_the_same_rights_without_a_principal_and_its_key() -> None:
    asked = destination(s3={"role_arn": THEIRS, "encryption": "sse-kms", "kms_key": KEY})
    found = statements(role_policy(asked))
    assert not any("Principal" in statement for statement in found.values())
    assert found["FocusAssetsEncrypts"]["Resource"] == KEY
    assert found["FocusAssetsEncrypts"]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert "FocusAssetsEncrypts" not in statements(role_policy(destination(s3={"role_arn": THEIRS})))


def test_a_role_trusts_one_principal_with_the_external_id() -> None:
    asked = destination(s3={"role_arn": THEIRS, "external_id": "our-agreed-id"})
    [trusted] = statements(trust_policy(asked, US)).values()
    assert trusted["Principal"] == {"AWS": US}
    assert trusted["Condition"] == {
        "StringEquals": {"aws:PrincipalAccount": "111122223333", "sts:ExternalId": "our-agreed-id"}
    }


def test_a_bucket_without_prefix_and_other_partitions() -> None:
    found = statements(
        bucket_policy(destination("s3://whole"), "arn:aws-us-gov:iam::111122223333:user/exporter")
    )
    assert found["FocusAssetsDelivers"]["Resource"] == "arn:aws-us-gov:s3:::whole/*"
    assert "StringLike" not in found["FocusAssetsLists"]["Condition"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: bucket_policy(destination()), "give --principal"),
        (lambda: bucket_policy(destination("gs://bucket/x"), US), "policies are for s3:// buckets alone"),
        (lambda: bucket_policy(destination("/a/folder"), US), "policies are for s3:// buckets alone"),
        (lambda: bucket_policy(destination(), "*"), r"'\*' is no ARN of an IAM role or user"),
        (lambda: role_policy(destination()), "has no s3.role_arn"),
        (lambda: trust_policy(destination(), US), "has no s3.role_arn"),
        (lambda: trust_policy(destination(s3={"role_arn": THEIRS}), None), "give --principal"),
        (
            lambda: role_policy(
                destination(s3={"role_arn": THEIRS, "encryption": "sse-kms", "kms_key": "alias/x"})
            ),
            "is no ARN, and a policy names keys by ARN",
        ),
    ],
)
def test_what_cannot_be_written_says_what_is_missing(make: Any, said: str) -> None:
    with pytest.raises(NoPolicy, match=said):
        make()
