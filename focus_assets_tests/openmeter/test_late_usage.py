"""The late usage sensor against a real server: an event comes late, its days are run again, and then it is quiet."""

from __future__ import annotations

import copy
import datetime as dt
import json
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from focus_assets.cloudevents import CloudEventsSource
from focus_assets.openmeter import Server as Client
from focus_assets.openmeter import asked_once, wire_v1
from focus_assets.orchestration.jobs import CHAIN_JOB
from focus_assets.orchestration.late_usage_decisions import Stored
from focus_assets.orchestration.late_usage_sensor import listed_events
from focus_assets.settings import OpenMeterSettings
from focus_assets_tests.openmeter.company import catalog, validated
from focus_assets_tests.openmeter.test_both_routes import on_a_server, server_of
from focus_assets_tests.openmeter.test_catalog import NoMetering
from focus_assets_tests.openmeter_server.app import Came, application, problem
from focus_assets_tests.openmeter_server.app import Company as Server
from focus_assets_tests.openmeter_server.metering import MeteredEvents
from focus_assets_tests.openmeter_server.running import SourceSettings, connected_to, served
from focus_assets_tests.openmeter_server.validation import Validated
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


def test_usage_before_the_first_day_that_comes_late_is_part_of_its_opening(
    by_files: Company, tmp_path: Path
) -> None:
    with server_of(by_files) as url:
        later = on_a_server(by_files, tmp_path / "later", url)
        later.configuration["start_date"] = dt.date(2026, 8, 5)
        later.run("2026-08-05", "2026-08-06")
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    later.configuration["as_of"] = now + dt.timedelta(hours=1)
    came = now + dt.timedelta(minutes=30)
    for time, asked in (("2026-07-31T23:59:59Z", []), ("2026-08-02T10:00:00Z", ["2026-08-05", "2026-08-06"])):
        server = Server(by_files.settings.catalog, NoMetering(), events=came_at([came], time))
        with served(Validated(application(server))) as url:
            later.configuration["source"]["openmeter"]["url"] = url
            found, _ = tick(later, None)
        assert [r.tags[f"{RANGE}_{end}"] for r in found for end in ("start", "end")] == asked


def without_events(app: ASGIApp, status: int, path: str = "/events") -> ASGIApp:
    """A server that is older than its list of events, or than sorting that by when they were stored."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        missing = scope["type"] == "http" and scope["path"].endswith(path)
        await (problem(status, "no such path") if missing else app)(scope, receive, send)

    return answer


@pytest.mark.parametrize("status", [404, 400])
@pytest.mark.parametrize("has_v1", [True, False])
def test_a_v3_that_has_no_list_of_events_leaves_it_to_v1(has_v1: bool, status: int) -> None:
    now = dt.datetime(2026, 8, 21, 13, tzinfo=dt.UTC)
    start, end = now - dt.timedelta(hours=1), now
    known = Server(catalog(), NoMetering(), events=came_at([start] * 3), has_v1=has_v1)
    with served(without_events(validated(known), status, "/v3/openmeter/events")) as url:
        found = listed_events(OpenMeterSettings(url=url), start, end, before=now, now=now)
    assert found == ([Stored(dt.datetime(2026, 8, 20, tzinfo=dt.UTC), start)] * 3 if has_v1 else None)


@pytest.mark.parametrize("has_v3", [True, False])
def test_events_of_days_that_nobody_has_read_are_not_listed(has_v3: bool) -> None:
    now = dt.datetime(2026, 8, 21, 13, tzinfo=dt.UTC)
    start = now - dt.timedelta(hours=1)
    old, new = "2026-08-20T23:59:59Z", "2026-08-21T00:00:01Z"
    known = Server(
        catalog(), NoMetering(), events=[*came_at([start], old), *came_at([start], new)], has_v3=has_v3
    )
    midnight = now.replace(hour=0)
    with served(validated(known)) as url:
        found = listed_events(OpenMeterSettings(url=url), start, now, before=midnight, now=now)
        assert found == [Stored(midnight - dt.timedelta(seconds=1), start)]
        long_ago = now - dt.timedelta(days=40)
        assert listed_events(OpenMeterSettings(url=url), start, now, before=long_ago, now=now) == []


def came_at(instants: list[dt.datetime], time: str = "2026-08-20T00:00:00Z") -> list[Came]:
    event = {"specversion": "1.0", "source": "test", "type": "prompt", "subject": "ann", "time": time}
    return [Came({**event, "id": str(n)}, instant, instant) for n, instant in enumerate(instants)]


def listed(events: list[Came], start: dt.datetime, end: dt.datetime) -> list[wire_v1.StoredEvent] | None:
    """What v1 lists of events that came in a range."""
    known = Server(catalog(), NoMetering(), events=events, has_v3=False)

    async def ask(server: Client) -> list[wire_v1.StoredEvent] | None:
        assert server.v1 is not None
        return await server.v1.events_ingested(
            start, end, since=start - dt.timedelta(days=20), before=start + dt.timedelta(days=1)
        )

    return asked_once(SourceSettings(), ask, connected_to(validated(known)))


def test_v1_lists_every_event_of_a_range_a_hundred_at_a_time() -> None:
    start = dt.datetime(2026, 8, 21, tzinfo=dt.UTC)
    instants = [start + dt.timedelta(seconds=n * n % 3_000) for n in range(730)]
    found = listed(came_at(instants), start, start + dt.timedelta(hours=1))
    assert found is not None
    assert {each.event.id for each in found} == {str(n) for n in range(730)}


def test_v1_says_so_where_more_came_in_a_second_than_it_lists() -> None:
    start = dt.datetime(2026, 8, 21, tzinfo=dt.UTC)
    assert listed(came_at([start] * 101), start, start + dt.timedelta(hours=1)) is None


def test_a_server_that_cannot_list_its_events_has_its_last_days_read_again_once_a_day(
    by_files: Company, tmp_path: Path
) -> None:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    known = by_files.settings
    with (
        duckdb.connect(config={"threads": 1}) as connection,
        CloudEventsSource(known.source.cloudevents, connection).open(
            [START + dt.timedelta(days=n) for n in range(3)], known.catalog.meters
        ) as opened,
    ):
        server = Server(known.catalog, MeteredEvents(opened.events), has_v1=False)
        with served(without_events(application(server), 404)) as url:
            company = Company(tmp_path / "server", copy.deepcopy(by_files.configuration))
            company.root.mkdir()
            company.configuration["source"] = {"openmeter": {"url": url, "catalog": "file"}}
            company.configuration["as_of"] = now + dt.timedelta(hours=1)
            company.run("2026-08-01", "2026-08-03")
            (asked,), _ = tick(company, None)
            assert [asked.tags[f"{RANGE}_{end}"] for end in ("start", "end")] == ["2026-08-01", "2026-08-03"]
            before = company.lake.records("raw_usage", [START])
            noted = company.lake.note("raw_usage", START)
            assert noted["server"] == url
            asked_from, server_date = (
                dt.datetime.fromisoformat(noted[k]) for k in ("asked_from", "server_date")
            )
            assert abs(asked_from - server_date) < dt.timedelta(minutes=5)
            definitions = company.chain.definitions
            result = definitions.resolve_job_def(CHAIN_JOB).execute_in_process(
                instance=company.instance, tags=asked.tags, raise_on_error=False
            )
            assert result.success
            assert company.lake.records("raw_usage", [START]) == before, "the same answer, the same bytes"


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
