"""The whole chain by both routes, event files and server, over the small company and real usage."""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from focus_assets.catalog.charges import slices_on
from focus_assets.cloudevents import CloudEventsSource
from focus_assets.openmeter import OpenMeterSource
from focus_assets.orchestration.in_process import Outcome
from focus_assets.settings import Settings
from focus_assets.usage.normalize import normalized_usage
from focus_assets_tests.openmeter_server.app import Company as Server
from focus_assets_tests.openmeter_server.app import application
from focus_assets_tests.openmeter_server.documents import ulid
from focus_assets_tests.openmeter_server.metering import MeteredEvents
from focus_assets_tests.openmeter_server.running import SourceSettings, connected_to, served
from focus_assets_tests.openmeter_server.validation import Validated
from focus_assets_tests.orchestration.company import START, Company
from focus_assets_tests.real_usage.azure_llm import DAY, LLM_LOGS, llm_requests, tokens_oracle
from focus_assets_tests.real_usage.logs import log
from focus_assets_tests.real_usage.nasa_ipsc import FIRST_DAY, LAST_DAY, NASA_LOG, nasa_jobs
from focus_assets_tests.real_usage.nasa_ipsc_oracle import node_seconds_oracle

Frames = dict[dt.date, pl.DataFrame]


def both_routes(configuration: Path, first: dt.date, last: dt.date) -> tuple[Frames, Frames]:
    """``normalized_usage`` of each day from the files, and from a server over the same files."""
    settings = Settings.load(configuration)
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    snapshots = {day: settings.catalog.on(day) for day in days}
    slices = {day: slices_on(snapshots[day], day) for day in days}
    with (
        duckdb.connect(config={"threads": 1}) as connection,
        CloudEventsSource(settings.source.cloudevents, connection).open(
            days, settings.catalog.meters
        ) as files,
    ):
        app = application(Server(settings.catalog, MeteredEvents(files.events)))
        with OpenMeterSource(SourceSettings(), connected_to(app)).open(first_day=first) as server:
            found: tuple[Frames, Frames] = ({}, {})
            for day in days:
                for source, frames in zip((files, server), found, strict=True):
                    raw = source.raw_usage(day, snapshots[day], slices[day])
                    frames[day] = normalized_usage(raw, snapshots[day]).collect()
            return found


def test_node_seconds_by_user_and_day_are_those_of_the_raw_log_by_both_routes(tmp_path: Path) -> None:
    files, server = both_routes(nasa_jobs(log(NASA_LOG), tmp_path), FIRST_DAY, LAST_DAY)
    assert all(server[day].equals(files[day]) for day in files)
    summed = pl.concat(server.values()).group_by("customer", "charge_date").agg(pl.col("quantity").sum())
    assert {(user, day): value for user, day, value in summed.iter_rows()} == node_seconds_oracle(
        log(NASA_LOG)
    )


def test_tokens_are_those_of_the_raw_files_by_both_routes(tmp_path: Path) -> None:
    csvs = [log(name) for name in LLM_LOGS]
    files, server = both_routes(llm_requests(csvs, tmp_path), DAY, DAY)
    assert server[DAY].equals(files[DAY])
    found: dict[tuple[str, str, dt.datetime], Decimal] = {}
    for dimensions, hour, value in server[DAY].select("dimensions", "window_from", "quantity").iter_rows():
        values = json.loads(dimensions)
        found[values["service"], values["direction"], hour] = value
    assert found == tokens_oracle(csvs)


@contextmanager
def server_of(company: Company) -> Iterator[str]:
    """A real server that knows what the company's configuration and event files say."""
    settings = company.settings
    days = [START + dt.timedelta(days=n) for n in range(10)]
    with (
        duckdb.connect(config={"threads": 1}) as connection,
        CloudEventsSource(settings.source.cloudevents, connection).open(
            days, settings.catalog.meters
        ) as files,
        served(Validated(application(Server(settings.catalog, MeteredEvents(files.events))))) as url,
    ):
        yield url


