"""Metering against a few lines of Python decimals, over random events, windows and questions."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections import defaultdict
from decimal import ROUND_HALF_UP, Context, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_assets.catalog.models import Aggregation, Meter
from focus_assets.cloudevents import InvalidMeterQuery, MeterQuery, WindowSize, meter_events
from focus_assets.cloudevents.envelope import Properties
from focus_assets.cloudevents.files import list_event_files
from focus_assets.cloudevents.ingest import ingested
from focus_assets.lake.store import open_store

EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
START = dt.datetime(2025, 11, 1, tzinfo=dt.UTC)  # the clocks change in America on the 2nd
ABSENT = object()


def numbers() -> st.SearchStrategy[Decimal]:
    return st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, places=12) | st.integers(
        -(10**15), 10**15
    ).map(Decimal)


VALUES = st.one_of(
    numbers(),
    numbers().map(str),
    st.sampled_from([None, ABSENT]),
    st.sampled_from([ABSENT, None, True, "", "many", "null", "NaN", [1], {"a": 1}]),
)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 30).map(str),
            "source": st.sampled_from(["a", "b"]),
            "type": st.sampled_from(["request", "request", "request", "other"]),
            "subject": st.sampled_from(["s1", "s2", "s3"]),
            "second": st.integers(0, 4 * 86_400),
            "value": VALUES,
            "model": st.sampled_from(["m1", "m2", None, ABSENT, 7, True]),
        }
    ),
    max_size=40,
)
QUERIES = st.builds(
    lambda **kw: MeterQuery(**kw),
    start=st.none() | st.integers(0, 2 * 86_400).map(lambda s: START + dt.timedelta(seconds=s)),
    end=st.none() | st.integers(2 * 86_400 + 1, 4 * 86_400).map(lambda s: START + dt.timedelta(seconds=s)),
    window=st.none() | st.sampled_from(list(WindowSize)),
    time_zone=st.sampled_from(["UTC", "America/Los_Angeles", "Asia/Kolkata", "Europe/Berlin"]),
    subjects=st.sampled_from([(), (), ("s1",), ("s1", "s3")]),
    group_by=st.sampled_from([(), ("model",), ("subject",), ("model", "subject")]),
    filters=st.sampled_from([{}, {}, {"model": ("m1", "", "7")}]),
)


def as_line(e: dict[str, Any]) -> str:
    parts = []
    for name, value in (("value", e["value"]), ("model", e["model"])):
        if value is not ABSENT:
            written = f"{value:f}" if isinstance(value, Decimal) else json.dumps(value)
            parts.append(f'"{name}": {written}')
    time = START + dt.timedelta(seconds=e["second"], milliseconds=e["second"] % 1000)
    attributes = {key: e[key] for key in ("id", "source", "type", "subject")}
    envelope = json.dumps({"specversion": "1.0", "time": time.isoformat(), **attributes})
    return f'{envelope[:-1]}, "data": {{{", ".join(parts)}}}}}'


def text(value: Any) -> str:
    """A property as OpenMeter sees it."""
    if value is ABSENT or isinstance(value, list | dict):
        return ""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value)


def number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or value is None or value is ABSENT or isinstance(value, list | dict):
        return None
    try:
        found = Decimal(value)
    except ArithmeticError:
        return None
    return found if found.is_finite() else None


def expected(events: list[dict[str, Any]], meter: Meter, query: MeterQuery) -> dict[tuple[Any, ...], Decimal]:
    seen: set[tuple[str, str]] = set()
    kept = []
    # The first is kept by day and then by line; all lie within the look-back.
    for position, e in sorted(enumerate(events), key=lambda p: (p[1]["second"] // 86_400, p[0])):
        if (e["source"], e["id"]) not in seen:
            seen.add((e["source"], e["id"]))
            kept.append((position, e))
    groups: dict[tuple[Any, ...], list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for position, e in kept:
        at = START + dt.timedelta(seconds=e["second"])
        if e["type"] != meter.event_type or (query.subjects and e["subject"] not in query.subjects):
            continue
        if (query.start and at < query.start) or (query.end and at >= query.end):
            continue
        keys = {"subject": e["subject"], "model": text(e["model"])}
        if any(keys[key] not in texts for key, texts in query.filters.items()):
            continue
        window = window_of(at, query) if query.window else (None, None)
        groups[(*window, *(keys[key] for key in query.groups))].append((position, e))
    found = {key: value_of(group, meter) for key, group in groups.items()}
    if not found and not query.window and not query.groups and meter.aggregation.name.endswith("COUNT"):
        return {(None, None): Decimal(0)}
    return {key: value for key, value in found.items() if value is not None}


def window_of(at: dt.datetime, query: MeterQuery) -> tuple[dt.datetime, dt.datetime]:
    local = at.astimezone(ZoneInfo(query.time_zone))
    if query.window in (WindowSize.MINUTE, WindowSize.HOUR):
        hour = query.window is WindowSize.HOUR
        start = at - dt.timedelta(minutes=local.minute if hour else 0, seconds=local.second)
        return start, start + dt.timedelta(hours=1 if hour else 0, minutes=0 if hour else 1)
    first = local.replace(hour=0, minute=0, second=0, fold=0)
    if query.window is WindowSize.DAY:
        following = first + dt.timedelta(days=1)
    else:
        first = first.replace(day=1)
        following = (first + dt.timedelta(days=32)).replace(day=1)
    return first.astimezone(dt.UTC), following.astimezone(dt.UTC)


def value_of(group: list[tuple[int, dict[str, Any]]], meter: Meter) -> Decimal | None:
    if meter.aggregation is Aggregation.COUNT:
        return Decimal(len(group))
    if meter.aggregation is Aggregation.UNIQUE_COUNT:
        return Decimal(len({text(e["value"]) for _, e in group} - {"null"}))
    found = [(e["second"], position, n) for position, e in group if (n := number(e["value"])) is not None]
    values = [n for *_, n in found]
    if not values:
        return None
    match meter.aggregation:
        case Aggregation.SUM:
            return sum(values, Decimal(0))
        case Aggregation.AVG:
            return EXACT.divide(sum(values, Decimal(0)), Decimal(len(values))).quantize(
                Decimal("1e-19"), context=EXACT
            )
        case Aggregation.LATEST:
            return max(found)[2]
        case _:
            return (max if meter.aggregation is Aggregation.MAX else min)(values)


@pytest.mark.parametrize("aggregation", list(Aggregation))
@settings(max_examples=25, deadline=None)
@given(events=EVENTS, query=QUERIES, files=st.integers(1, 3))
def test_every_aggregation_equals_sums_made_by_hand(
    aggregation: Aggregation, events: list[dict[str, Any]], query: MeterQuery, files: int
) -> None:
    # UNIQUE_COUNT compares texts; a number's text with trailing zeros is a matter of its own.
    if aggregation is Aggregation.UNIQUE_COUNT:
        events = [{**e, "value": str(e["value"])} if isinstance(e["value"], Decimal) else e for e in events]
    described = {
        "slug": "m",
        "event_type": "request",
        "aggregation": aggregation,
        "group_by": {"model": "$.model"},
    }
    if aggregation is not Aggregation.COUNT:
        described["value_property"] = "$.value"
    meter = Meter.model_validate(described)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config={"threads": 1}) as connection:
        per_file = -(-len(events) // files)
        for i in range(files):
            part = events[i * per_file : (i + 1) * per_file]
            (Path(folder) / f"{i}.ndjson").write_text("".join(f"{as_line(e)}\n" for e in part), "utf-8")
        with ingested(
            connection,
            list_event_files(open_store(folder)).files,
            Properties.of([meter]),
            since=START.date(),
            until=dt.date(2025, 12, 1),
            lookback_days=32,
            undated_day=START.date(),
        ) as read:
            found = meter_events(read, meter, query)
    came = {}
    for start, end, *keys, value in found.iter_rows():
        came[(*((start, end) if query.window else (None, None)), *keys)] = value
    assert came == expected(events, meter, query)


def test_a_question_without_an_answer_is_refused() -> None:
    meter = Meter.model_validate({"slug": "m", "event_type": "request", "aggregation": "COUNT"})
    for query, message in [
        (MeterQuery(start=START, end=START), "half open"),
        (MeterQuery(start=START + dt.timedelta(1), end=START), "half open"),
        (MeterQuery(group_by=("model",)), "no dimension 'model'"),
        (MeterQuery(filters={"model": ("x",)}), "no dimension 'model'"),
        (MeterQuery(time_zone="Mars/Olympus"), "no time zone"),
    ]:
        with pytest.raises(InvalidMeterQuery, match=message):
            query.check(meter)
