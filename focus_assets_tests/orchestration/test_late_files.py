"""Event files that came or changed after their days were read: which days are asked for again, through the sensor."""

from __future__ import annotations

import datetime as dt
import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg

from focus_assets.cloudevents.files import Compression, EventFile, Form
from focus_assets.lake import open_store
from focus_assets.orchestration.in_process import CHAIN
from focus_assets.orchestration.jobs import CHAIN_JOB
from focus_assets.orchestration.late_files_decisions import (
    BYTES_A_TICK,
    LAG,
    range_to_request,
    request_name,
    worth_reading,
)
from focus_assets_tests.orchestration.company import Company, why

NOW = dt.datetime(2026, 8, 20, tzinfo=dt.UTC)


def day(number: int) -> dt.date:
    return dt.date(2026, 8, number)


def file(path: str, size: int = 1, rested: dt.timedelta = dt.timedelta(hours=1)) -> EventFile:
    store = open_store("events")
    return EventFile(path, Form.LINES, Compression.NONE, size, NOW - rested, "v", store)


def end_of_month(of: dt.date) -> dt.date:
    return day(31)


def test_a_late_day_is_asked_for_to_the_end_of_its_rating_periods_and_of_the_look_back() -> None:
    read = [day(n) for n in range(1, 31)]
    assert range_to_request([day(3)], read, lambda of: of, 0) == (day(3), day(3))
    assert range_to_request([day(3)], read, lambda of: of, 5) == (day(3), day(8))
    assert range_to_request([day(7), day(3)], read, end_of_month, 5) == (day(3), day(30))
    assert range_to_request([], read, end_of_month, 5) is None


def test_the_same_late_events_are_the_same_request_and_others_another() -> None:
    asked = (day(1), day(2))
    assert request_name(asked, {day(1): "a"}) == request_name(asked, {day(1): "a"})
    assert request_name(asked, {day(1): "a"}) != request_name(asked, {day(1): "b"})


def test_files_are_read_once_they_are_at_rest_and_as_many_as_a_tick_may_take() -> None:
    assert worth_reading([file("growing", rested=LAG - dt.timedelta(seconds=1))], NOW) == []
    huge, small = file("huge", BYTES_A_TICK * 3), file("small", rested=dt.timedelta(days=1))
    assert worth_reading([huge], NOW) == [huge], "one is read, however large"
    assert worth_reading([huge, small], NOW) == [small], "the longest at rest first"


def tick(company: Company) -> Any:
    """One evaluation of the sensor, as the daemon does it."""
    definitions = company.chain.definitions
    with dg.build_sensor_context(
        instance=company.instance,
        definitions=definitions,
        resources={"lake": (definitions.resources or {})["lake"]},
    ) as context:
        return definitions.resolve_sensor_def("late_files_sensor").evaluate_tick(context)


def settle(company: Company) -> None:
    """Every event file has been at rest for an hour, each change a second after the one before."""
    for n, path in enumerate(sorted((company.root / "events").rglob("*.ndjson"))):
        written = time.time() - 3600 + n
        os.utime(path, (written, written + path.stat().st_size / 1e6))


def run_of(company: Company, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    return company.chain.definitions.resolve_job_def(CHAIN_JOB).execute_in_process(
        instance=company.instance, raise_on_error=False, tags=dict(request.tags)
    )


def test_an_event_that_arrives_after_its_day_was_read_is_found_and_its_days_are_run_again(
    tmp_path: Path,
) -> None:
    company = Company(tmp_path)
    company.usage_of_ten_days()
    settle(company)
    company.run("2026-08-01", "2026-08-03")
    assert tick(company).run_requests == []
    cost = company.cost("ann", "2026-08-02")

    company.event("2026-08-02T12:00:00Z", "ann-1", tokens=7, model="small")
    company.line(
        "late/from-the-edge.ndjson", (company.root / "events/2026-08-02.ndjson").read_text().splitlines()[-1]
    )
    growing = tick(company)
    assert growing.run_requests == []
    assert "2 files are read once they are at rest" in growing.skip_message

    settle(company)
    (asked,) = tick(company).run_requests
    assert asked.tags["dagster/asset_partition_range_start"] == "2026-08-02"
    assert asked.tags["dagster/asset_partition_range_end"] == "2026-08-03"
    before = {d: company.lake.records(d, [day(1)])[day(1)] for d in CHAIN}
    result = run_of(company, asked)
    assert result.success, why(result)
    assert company.cost("ann", "2026-08-02") - cost == Decimal("0.71"), "7 tokens and a request"
    assert {d: company.lake.records(d, [day(1)])[day(1)] for d in CHAIN} == before
    after = tick(company)
    assert after.run_requests == []
    assert after.skip_message == "No file is late."


def test_events_of_days_that_were_not_read_yet_ask_for_nothing(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.usage_of_ten_days()
    settle(company)
    assert tick(company).skip_message == "No day was read yet."
    company.run("2026-08-01")
    company.event("2026-08-02T12:00:00Z", "bob", tokens=7, model="small")
    settle(company)
    assert tick(company).run_requests == []


def test_files_in_an_archive_make_no_day_late_and_their_days_are_not_run_without_them(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.usage_of_ten_days()
    settle(company)
    company.run("2026-08-01", "2026-08-03")
    archived = company.root / "events/2026-08-02.ndjson"
    text = archived.read_text()
    archived.unlink()
    assert tick(company).skip_message == "No file is late."

    company.event("2026-08-01T12:00:00Z", "bob", tokens=7, model="small")
    settle(company)
    held = tick(company)
    assert held.run_requests == []
    assert "files that 2026-08-02 were made from are gone" in held.skip_message

    archived.write_text(text)
    settle(company)
    (asked,) = tick(company).run_requests
    assert asked.tags["dagster/asset_partition_range_start"] == "2026-08-01"
