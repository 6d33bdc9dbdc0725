"""A small company on the test server, and the same company's event files.

What belongs here: the company and reading a day of it by either route. What does not: tests.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from starlette.types import ASGIApp

from focus_assets.catalog.charges import slices_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.cloudevents import CloudEventsSource
from focus_assets.openmeter import OpenMeterSource
from focus_assets_tests.cloudevents.opening import Settings as EventFiles
from focus_assets_tests.openmeter_server.app import Company, application
from focus_assets_tests.openmeter_server.metering import MeteredEvents
from focus_assets_tests.openmeter_server.running import SourceSettings, connected_to
from focus_assets_tests.openmeter_server.validation import Validated

FIRST = dt.date(2026, 8, 1)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(4)]

METERS = [
    {
        "slug": "tokens",
        "event_type": "prompt",
        "aggregation": "SUM",
        "value_property": "$.tokens",
        "group_by": {"model": "$.model", "kind": "$.kind"},
        "unit": "Tokens",
    },
    {"slug": "requests", "event_type": "prompt", "aggregation": "COUNT", "unit": "Requests"},
    *(
        {
            "slug": f"seats_{aggregation.lower()}",
            "event_type": "seats",
            "aggregation": aggregation,
            "value_property": "$.seats",
            "group_by": {"office": "$.office"},
        }
        for aggregation in ("MAX", "MIN", "AVG", "LATEST", "UNIQUE_COUNT")
    ),
]
FEATURES = [
    {"key": "large_tokens", "meter": "tokens", "filters": {"model": ["large"]}},
    {"key": "small_tokens", "meter": "tokens", "filters": {"model": ["small", "tiny"]}},
    {"key": "requests", "meter": "requests"},
    *({"key": meter["slug"], "meter": meter["slug"]} for meter in METERS[2:]),
    {"key": "seats_north", "meter": "seats_max", "filters": {"office": ["north"]}},
]


def catalog(**changes: Any) -> Catalog:
    """Ann with three subjects from midnight, Bob from within a day to within another, Cy with a changed price."""
    unit = {"type": "unit", "amount": "0.01"}
    cards = [{"feature": feature["key"], "price": unit} for feature in FEATURES]
    return Catalog.model_validate(
        {
            "defaults": {"provider_name": "Test"},
            "meters": METERS,
            "features": FEATURES,
            "customers": [
                {"key": "ann", "id": "ann-for-ever", "subject_keys": ["ann-1", "ann-2"]},
                {"key": "bob"},
                {"key": "cy", "subject_keys": ["cy-1"]},
            ],
            "plans": [{"key": "basic", "rate_cards": cards}],
            "subscriptions": [
                {"customer": "ann", "plan": "basic", "active_from": "2026-08-01T00:00:00Z"},
                {
                    "customer": "bob",
                    "plan": "basic",
                    "active_from": "2026-08-02T13:22:07Z",
                    "active_to": "2026-08-04T09:30:00Z",
                },
                {
                    "customer": "cy",
                    "plan": "basic",
                    "active_from": "2026-08-01T00:00:00Z",
                    "rate_cards": [
                        {"feature": "requests", "price": unit, "valid_from": "2026-08-01T00:00:00Z"},
                        {"feature": "requests", "price": unit, "valid_from": "2026-08-03T13:40:00Z"},
                    ],
                },
            ],
            **changes,
        }
    )


def events() -> Iterator[dict[str, Any]]:
    """Usage of four days, also of a subject nobody knows, with values missing, null and no numbers."""
    number = 0

    def event(time: str, subject: str, kind: str, data: Any) -> dict[str, Any]:
        nonlocal number
        number += 1
        return {
            "specversion": "1.0",
            "id": f"event-{number}",
            "source": "test",
            "type": kind,
            "subject": subject,
            "time": time,
            "data": data,
        }

    for n, day in enumerate(DAYS):
        for hour, minute in ((0, 0), (9, 29), (9, 30), (13, 22), (13, 39), (13, 40), (23, 59)):
            for i, subject in enumerate(("ann", "ann-1", "ann-2", "bob", "cy", "cy-1", "stranger")):
                if (hour + i + n) % 3 == 0:
                    continue
                time = f"{day}T{hour:02}:{minute:02}:{(7 * i) % 60:02}Z"
                model = ("large", "small", "tiny", None, "")[(hour + i) % 5]
                data = {"tokens": f"{i + n}.{minute:02}5", "model": model, "kind": "in" if i % 2 else "out"}
                if i == 4:
                    del data["kind"]
                yield event(time, subject, "prompt", data)
                seats: Any = (i * 7 + hour * n) % 11 if minute != 39 else None
                office = "north" if hour % 2 else "süd ☂"
                yield event(time, subject, "seats", {"seats": seats, "office": office})


def write(folder: Path, found: Iterable[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{json.dumps(each)}\n" for each in found)
    (folder / "events.ndjson").write_text(lines, encoding="utf-8")
    return folder


@contextmanager
def metered(folder: Path, known: Catalog, days: Sequence[dt.date]) -> Iterator[MeteredEvents]:
    """The event files in ``folder``, to be asked any question about ``days``."""
    with (
        duckdb.connect(config={"threads": 1, "memory_limit": "512MB"}) as connection,
        CloudEventsSource(EventFiles(str(folder)), connection).open(days, known.meters) as opened,
    ):
        yield MeteredEvents(opened.events)


@contextmanager
def company(folder: Path, known: Catalog, days: Sequence[dt.date] = DAYS) -> Iterator[Company]:
    with metered(folder, known, days) as metering:
        yield Company(known, metering)


def validated(of: Company) -> ASGIApp:
    """The company's server, every exchange held to the OpenAPI documents where they lie."""
    return Validated(application(of))


def from_files(folder: Path, known: Catalog, days: Sequence[dt.date] = DAYS) -> dict[dt.date, pl.DataFrame]:
    """``raw_usage`` of each day by way of the event files."""
    with duckdb.connect(config={"threads": 1, "memory_limit": "512MB"}) as connection:
        source = CloudEventsSource(EventFiles(str(folder)), connection)
        with source.open(days, known.meters) as opened:
            return {
                day: opened.raw_usage(day, known.on(day), slices_on(known.on(day), day)).collect()
                for day in days
            }


@dataclass(frozen=True)
class Asked:
    """How a server is asked."""

    settings: SourceSettings = field(default_factory=SourceSettings)
    first_day: dt.date = FIRST


def from_server(
    app: ASGIApp, known: Catalog, days: Sequence[dt.date] = DAYS, how: Asked | None = None, **options: Any
) -> dict[dt.date, pl.DataFrame]:
    """``raw_usage`` of each day by way of the server, without a network."""
    how = how or Asked()
    source = OpenMeterSource(how.settings, connected_to(app, **options))
    with source.open(first_day=how.first_day) as opened:
        return {
            day: opened.raw_usage(day, known.on(day), slices_on(known.on(day), day)).collect() for day in days
        }
