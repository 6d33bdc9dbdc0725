"""Metering: one question to a meter, or one question for many charges at once.

What belongs here: putting the statement together and its rows. What does not: which events count (``query``),
what a value is (``aggregation``), and days, requests and ``raw_usage`` (``source``).
"""

# ruff: noqa: S608 - SQL is assembled here; sql_text quotes

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

import polars as pl

from focus_assets.catalog.models import Aggregation, Meter
from focus_assets.cloudevents.aggregation import aggregate, aggregated
from focus_assets.cloudevents.ingest import Events
from focus_assets.cloudevents.query import (
    MeterQuery,
    WindowSize,
    dimension_column,
    events_meant,
    whole_second,
)
from focus_assets.cloudevents.sql_text import identifier, literal
from focus_assets.decimals import SOURCE_VALUE

_UTC: Final = "UTC"
_COUNTING: Final = (Aggregation.COUNT, Aggregation.UNIQUE_COUNT)
_FIRST: Final = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
_LAST: Final = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


@dataclass(frozen=True)
class SubjectCut:
    """An instant at which the windows of a subject end early."""

    subject: str
    instant: dt.datetime


@dataclass(frozen=True)
class ChargeUsage:
    """The usage of a charge to date: its subjects' events in [start, end)."""

    subjects: tuple[str, ...]
    start: dt.datetime
    end: dt.datetime


def meter_events(
    events: Events, meter: Meter, query: MeterQuery, *, cuts: Sequence[SubjectCut] = ()
) -> pl.DataFrame:
    """The rows of a meter query.

    Returns ``window_from`` and ``window_to`` (UTC instants; null only where a query without bounds meets no
    event), one String column per grouping key, the subject first, and ``value`` Decimal(38, 19), sorted by
    all of them. Only windows with events give rows; they are not clipped to the query's bounds, but to
    ``cuts``.

    Raises InvalidMeterQuery and MeteredValueTooLarge.
    """
    found = unsorted_rows(events, meter, query, cuts=cuts)
    return found.sort(found.columns[:-1])


def unsorted_rows(
    events: Events, meter: Meter, query: MeterQuery, *, cuts: Sequence[SubjectCut] = ()
) -> pl.DataFrame:
    """As :func:`meter_events`, in any order, for those who put the rows in an order of their own."""
    query.check(meter)
    if query.window is None:
        found = _without_windows(events, meter, query)
    else:
        found = _in_windows(events, meter, query, query.window, cuts)
    return found.select("window_from", "window_to", *query.groups, "value")


def to_date_values(
    events: Events, meter: Meter, filters: Mapping[str, tuple[str, ...]], asked: Sequence[ChargeUsage]
) -> pl.DataFrame:
    """One value per charge that has one: ``asked`` Int64 (its position), ``value`` Decimal(38, 19).

    ``filters`` are the feature's. Raises InvalidMeterQuery and MeteredValueTooLarge.
    """
    query = MeterQuery(filters=filters)
    query.check(meter)
    meant, parameters = events_meant(events.properties, meter, query)
    rows = [(i, s, usage.start, usage.end) for i, usage in enumerate(asked) for s in usage.subjects]
    with _stretches(events, rows) as stretches:
        found = aggregated(
            events,
            meter,
            f"SELECT s.asked, {aggregate(events.properties, meter)} FROM {identifier(events.table)} AS e "
            f"JOIN {stretches} WHERE {meant} GROUP BY s.asked",
            parameters,
        )
    return found.select("asked", "value").sort("asked")


def _without_windows(events: Events, meter: Meter, query: MeterQuery) -> pl.DataFrame:
    """One row per group, from the query's bounds or out to the whole minutes around the group's events."""
    meant, parameters = events_meant(events.properties, meter, query)
    found = aggregated(
        events,
        meter,
        f"SELECT {_select(events, meter, query)} min(date_trunc('minute', e.occurred)) AS window_from, "
        "max(date_trunc('minute', e.occurred)) + INTERVAL 1 MINUTE AS window_to, "
        f"{aggregate(events.properties, meter)} FROM {identifier(events.table)} AS e WHERE {meant} "
        f"GROUP BY ALL HAVING count(*) > 0",
        parameters,
    )
    bounds = {"window_from": query.start, "window_to": query.end}
    if found.is_empty() and not query.groups and meter.aggregation in _COUNTING:
        nothing = {name: [bound and whole_second(bound)] for name, bound in bounds.items()}
        found = pl.DataFrame(
            {**nothing, "value": [Decimal(0)]},
            schema={"window_from": pl.Datetime("us"), "window_to": pl.Datetime("us"), "value": SOURCE_VALUE},
        )
    return found.with_columns(
        _utc(name) if bound is None else pl.lit(whole_second(bound)).dt.replace_time_zone("UTC").alias(name)
        for name, bound in bounds.items()
    )


