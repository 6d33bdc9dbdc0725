"""The events made of real logs hold what the logs hold, and their configurations load."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from focus_assets.catalog.charges import require_known_opening, slices_on
from focus_assets.catalog.models import TieredPrice
from focus_assets.cloudevents import CloudEventsSource
from focus_assets.settings import Settings
from focus_assets_tests.demo.reading import Entry, entries
from focus_assets_tests.real_usage.azure_llm import DAY, LLM_LOGS, REQUESTS, llm_requests, tokens_oracle
from focus_assets_tests.real_usage.logs import log
from focus_assets_tests.real_usage.nasa_ipsc import (
    FIRST_DAY,
    JOBS,
    LAST_DAY,
    NASA_LOG,
    TIERS,
    USERS,
    nasa_jobs,
)
from focus_assets_tests.real_usage.nasa_ipsc_oracle import cost_oracle, graduated_cost, node_seconds_oracle


@pytest.fixture(scope="module")
def nasa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nasa_jobs(log(NASA_LOG), tmp_path_factory.mktemp("nasa"))


@pytest.fixture(scope="module")
def jobs(nasa: Path) -> list[Entry]:
    return list(entries(nasa.parent / "data" / "events"))


def test_every_job_is_one_event_with_an_id_of_its_own(jobs: list[Entry]) -> None:
    assert len(jobs) == JOBS == len({job.event["id"] for job in jobs if job.event})
    assert len({job.event["subject"] for job in jobs if job.event}) == USERS
    assert all(job.is_valid for job in jobs)


def test_node_seconds_by_user_and_day_are_those_of_the_raw_log(jobs: list[Entry]) -> None:
    sums: dict[tuple[str, dt.date], Decimal] = defaultdict(Decimal)
    for job in jobs:
        assert job.event is not None
        day = dt.date.fromisoformat(job.event["time"][:10])
        sums[job.event["subject"], day] += job.event["data"]["node_seconds"]
    assert sums == node_seconds_oracle(log(NASA_LOG))
    assert sum(sums.values()) == 474_238_015


def test_jobs_lie_in_the_file_of_their_utc_day_to_the_morning_of_new_year(jobs: list[Entry]) -> None:
    assert all(job.instant and job.instant.date() == job.file_day for job in jobs)
    assert (jobs[0].file_day, jobs[-1].file_day) == (FIRST_DAY, LAST_DAY)
    assert jobs[0].instant == dt.datetime(1993, 10, 1, 7, 0, 3, tzinfo=dt.UTC), (
        "the log begins at midnight PDT"
    )


def test_unknown_applications_are_null_and_short_jobs_use_nothing(jobs: list[Entry]) -> None:
    data = [job.event["data"] for job in jobs if job.event]
    assert sum(d["application"] is None for d in data) > 0
    assert {d["group"] for d in data} == {"group-1", "group-2"}
    assert sum(d["node_seconds"] == 0 for d in data) == 173


def test_the_log_is_priced_from_its_first_day_for_every_user(nasa: Path) -> None:
    settings = Settings.load(nasa)
    catalog = settings.catalog
    assert len(catalog.customers) == len(catalog.subscriptions) == USERS
    for day in (FIRST_DAY, dt.date(1993, 12, 31), LAST_DAY):
        slices = slices_on(catalog.on(day), day)
        require_known_opening(slices, settings.start_date, assume_zero=False)
        assert len(slices) == USERS
        assert {s.billing.start.date() for s in slices} == {day.replace(day=1)}
    assert settings.now() >= dt.datetime(1994, 1, 2, tzinfo=dt.UTC), "the last day is not over"


def test_the_price_of_the_configuration_is_the_price_of_the_oracle(nasa: Path) -> None:
    price = Settings.load(nasa).catalog.plans[0].rate_cards[0].price
    assert isinstance(price, TieredPrice)
    assert len(price.tiers) == 3
    bounds = [(str(t.up_to_amount) if t.up_to_amount else None, str(t.unit_price)) for t in price.tiers]
    assert tuple(bounds) == TIERS
    assert graduated_cost(Decimal(100_000)) == 40
    assert graduated_cost(Decimal(5_000_000)) == 40 + 1225
    assert graduated_cost(Decimal(5_000_001)) == Decimal("1265.00015")


def test_users_reach_every_tier_within_a_month() -> None:
    costs = cost_oracle(log(NASA_LOG))
    assert {month for _, month in costs} == {"1993-10", "1993-11", "1993-12", "1994-01"}
    assert any(cost > 1265 for cost in costs.values())
    assert any(40 < cost < 1265 for cost in costs.values())
    assert any(0 < cost < 40 for cost in costs.values())


def test_tokens_by_service_and_direction_are_those_of_the_raw_files(tmp_path: Path) -> None:
    csvs = [log(name) for name in LLM_LOGS]
    configuration = llm_requests(csvs, tmp_path)
    found = list(entries(tmp_path / "data" / "events"))
    sums: dict[tuple[str, str, dt.datetime], Decimal] = defaultdict(Decimal)
    for entry in found:
        assert entry.event is not None
        assert entry.instant is not None
        data = entry.event["data"]
        hour = entry.instant.replace(minute=0, second=0, microsecond=0)
        sums[data["service"], data["direction"], hour] += data["tokens"]
    assert sums == tokens_oracle(csvs)
    assert len(found) == 2 * REQUESTS
    assert len({(e.event["source"], e.event["id"]) for e in found if e.event}) == 2 * REQUESTS
    assert [customer.key for customer in Settings.load(configuration).catalog.customers] == ["code", "conv"]


def test_metered_node_seconds_are_those_of_the_raw_log(nasa: Path) -> None:
    metered = _metered(nasa, FIRST_DAY, LAST_DAY)
    by_user_and_day = metered.group_by("subject", "charge_date").agg(pl.col("value").sum())
    assert {(user, day): value for user, day, value in by_user_and_day.iter_rows()} == node_seconds_oracle(
        log(NASA_LOG)
    )


def test_metered_tokens_are_those_of_the_raw_files(tmp_path: Path) -> None:
    csvs = [log(name) for name in LLM_LOGS]
    metered = _metered(llm_requests(csvs, tmp_path), DAY, DAY)
    rows = metered.select("dimensions", "window_from", "value").iter_rows()
    found = {(*_service_and_direction(dimensions), hour): value for dimensions, hour, value in rows}
    assert found == tokens_oracle(csvs)


def _metered(configuration: Path, first: dt.date, last: dt.date) -> pl.DataFrame:
    settings = Settings.load(configuration)
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    source = CloudEventsSource(settings.source.cloudevents, duckdb.connect(config={"threads": 2}))
    with source.open(days, settings.catalog.meters) as metered:
        catalogs = {day: settings.catalog.on(day) for day in days}
        return pl.concat(
            metered.raw_usage(day, catalog, slices_on(catalog, day)).collect()
            for day, catalog in catalogs.items()
        )


def _service_and_direction(dimensions: str) -> tuple[str, str]:
    values = json.loads(dimensions)
    return values["service"], values["direction"]
