"""The late usage sensor against a real server: an event comes late, its days are run again, and then it is quiet."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from focus_assets.cloudevents import CloudEventsSource
from focus_assets.orchestration.jobs import CHAIN_JOB
from focus_assets_tests.openmeter.test_both_routes import on_a_server
from focus_assets_tests.openmeter_server.app import Came, application
from focus_assets_tests.openmeter_server.app import Company as Server
from focus_assets_tests.openmeter_server.metering import MeteredEvents
from focus_assets_tests.openmeter_server.running import served
from focus_assets_tests.orchestration.company import START, Company


@pytest.fixture
def by_files(tmp_path: Path) -> Company:
    company = Company(tmp_path / "files")
    company.root.mkdir()
    company.usage_of_ten_days()
    return company


def test_usage_that_comes_late_is_asked_for_once_and_then_rated(by_files: Company, tmp_path: Path) -> None:
    days = [START + dt.timedelta(days=n) for n in range(10)]
    known = by_files.settings

    def metering(connection: duckdb.DuckDBPyConnection) -> MeteredEvents:
        source = CloudEventsSource(by_files.settings.source.cloudevents, connection)
        return MeteredEvents(stack.enter_context(source.open(days, known.catalog.meters)).events)

    with duckdb.connect(config={"threads": 1}) as connection, ExitStack() as stack:
        server = Server(known.catalog, metering(connection))
        with served(application(server)) as url:
            company = on_a_server(by_files, tmp_path / "server", url)
            company.configuration["as_of"] = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(
                hours=1
            )
            company.run("2026-08-01", "2026-08-04")
            before = company.cost("ann", "2026-08-01", "2026-08-04")
            asked, cursor = tick(company, None)
            assert asked == []

            by_files.event("2026-08-02T10:00:00Z", "ann-1", tokens=100, model="small")
            server.metering = metering(connection)
            came = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(minutes=58)
            server.events.append(Came(late_event(by_files), came, came))
            company.configuration["as_of"] += dt.timedelta(hours=1)
            asked, cursor = tick(company, cursor)
            assert [(r.tags[f"{RANGE}_start"], r.tags[f"{RANGE}_end"]) for r in asked] == [
                ("2026-08-02", "2026-08-04")
            ]

            definitions = company.chain.definitions
            result = definitions.resolve_job_def(CHAIN_JOB).execute_in_process(
                instance=company.instance, tags=asked[0].tags, raise_on_error=False
            )
            assert result.success
            # 100 tokens and a request more; ann is above 100 tokens on the fourth day either way.
            assert company.cost("ann", "2026-08-01", "2026-08-04") > before


RANGE = "dagster/asset_partition_range"


def late_event(company: Company) -> dict[str, object]:
    last = (company.root / "events" / "2026-08-02.ndjson").read_text().splitlines()[-1]
    found: dict[str, object] = json.loads(last)
    return found


def tick(company: Company, cursor: str | None) -> tuple[list[dg.RunRequest], str | None]:
    definitions = company.chain.definitions
    sensor = definitions.resolve_sensor_def("late_usage_sensor")
    with dg.build_sensor_context(
        instance=company.instance,
        cursor=cursor,
        definitions=definitions,
        resources={"lake": (definitions.resources or {})["lake"]},
    ) as context:
        found = sensor.evaluate_tick(context)
    return list(found.run_requests or []), found.cursor