def _in_windows(
    events: Events, meter: Meter, query: MeterQuery, size: WindowSize, cuts: Sequence[SubjectCut]
) -> pl.DataFrame:
    """One row per window and group; windows of a subject end and begin anew at its cuts."""
    meant, parameters = events_meant(events.properties, meter, query)
    begins, ends = _window(size, query.time_zone)
    with _stretches(events, _between(cuts)) as stretches:
        joined = f" LEFT JOIN {stretches}" if cuts else ""
        if cuts:
            begins, ends = f"greatest({begins}, s.begins)", f"least({ends}, s.ends)"
        if not cuts and query.time_zone == _UTC:
            # Where a window ends follows from where it begins: one key less to group by.
            ends = f"any_value({ends})"
        found = aggregated(
            events,
            meter,
            f"SELECT {_select(events, meter, query)} {begins} AS window_from, {ends} AS window_to, "
            f"{aggregate(events.properties, meter)} FROM {identifier(events.table)} AS e{joined} "
            f"WHERE {meant} GROUP BY ALL",
            parameters | ({} if query.time_zone == _UTC else {"zone": query.time_zone}),
        )
    return found.with_columns(_utc("window_from"), _utc("window_to"))


def _select(events: Events, meter: Meter, query: MeterQuery) -> str:
    columns = [
        f"{dimension_column(events.properties, meter, key)} AS {identifier(key)}" for key in query.groups
    ]
    return "".join(f"{column}, " for column in columns)


def _window(size: WindowSize, zone: str) -> tuple[str, str]:
    """SQL for a window's start and end in UTC.

    Days and months are the zone's calendar days and months, of 23 or 25 hours where the clocks change.
    Minutes and hours are counted from the local hour by its offset, so the hour that comes twice in autumn
    stays two windows.
    """
    if zone == _UTC:
        # Events are in UTC already; going by way of a zone costs more than all the rest.
        start = f"date_trunc({literal(size.name.lower())}, e.occurred)"
        return start, f"({start} + INTERVAL 1 {size.name})"
    local = "((e.occurred AT TIME ZONE 'UTC') AT TIME ZONE $zone)"
    truncated = f"date_trunc({literal(size.name.lower())}, {local})"
    if size in (WindowSize.DAY, WindowSize.MONTH):
        following = f"({truncated} + INTERVAL 1 {size.name})"
        return _instant_of(truncated), _instant_of(following)
    start = f"(e.occurred - ({local} - {truncated}))"
    return start, f"({start} + INTERVAL 1 {size.name})"


def _instant_of(wall: str) -> str:
    return f"(({wall} AT TIME ZONE $zone) AT TIME ZONE 'UTC')"


def _between(cuts: Sequence[SubjectCut]) -> list[tuple[int, str, dt.datetime, dt.datetime]]:
    """The stretches between the cuts of each subject, from the beginning to the end of time."""
    by_subject: dict[str, set[dt.datetime]] = {}
    for cut in cuts:
        by_subject.setdefault(cut.subject, set()).add(cut.instant)
    return [
        (0, subject, begin, end)
        for subject, instants in sorted(by_subject.items())
        for begin, end in pairwise([_FIRST, *sorted(instants), _LAST])
    ]


@contextmanager
def _stretches(events: Events, rows: Sequence[tuple[int, str, dt.datetime, dt.datetime]]) -> Iterator[str]:
    """Stretches of subjects' time as a relation ``s`` with its join condition to ``e``."""
    name = f"{events.table}_stretches"
    instant = pl.Datetime("us")
    schema = {"asked": pl.Int64(), "subject": pl.String(), "begins": instant, "ends": instant}
    frame = pl.DataFrame(
        [(asked, subject, whole_second(begin), whole_second(end)) for asked, subject, begin, end in rows],
        schema=schema,
        orient="row",
    )
    events.connection.register(name, frame.to_arrow())
    try:
        yield (
            f"{identifier(name)} AS s ON e.subject = s.subject AND e.occurred >= s.begins "
            "AND e.occurred < s.ends"
        )
    finally:
        events.connection.unregister(name)


def _utc(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
