"""The chain with its events, its lake and its destinations on Google Cloud Storage or Azure: what it is in folders."""

from __future__ import annotations

from typing import Any

import pytest

from focus_assets.lake import open_store
from focus_assets.orchestration.in_process import CHAIN
from focus_assets_tests.orchestration.company import Company

DAY = "2026-08-01"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Company:
    made = Company(tmp_path_factory.mktemp("local"))
    made.usage_of_ten_days()
    made.run_and_deliver(DAY)
    return made


@pytest.fixture
def remote(company: Company, bucket_elsewhere: str) -> Company:
    """The company in a bucket or container of its own."""
    url = bucket_elsewhere
    events = open_store(f"{url}/events")
    for file in (company.root / "events").iterdir():
        events.put(file.name, file.read_bytes())
        file.unlink()
    company.configuration["source"]["cloudevents"]["url"] = f"{url}/events"
    company.configuration["lake"] = {"url": f"{url}/lake"}
    for destination in company.configuration["destinations"]:
        destination["url"] = f"{url}/to/{destination['name']}"
    return company


def digests(company: Company) -> dict[tuple[str, Any], str]:
    """What the lake holds; what it was read from differs, for a bucket's files have other versions than a folder's."""
    lake, found = company.lake, {}
    for dataset in CHAIN:
        for day in lake.days(dataset):
            record = lake.record(dataset, day)
            assert record is not None
            found[dataset, day] = record.sha256
    return found


def test_a_day_and_its_delivery_are_what_they_are_in_folders(remote: Company, local: Company) -> None:
    outcome = remote.run_and_deliver(DAY)

    assert [(d["destination"], d["result"]) for d in outcome.deliveries] == [
        ("everyone", "delivered"),
        ("only-bob", "delivered"),
    ]
    assert len(digests(remote)) == len(CHAIN)
    assert digests(remote) == digests(local)
    assert remote.rows_delivered("everyone").equals(local.rows_delivered("everyone"))
    assert remote.deliver().deliveries == []
    assert not (remote.root / "lake").exists()
    assert not (remote.root / "bucket").exists()
