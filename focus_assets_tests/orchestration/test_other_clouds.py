"""The chain with its events, its lake and its destinations on Google Cloud Storage or Azure: what it is in folders."""

from __future__ import annotations

from typing import Any

import pytest

from focus_assets.lake import open_store
from focus_assets.orchestration.in_process import CHAIN
from focus_assets_tests.azure_server import AzureContainer
from focus_assets_tests.gcs_server import GcsBucket
from focus_assets_tests.orchestration.company import Company

DAY = "2026-08-01"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Company:
    made = Company(tmp_path_factory.mktemp("local"))
    made.usage_of_ten_days()
    made.run_and_deliver(DAY)
    return made


@pytest.fixture(params=["gcs", pytest.param("azure", marks=pytest.mark.azure)])
def remote(request: pytest.FixtureRequest, company: Company, monkeypatch: pytest.MonkeyPatch) -> Company:
    """The company in a bucket or container of its own; address and keys are in the environment."""
    if request.param == "gcs":
        google: GcsBucket = request.getfixturevalue("gcs_bucket")
        url, environment = google.url, google.server.environment
    else:
        container: AzureContainer = request.getfixturevalue("azure_container")
        url, environment = container.url, container.environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
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
