"""The whole chain with its lake and its destinations in a bucket that fails every request once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from focus_assets_tests.faulty_s3 import FaultyS3, Kind, Request
from focus_assets_tests.orchestration.company import Company
from focus_assets_tests.orchestration.test_s3_lake import in_bucket, records
from focus_assets_tests.s3_server import REGION, S3Bucket

pytestmark = pytest.mark.s3

DAYS = ("2026-08-01", "2026-08-02")


@pytest.fixture(autouse=True)
def keys(s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user gives them."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_bucket.options["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_bucket.options["secret_access_key"])


def fail_everything_once(proxy: FaultyS3) -> dict[Kind, int]:
    """One kind after the other, but each conditional put lost; how many there were of each."""
    reads: Iterator[Kind] = itertools.cycle(("500", "truncated", "503", "lost", "unsent"))
    others: Iterator[Kind] = itertools.cycle(("lost", "500", "unsent", "503"))
    proxy.fail_each_once("500", lambda _: True)
    once, counted = proxy.fault, dict[Kind, int]()

    def fault(request: Request) -> Kind | None:
        if once(request) is None:
            return None
        # A conditional put that was done and is tried again meets its own success.
        kind: Kind = "lost" if request.conditional else next(reads if request.method == "GET" else others)
        counted[kind] = counted.get(kind, 0) + 1
        return kind

    proxy.fault = fault
    return counted


def test_days_deliveries_and_a_restated_day_come_out_as_in_a_folder(
    company: Company, proxy: FaultyS3, s3_bucket: S3Bucket, tmp_path_factory: pytest.TempPathFactory
) -> None:
    calm = Company(tmp_path_factory.mktemp("calm"))
    calm.usage_of_ten_days()
    in_bucket(company, s3_bucket.name, {"endpoint_url": proxy.url, "region": REGION})
    counted = fail_everything_once(proxy)

    for each in (calm, company):
        each.run_and_deliver(*DAYS)
        each.event("2026-08-01T12:00:00Z", "ann-1", tokens=1000, model="small")
        each.run(*DAYS)
        each.deliver()

    assert sorted(counted) == ["500", "503", "lost", "truncated", "unsent"]
    assert min(counted.values()) > 50
    proxy.fault = lambda _: None
    assert records(company) == records(calm)
    assert company.delivered() == calm.delivered()
    assert company.delivered()["everyone"] == ["delivered", "delivered"], "no entry of the ledger came twice"
    for destination in ("everyone", "only-bob"):
        assert company.rows_delivered(destination).equals(calm.rows_delivered(destination))
    assert not (Path(company.root) / "lake").exists()
