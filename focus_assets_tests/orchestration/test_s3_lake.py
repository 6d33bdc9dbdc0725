"""The chain with its lake and its destinations in buckets: the same bytes, the same gates, no secret anywhere."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import polars as pl
import pytest

from focus_assets.definitions import build_definitions
from focus_assets.lake import StoreError
from focus_assets.orchestration.in_process import CHAIN, RunFailed
from focus_assets.orchestration.jobs import CHAIN_JOB
from focus_assets.orchestration.s3 import S3LakeResource
from focus_assets_tests.orchestration.company import Company, why
from focus_assets_tests.s3_server import REGION, S3Bucket

pytestmark = pytest.mark.s3

DAYS = ("2026-08-01", "2026-08-03")


def in_bucket(company: Company, bucket: str, s3: Mapping[str, str]) -> Company:
    """The company with its lake and destinations below a bucket; its events stay in a folder."""
    company.configuration["lake"] = {"url": f"s3://{bucket}/lake", "s3": dict(s3)}
    for destination in company.configuration["destinations"]:
        destination |= {"url": f"s3://{bucket}/to/{destination['name']}", "s3": dict(s3)}
    return company


@pytest.fixture
def remote(company: Company, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> Company:
    """The company in a bucket of its own; keys from the environment, everything else from the settings."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_bucket.options["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_bucket.options["secret_access_key"])
    return in_bucket(company, s3_bucket.name, {"endpoint_url": s3_bucket.server.endpoint, "region": REGION})


def records(company: Company) -> dict[tuple[str, Any], Any]:
    lake = company.lake
    return {(dataset, day): lake.record(dataset, day) for dataset in CHAIN for day in lake.days(dataset)}


def test_a_range_in_a_bucket_is_byte_for_byte_what_it_is_in_a_folder(
    remote: Company, s3_bucket: S3Bucket, tmp_path_factory: pytest.TempPathFactory
) -> None:
    local = Company(tmp_path_factory.mktemp("local"))
    local.usage_of_ten_days()
    local.run_and_deliver(*DAYS)
    outcome = remote.run_and_deliver(*DAYS)

    assert isinstance((remote.chain.definitions.resources or {})["lake"], S3LakeResource)
    assert len(records(remote)) == 3 * len(CHAIN)
    assert records(remote) == records(local)
    assert [(d["destination"], d["result"]) for d in outcome.deliveries] == [
        ("everyone", "delivered"),
        ("only-bob", "delivered"),
    ]
    for destination in ("everyone", "only-bob"):
        assert remote.rows_delivered(destination).equals(local.rows_delivered(destination))
    assert not (remote.root / "lake").exists()
    assert not (remote.root / "bucket").exists()
    keys = {
        key["Key"] for key in s3_bucket.server.client().list_objects_v2(Bucket=s3_bucket.name)["Contents"]
    }
    assert {key.split("/")[0] for key in keys} == {"lake", "to"}


def test_a_restated_day_in_a_bucket_is_delivered_again_once(remote: Company) -> None:
    remote.run_and_deliver(*DAYS)
    remote.event("2026-08-02T12:00:00Z", "ann-1", tokens=1000, model="small")
    remote.run("2026-08-02")
    with pytest.raises(RunFailed, match="focus-assets materialize --from 2026-08-03 --to 2026-08-03"):
        remote.deliver()
    assert remote.delivered() == {"everyone": ["delivered"], "only-bob": ["delivered"]}

    remote.run("2026-08-03")
    remote.deliver()
    assert remote.deliver().deliveries == []
    assert remote.tick().run_requests == []
    assert remote.delivered() == {
        "everyone": ["delivered", "delivered"],
        "only-bob": ["delivered", "unchanged"],
    }
    billed = remote.rows_delivered("everyone").filter(pl.col("x_CustomerKey") == "ann")["BilledCost"].sum()
    assert billed == remote.cost("ann", *DAYS)