@pytest.fixture
def by_files(tmp_path: Path) -> Company:
    company = Company(tmp_path / "files")
    company.root.mkdir()
    company.usage_of_ten_days()
    return company


def on_a_server(by_files: Company, root: Path, url: str) -> Company:
    """The same company with nothing of its catalog in its configuration."""
    configuration = copy.deepcopy(by_files.configuration)
    units = {meter["slug"]: {"unit": meter["unit"]} for meter in configuration["meters"]}
    for key in ("meters", "features", "customers", "plans", "subscriptions"):
        del configuration[key]
    configuration["source"] = {"openmeter": {"url": url, "meters": units}}
    root.mkdir()
    return Company(root, configuration)


def same_charges(by_files: Company, frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with subscriptions called as in the configuration; a server calls them by id."""
    names = {ulid("subscription", s.key): s.key for s in by_files.settings.catalog.subscriptions}
    renamed = frame.with_columns(
        pl.col(column).str.replace_many(list(names), list(names.values()))
        for column in ("charge_id", "subscription")
        if column in frame.columns
    )
    order = [
        c
        for c in ("meter", "kind", "window_from", "window_to", "subject", "charge_id", "dimensions")
        if c in frame.columns
    ]
    return renamed.sort(order)


def test_the_small_company_costs_the_same_by_both_routes(by_files: Company, tmp_path: Path) -> None:
    by_files.run("2026-08-01", "2026-08-05")
    with server_of(by_files) as url:
        by_server = on_a_server(by_files, tmp_path / "server", url)
        by_server.run("2026-08-01", "2026-08-05")
        days = [START + dt.timedelta(days=n) for n in range(5)]
        for dataset in ("normalized_usage", "usage_totals"):
            frames = [
                same_charges(by_files, company.lake.scan(dataset, days).collect())
                for company in (by_files, by_server)
            ]
            assert frames[0].equals(frames[1]), dataset
        for customer in ("ann", "bob"):
            assert by_server.cost(customer, "2026-08-01", "2026-08-05") == by_files.cost(
                customer, "2026-08-01", "2026-08-05"
            )
        again = Outcome()
        by_server.chain.run(by_server.chain.days_between(days[0], days[-1]), again)
        assert again.changed == 0


def test_a_chain_that_begins_within_rating_periods_bills_what_is_used_from_then_on(
    by_files: Company, tmp_path: Path
) -> None:
    by_files.run("2026-08-01", "2026-08-07")
    with server_of(by_files) as url:
        later = on_a_server(by_files, tmp_path / "later", url)
        later.configuration["start_date"] = dt.date(2026, 8, 5)
        later.run("2026-08-05", "2026-08-07")
    totals = later.lake.scan("usage_totals", [dt.date(2026, 8, 5)]).collect()
    opening = {
        charge.split("/")[1]: value
        for charge, value in totals.filter(pl.col("customer") == "ann")
        .select("charge_id", "opening_quantity")
        .iter_rows()
    }
    # Four days of 30 tokens and 2 requests; seats were 4 on the 4th.
    assert opening == {"tokens": 120, "requests": 8, "seats": 4}
    for customer in ("ann", "bob"):
        for day in ("2026-08-05", "2026-08-06", "2026-08-07"):
            assert later.cost(customer, day) == by_files.cost(customer, day), (customer, day)


def test_a_day_keeps_its_catalog_when_the_server_has_another(by_files: Company, tmp_path: Path) -> None:
    with server_of(by_files) as url:
        by_server = on_a_server(by_files, tmp_path / "server", url)
        by_server.run("2026-08-01", "2026-08-02")
        before = by_server.lake.record("catalog", START)
    by_files.configuration["customers"][0]["subject_keys"] = ["ann-1"]
    with server_of(by_files) as url:
        by_server.configuration["source"]["openmeter"]["url"] = url
        by_server.run("2026-08-01", "2026-08-03")
    assert by_server.lake.record("catalog", START) == before
    third = by_server.lake.scan("normalized_usage", [dt.date(2026, 8, 3)]).collect()
    assert third.filter(pl.col("subject") == "ann-2")["customer"].null_count() > 0
