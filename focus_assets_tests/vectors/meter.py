"""``meter``: events and a query to the rows OpenMeter returns."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from focus_assets.catalog.models import Meter
from focus_assets.cloudevents.envelope import Properties
from focus_assets.cloudevents.files import list_event_files
from focus_assets.cloudevents.ingest import ingested
from focus_assets.cloudevents.meter import meter_events
from focus_assets.cloudevents.query import SUBJECT, MeterQuery, WindowSize
from focus_assets.errors import FocusAssetsError
from focus_assets.lake.store import open_store
from focus_assets_tests.vectors import Difference

_ARRIVAL = "2025-01-15T12:00:00Z"


def run(case: Mapping[str, Any]) -> Difference | None:
    """Write the events to a file, read it as the platform does, meter and compare."""
    try:
        came = _meter(case)
    except FocusAssetsError as error:
        if case.get("expect_error") or isinstance(case.get("expect"), Mapping):
            return None
        return Difference(_text(case["expect"]), f"{type(error).__name__}: {error}")
    if "expect_error" in case:
        return Difference("an error", _text(came))
    expected = [_row(row) for row in case["expect"]]
    as_float = case.get("compare") == "float64"
    if case.get("unordered"):
        expected.sort(key=_text)
        came.sort(key=_text)
    same = len(came) == len(expected) and all(
        _same(a, b, as_float) for a, b in zip(came, expected, strict=True)
    )
    return None if same else Difference(_text(expected), _text(came))


def _meter(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    described = {key: value for key, value in case["meter"].items() if value is not None}
    meter = Meter.model_validate({"slug": "vector", **described})
    query = _query(case["query"])
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config={"threads": 1}) as connection:
        lines = "".join(f"{json.dumps(event)}\n" for event in _events(case))
        (Path(folder) / "events.ndjson").write_text(lines, encoding="utf-8")
        with ingested(
            connection,
            list_event_files(open_store(folder)).files,
            Properties.of([meter]),
            since=dt.date.min,
            until=dt.date.max,
            lookback_days=32,
            undated_day=dt.date(2025, 1, 1),
        ) as events:
            found = meter_events(events, meter, query)
    return [
        {
            "windowStart": row["window_from"],
            "windowEnd": row["window_to"],
            "subject": row.get(SUBJECT),
            "groupBy": {key: row[key] for key in query.group_by if key != SUBJECT},
            "value": row["value"],
        }
        for row in found.iter_rows(named=True)
    ]


def _query(asked: Mapping[str, Any]) -> MeterQuery:
    return MeterQuery(
        start=_instant(asked.get("from")),
        end=_instant(asked.get("to")),
        window=WindowSize[asked["windowSize"]] if asked.get("windowSize") else None,
        time_zone=asked.get("windowTimeZone") or "UTC",
        subjects=tuple(asked.get("subject") or ()),
        group_by=tuple(asked.get("groupBy") or ()),
        filters={key: tuple(texts) for key, texts in (asked.get("filterGroupBy") or {}).items()},
    )


def _events(case: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The case's events; an event without time gets an arrival time, which files do not have."""
    if "generator" in case:
        return _generated(case["generator"])
    return [event if event.get("time") else {**event, "time": _ARRIVAL} for event in case["events"]]


def _generated(generator: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    start = dt.datetime.fromisoformat(generator["start"])
    return [
        {
            "specversion": "1.0",
            "id": generator["id"].replace("{i}", str(i)),
            "source": generator["source"],
            "type": generator["type"],
            "subject": generator["subject"],
            "time": (start + dt.timedelta(seconds=i * generator["step_seconds"])).isoformat(),
            "data": {
                key: str(i * generator["value_mul"] % generator["value_mod"] + 1) for key in generator["data"]
            },
        }
        for i in range(generator["count"])
    ]


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "windowStart": _instant(row["windowStart"]),
        "windowEnd": _instant(row["windowEnd"]),
        "subject": row.get("subject"),
        "groupBy": dict(row.get("groupBy") or {}),
        "value": Decimal(row["value"]),
    }


def _same(came: Mapping[str, Any], expected: Mapping[str, Any], as_float: bool) -> bool:
    if as_float and float(came["value"]) != float(expected["value"]):
        return False
    keys = [key for key in expected if key != "value" or not as_float]
    return all(came[key] == expected[key] for key in keys)


def _instant(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def _text(rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> str:
    return json.dumps(rows, default=str, sort_keys=True)