def test_keys_stand_in_no_run_no_log_and_no_object(
    remote: Company, s3_bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        if s3_bucket.server.kind != "versitygw":  # which would refuse keys it does not know
            monkeypatch.setenv(name, f"canary-of-{name}")
    secret = "canary-of-" if s3_bucket.server.kind != "versitygw" else s3_bucket.options["secret_access_key"]
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        remote.instance = instance
        # A refusal says more than a success, and is where keys leak.
        remote.configuration["destinations"][1]["url"] = "s3://no-such-bucket/only-bob"
        with pytest.raises(RunFailed) as failed:
            remote.run_and_deliver("2026-08-01")
        assert "destination only-bob (s3://no-such-bucket/only-bob) refused" in str(failed.value)
        assert secret not in str(failed.value)
        assert all(secret not in json.dumps(run.run_config) for run in instance.get_runs())
        assert all(secret not in json.dumps(dict(run.tags)) for run in instance.get_runs())
    written = [path for path in remote.root.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in written)
    for path in written:
        assert secret.encode() not in path.read_bytes(), path
    client = s3_bucket.server.client()
    for key in client.list_objects_v2(Bucket=s3_bucket.name)["Contents"]:
        assert secret.encode() not in client.get_object(Bucket=s3_bucket.name, Key=key["Key"])["Body"].read()


@dataclass(frozen=True)
class Guarded:
    """moto with its IAM switched on: a bucket that only a role may use, and keys that may only assume the role."""

    endpoint: str
    bucket: str
    role: str
    keys: Mapping[str, str]


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    # A process of its own: its switch is one for all servers of a process.
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield _guard(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait()


def _guard(endpoint: str) -> Guarded:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=2).close()
            break
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    anyone = {"endpoint_url": endpoint, "region_name": REGION} | {
        "aws_access_key_id": "nobody",
        "aws_secret_access_key": "nothing",
    }
    iam = boto3.client("iam", **anyone)
    boto3.client("s3", **anyone).create_bucket(Bucket="guarded")
    iam.create_user(UserName="runner")
    iam.put_user_policy(
        UserName="runner", PolicyName="assume", PolicyDocument=_policy("sts:AssumeRole", Resource="*")
    )
    keys = iam.create_access_key(UserName="runner")["AccessKey"]
    trust = _policy("sts:AssumeRole", Principal={"AWS": "*"})
    role = iam.create_role(RoleName="writer", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="writer", PolicyName="write", PolicyDocument=_policy("s3:*", Resource="*"))
    switch = urllib.request.Request(
        f"{endpoint}/moto-api/reset-auth", data=b"0", method="POST", headers={"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(switch, timeout=10).close()
    return Guarded(
        endpoint,
        "guarded",
        role,
        {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"]},
    )


def _policy(action: str, **rest: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **rest}]})


def test_the_role_of_the_settings_is_assumed_for_the_lake_and_for_every_destination(
    company: Company, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in guarded.keys.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", guarded.endpoint)
    place = {"endpoint_url": guarded.endpoint, "region": REGION}
    in_bucket(company, guarded.bucket, place)
    with pytest.raises(
        StoreError, match=f"s3://{guarded.bucket}/lake: the service refuses these credentials"
    ):
        company.run("2026-08-01")

    in_bucket(company, guarded.bucket, {**place, "role_arn": guarded.role})
    company.run_and_deliver("2026-08-01")
    assert company.delivered() == {"everyone": ["delivered"], "only-bob": ["delivered"]}
    assert company.rows_delivered("everyone").height == 5

    for destination in company.configuration["destinations"]:
        del destination["s3"]["role_arn"]
        destination["url"] += "/elsewhere"
    with pytest.raises(RunFailed, match=r"destination everyone .* refused: .* refuses these credentials"):
        company.deliver()


def test_a_profile_that_there_is_not_is_an_error_that_names_it(
    company: Company, s3_bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    (tmp_path / "aws-credentials").write_text(
        f"[finops]\naws_access_key_id = {s3_bucket.options['access_key_id']}\n"
        f"aws_secret_access_key = {s3_bucket.options['secret_access_key']}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    place = {"endpoint_url": s3_bucket.server.endpoint, "region": REGION}
    in_bucket(company, s3_bucket.name, {**place, "profile": "finop"})
    with pytest.raises(StoreError, match="profile 'finop' gives no keys"):
        company.run("2026-08-01")
    launched = build_definitions(company.settings).resolve_job_def(CHAIN_JOB)
    result = launched.execute_in_process(
        instance=company.instance, partition_key="2026-08-01", raise_on_error=False
    )
    assert why(result).startswith(
        "s3.profile 'finop' gives no keys (The config profile (finop) could not be found)"
    )

    in_bucket(company, s3_bucket.name, {**place, "profile": "finops"})
    company.run("2026-08-01")
    assert len(records(company)) == len(CHAIN)
