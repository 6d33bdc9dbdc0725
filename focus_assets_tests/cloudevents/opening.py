"""Opening event files in tests: settings, events, catalogs, and a folder read for some days."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from duckdb import DuckDBPyConnection

from focus_assets.catalog.charges import slices_on
from focus_assets.catalog.models import Meter
from focus_assets.catalog.snapshot import Catalog
from focus_assets.cloudevents import CloudEventsSource

DAY = dt.date(2026, 8, 15)
COUNT = Meter.model_validate({"slug": "requests", "event_type": "request", "aggregation": "COUNT"})
TOKENS = Meter.model_validate(
    {
        "slug": "tokens",
        "event_type": "request",
        "aggregation": "SUM",
        "value_property": "$.tokens",
        "group_by": {"model": "$.model"},
    }
)


@dataclass(frozen=True)
class Settings:
    """What the source reads of ``focus.yaml``."""

    url: str
    window: str = "hour"
    lookback_days: int = 32


@dataclass(frozen=True)
class DayRead:
    """What the source gave for one day."""

    raw: pl.DataFrame
    quarantined: pl.DataFrame
    counts: Mapping[str, int]


def event(id: str = "e1", **changes: Any) -> dict[str, Any]:
    """A valid event; ``changes`` replace attributes, ``...`` removes one."""
    whole = {
        "specversion": "1.0",
        "id": id,
        "source": "test",
        "type": "request",
        "subject": "acme",
        "time": "2026-08-15T10:30:00Z",
        "data": {"tokens": 1},
    } | changes
    return {key: value for key, value in whole.items() if value is not ...}


def write_lines(path: Path, events: Iterable[Mapping[str, Any] | str]) -> Path:
    """An NDJSON file; a text is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [e if isinstance(e, str) else json.dumps(e) for e in events]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def catalog(*meters: Meter, **entries: Any) -> Catalog:
    return Catalog.model_validate({"defaults": {"provider_name": "Test"}, "meters": meters, **entries})


def read(
    connection: DuckDBPyConnection,
    folder: Path,
    days: Iterable[dt.date] = (DAY,),
    *,
    of: Catalog | None = None,
    since: dt.date | None = None,
    **settings: Any,
) -> dict[dt.date, DayRead]:
    """Each day's rows, quarantine and counts, the days read as one range."""
    whole = of or catalog(COUNT, TOKENS)
    source = CloudEventsSource(Settings(str(folder), **settings), connection)
    asked = list(days)
    with source.open(asked, whole.meters, since=since) as metered:
        return {
            day: DayRead(
                metered.raw_usage(day, whole.on(day), slices_on(whole.on(day), day)).collect(),
                metered.quarantined(day).collect(),
                metered.counts(day),
            )
            for day in asked
        }


def read_day(connection: DuckDBPyConnection, folder: Path, **how: Any) -> DayRead:
    """One day, by itself."""
    return read(connection, folder, **how)[DAY]


def total(found: DayRead, meter: str = "tokens") -> Any:
    """The sum of a meter's windows."""
    return found.raw.filter(pl.col("meter") == meter, pl.col("kind") == "window")["value"].sum()
