"""``focus-assets destination`` as a person meets it, on a folder and on an S3 server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from focus_assets.commands.destination import FOUND_SOMETHING, command
from focus_assets.lake import StoreError, open_store
from focus_assets.settings.aws import BucketFacts
from focus_assets.settings.s3 import S3Settings
from focus_assets_tests.s3_server import REGION, S3Bucket

US = "arn:aws:iam::111122223333:role/focus-assets"


def configured(folder: Path, **destination: Any) -> Path:
    config = folder / "focus.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "start_date": "2026-08-01",
                "defaults": {"provider_name": "Example"},
                "lake": {"url": "lake"},
                "destinations": [{"name": "acme", **destination}],
            }
        )
    )
    return config


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--config", str(config)])


def test_a_folder_is_tried_out_and_left_empty(tmp_path: Path) -> None:
    done = run(configured(tmp_path, url="bucket"), "test", "acme")
    assert done.exit_code == 0, done.output
    assert [line.split(":")[0].removeprefix("ok     ") for line in done.output.splitlines()] == [
        "write",
        "read",
        "list",
        "create if absent",
        "replace if unchanged",
        "remove",
    ]
    assert {path.name for path in (tmp_path / "bucket").rglob("*")} <= {".put.lock"}


def test_a_file_in_the_way_is_told_and_exits_1(tmp_path: Path) -> None:
    (tmp_path / "bucket").write_text("in the way")
    done = run(configured(tmp_path, url="bucket"), "test", "acme")
    assert done.exit_code == FOUND_SOMETHING
    assert "wrong  write: " in done.output


def test_a_destination_in_the_lake_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    done = run(configured(tmp_path, url="lake/x"), "test", "acme")
    assert "lies within the lake" in str(done.exception)
    assert not (tmp_path / "lake").exists()


@pytest.fixture
def environment(s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> S3Bucket:
    for name, value in s3_bucket.server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_bucket


@pytest.mark.s3
def test_a_bucket_tells_who_writes_its_region_and_how_it_encrypts(
    environment: S3Bucket, tmp_path: Path
) -> None:
    s3 = {"endpoint_url": environment.server.endpoint, "region": REGION}
    done = run(configured(tmp_path, url=f"{environment.url}/focus", s3=s3), "test", "acme")
    assert done.exit_code == 0, done.output
    assert f"ok     region: {REGION}" in done.output
    assert "ok     written as: " in done.output
    assert "ok     encryption: " in done.output
    assert list(open_store(environment.url, environment.options).list()) == []


def test_the_region_is_told_also_to_who_may_list_a_prefix_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As S3 answers HeadBucket under the policy that is printed: refused, with the region in a header."""
    from botocore.exceptions import ClientError
    from botocore.session import Session

    class Refusing:
        def head_bucket(self, Bucket: str) -> None:  # noqa: N803
            headers = {"x-amz-bucket-region": "eu-central-1"} if Bucket == "theirs" else {}
            answer: Any = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPHeaders": headers}}
            raise ClientError(answer, "HeadBucket")

    monkeypatch.setattr(Session, "create_client", lambda *_, **__: Refusing())
    assert BucketFacts(S3Settings(region="us-east-1"), "theirs").region() == "eu-central-1"
    with pytest.raises(StoreError, match="s3 does not answer head_bucket"):
        BucketFacts(S3Settings(region="us-east-1"), "elsewhere").region()


def test_a_service_that_breaks_off_is_an_error_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such an error of botocore has a response, and it is None."""
    from botocore.exceptions import ConnectionClosedError
    from botocore.session import Session

    class Closing:
        def head_bucket(self, Bucket: str) -> None:  # noqa: N803
            raise ConnectionClosedError(endpoint_url="https://s3.example")

    monkeypatch.setattr(Session, "create_client", lambda *_, **__: Closing())
    with pytest.raises(StoreError, match="s3 does not answer head_bucket: Connection was closed"):
        BucketFacts(S3Settings(region="us-east-1"), "theirs").region()


@pytest.mark.s3
def test_encryption_that_is_asked_for_is_sent_and_seen(environment: S3Bucket, tmp_path: Path) -> None:
    if environment.server.kind == "versitygw":
        pytest.skip("versitygw does not encrypt")
    key = "arn:aws:kms:us-east-1:123456789012:key/0000"
    for asked, said in (
        ({"encryption": "sse-s3"}, "encryption: AES256"),
        ({"encryption": "sse-kms", "kms_key": key}, f"encryption: aws:kms with {key}"),
    ):
        s3 = {"endpoint_url": environment.server.endpoint, "region": REGION, **asked}
        done = run(configured(tmp_path, url=f"{environment.url}/focus", s3=s3), "test", "acme")
        assert done.exit_code == 0, done.output
        assert f"ok     {said}" in done.output


@pytest.mark.s3
def test_a_bucket_that_is_not_there_is_told_with_what_to_do(environment: S3Bucket, tmp_path: Path) -> None:
    s3 = {"endpoint_url": environment.server.endpoint, "region": REGION}
    done = run(configured(tmp_path, url="s3://no-such-bucket-here/x", s3=s3), "test", "acme")
    assert done.exit_code == FOUND_SOMETHING
    assert "the bucket 'no-such-bucket-here' does not exist" in done.output


def test_a_policy_is_printed_as_json_to_paste(tmp_path: Path) -> None:
    config = configured(tmp_path, url="s3://their-bucket/from-us")
    printed = json.loads(run(config, "policy", "acme", "--principal", US).output)
    assert printed["Statement"][1]["Resource"] == "arn:aws:s3:::their-bucket/from-us/*"
    assert "give --principal" in str(run(config, "policy", "acme").exception)
    assert "known destinations: acme" in str(run(config, "policy", "nobody").exception)
