"""Metering: events to values, as OpenMeter does it, in exact decimals.

What belongs here: one meter asked one question (:class:`MeterQuery`) or one question for many charges
(:func:`to_date_values`). What does not: days, requests and ``raw_usage`` (``source``).

Rules (OpenMeter ``openmeter/streaming/clickhouse/meter_query.go``): COUNT counts every event, also without data.
SUM, AVG, MIN, MAX and LATEST skip what is not a finite number; where nothing is left there is no row. UNIQUE_COUNT
counts distinct texts, null skipped, absent counting as one value. Values are rounded to 19 decimal places, half away
from zero, event by event; sums are exact from there; an average is rounded once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from typing import Any, Final
from zoneinfo import available_timezones

import duckdb
import polars as pl

from focus_assets.catalog.models import Aggregation, Meter
from focus_assets.cloudevents.errors import InvalidMeterQuery, MeteredValueTooLarge
from focus_assets.cloudevents.ingest import Events
from focus_assets.cloudevents.json_paths import path_in_event
from focus_assets.cloudevents.sql_text import identifier, literal
from focus_assets.decimals import SOURCE_VALUE, UTC_INSTANT


class WindowSize(StrEnum):
    """How long a window is; the values are the durations that requests name."""

    MINUTE = "PT1M"
    HOUR = "PT1H"
    DAY = "P1D"
    MONTH = "P1M"


SUBJECT: Final = "subject"
_QUANTUM: Final = Decimal(1).scaleb(-19)
_EXACT: Final = Context(prec=76, rounding=ROUND_HALF_UP)


@dataclass(frozen=True)
class MeterQuery:
    """What to ask a meter.

    ``start`` (inclusive) and ``end`` (exclusive) are cut to whole seconds; ``None`` is open. ``window`` None gives
    one row per group. DAY and MONTH are calendar days and months of ``time_zone``. ``subjects`` filters and adds
    the subject to the grouping. ``filters`` are exact: one of the texts given.
    """

    start: dt.datetime | None = None
    end: dt.datetime | None = None
    window: WindowSize | None = None
    time_zone: str = "UTC"
    subjects: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class SubjectCut:
    """An instant at which the windows of a subject end early."""

    subject: str
    instant: dt.datetime


def meter_events(
    events: Events, meter: Meter, query: MeterQuery, *, cuts: Sequence[SubjectCut] = ()
) -> pl.DataFrame:
    """The rows of a meter query.

    Returns ``window_from`` and ``window_to`` (UTC instants; null only where a query without bounds meets no event),
    one String column per grouping key (subject first) and ``value`` Decimal(38, 19), sorted by all of them. Only
    windows with events give rows; they are not clipped to the query's bounds, but to ``cuts``. Raises
    InvalidMeterQuery and MeteredValueTooLarge.
    """
    _check(meter, query)
    groups = ([SUBJECT] if query.subjects and SUBJECT not in query.group_by else []) + list(query.group_by)
    groups.sort(key=lambda key: key != SUBJECT)
    condition, parameters = _condition(events, meter, query)
    columns = [f"{_column(events, meter, key)} AS {identifier(key)}" for key in groups]
    relation = f"{identifier(events.table)} AS e"
    if query.window is None:
        window = ["NULL::TIMESTAMP AS window_from", "NULL::TIMESTAMP AS window_to"]
    else:
        begin, finish = _window(query.window)
        parameters["zone"] = query.time_zone
        if cuts:
            relation += " LEFT JOIN segments AS s ON e.subject = s.subject AND e.occurred >= s.begins AND e.occurred < s.ends"
            begin = f"greatest({begin}, coalesce(s.begins, '-infinity'::TIMESTAMP))"
            finish = f"least({finish}, coalesce(s.ends, 'infinity'::TIMESTAMP))"
        window = [f"{begin} AS window_from", f"{finish} AS window_to"]
    keys = ", ".join(str(i) for i in range(1, 3 + len(groups)))
    statement = (
        f"SELECT {', '.join([*window, *columns])}, {_aggregate(events, meter)}, "
        f"min(date_trunc('minute', e.occurred)) AS first_minute, "
        f"max(date_trunc('minute', e.occurred)) + INTERVAL 1 MINUTE AS last_minute "
        f"FROM {relation} WHERE {condition} GROUP BY {keys}"
    )
    found = _values(
        events.connection, meter, statement, parameters, segments=_segments(cuts) if cuts else None
    )
    if query.window is None:
        found = found.with_columns(
            window_from=pl.lit(_cut(query.start), UTC_INSTANT) if query.start else _utc("first_minute"),
            window_to=pl.lit(_cut(query.end), UTC_INSTANT) if query.end else _utc("last_minute"),
        )
        if (
            not groups
            and found.is_empty()
            and meter.aggregation in (Aggregation.COUNT, Aggregation.UNIQUE_COUNT)
        ):
            found = _nothing_counted(query, found.schema)
    else:
        found = found.with_columns(_utc("window_from"), _utc("window_to"))
    return found.select("window_from", "window_to", *groups, "value").sort(
        "window_from", "window_to", *groups
    )


@dataclass(frozen=True)
class ChargeUsage:
    """The usage of a charge to date: its subjects' events in [start, end), within its feature's filters."""

    charge_id: str
    subjects: tuple[str, ...]
    start: dt.datetime
    end: dt.datetime


def to_date_values(
    events: Events, meter: Meter, filters: Mapping[str, tuple[str, ...]], asked: Sequence[ChargeUsage]
) -> pl.DataFrame:
    """One value per charge asked for that has one: ``asked`` Int64 (its position), ``value`` Decimal(38, 19).

    Charges with the same meter and filters are asked for at once. Raises InvalidMeterQuery and MeteredValueTooLarge.
    """
    query = MeterQuery(filters=filters)
    _check(meter, query)
    condition, parameters = _condition(events, meter, query)
    asks = pl.DataFrame(
        [
            (i, subject, _naive(ask.start), _naive(ask.end))
            for i, ask in enumerate(asked)
            for subject in ask.subjects
        ],
        schema={
            "asked": pl.Int64,
            "subject": pl.String,
            "begins": pl.Datetime("us"),
            "ends": pl.Datetime("us"),
        },
        orient="row",
    )
    statement = (
        f"SELECT s.asked, {_aggregate(events, meter)} FROM {identifier(events.table)} AS e JOIN segments AS s "
        "ON e.subject = s.subject AND e.occurred >= s.begins AND e.occurred < s.ends "
        f"WHERE {condition} GROUP BY s.asked"
    )
    found = _values(events.connection, meter, statement, parameters, segments=asks)
    return found.select("asked", "value").sort("asked")


def _check(meter: Meter, query: MeterQuery) -> None:
    if query.start is not None and query.end is not None and query.start >= query.end:
        raise InvalidMeterQuery(
            f"meter {meter.slug!r}: from {query.start:%FT%TZ} is not before to {query.end:%FT%TZ}; a range is half open "
            "and holds at least an instant."
        )
    for key in (*query.group_by, *query.filters):
        if key != SUBJECT and key not in meter.group_by:
            raise InvalidMeterQuery(
                f"meter {meter.slug!r} has no dimension {key!r}; it has {', '.join(sorted(meter.group_by)) or 'none'}, "
                "and subject."
            )
    if query.time_zone != "UTC" and query.time_zone not in available_timezones():
        raise InvalidMeterQuery(
            f"meter {meter.slug!r}: {query.time_zone!r} is no time zone; an IANA name is needed, such as Europe/Berlin."
        )


def _condition(events: Events, meter: Meter, query: MeterQuery) -> tuple[str, dict[str, Any]]:
    """Which events a query means, as SQL over the alias ``e`` and its parameters."""
    parts = ["e.metered", "NOT e.duplicate", "e.type = $type"]
    parameters: dict[str, Any] = {"type": meter.event_type}
    starts = [_cut(instant) for instant in (query.start, meter.event_from) if instant is not None]
    if starts:
        parts += ["e.occurred >= $start", "e.day >= $start::DATE"]
        parameters["start"] = _naive(max(starts))
    if query.end is not None:
        parts += ["e.occurred < $end", "e.day <= $end::DATE"]
        parameters["end"] = _naive(query.end)
    wanted = {**query.filters} | ({SUBJECT: query.subjects} if query.subjects else {})
    for i, (key, texts) in enumerate(sorted(wanted.items())):
        parts.append(f"list_contains($filter_{i}::VARCHAR[], {_column(events, meter, key)})")
        parameters[f"filter_{i}"] = list(texts)
    return " AND ".join(parts), parameters


def _column(events: Events, meter: Meter, key: str) -> str:
    if key == SUBJECT and key not in meter.group_by:
        return "e.subject"
    return f"e.{_property(events.properties.texts, meter, meter.group_by[key], f'group_by.{key}')}"


def _property(kept: Mapping[str, str], meter: Meter, path: str, key: str) -> str:
    column = kept.get(path_in_event(path, meter.slug, key))
    if column is None:
        raise InvalidMeterQuery(
            f"meter {meter.slug!r}, {key}: events were read without {path!r}; every meter has to be named when event "
            "files are opened."
        )
    return identifier(column)


def _aggregate(events: Events, meter: Meter) -> str:
    """SQL columns ``value`` and, for averages, ``numbers``."""
    aggregation = meter.aggregation
    if aggregation is Aggregation.COUNT:
        return "count(*) AS value"
    path = meter.value_property or "$"
    if aggregation is Aggregation.UNIQUE_COUNT:
        text = f"e.{_property(events.properties.texts, meter, path, 'value_property')}"
        return f"count(DISTINCT nullif({text}, 'null')) AS value"
    number = f"e.{_property(events.properties.numbers, meter, path, 'value_property')}"
    if aggregation is Aggregation.LATEST:
        # Ties within a second are OpenMeter's to leave open; here the last of them in (file, line) order wins.
        at = "epoch(e.occurred)::HUGEINT * 18446744073709551616 + e.seq"
        return f"arg_max({number}, {at}) FILTER (WHERE {number} IS NOT NULL) AS value"
    if aggregation is Aggregation.AVG:
        return f"sum({number}) AS value, count({number}) AS numbers"
    return f"{aggregation.value.lower()}({number}) AS value"


def _window(size: WindowSize) -> tuple[str, str]:
    """SQL for a window's start and end in UTC.

    Days and months are the zone's calendar days and months, of 23 or 25 hours where the clocks change. Minutes and
    hours are counted from the local hour by its offset, so the hour that comes twice in autumn stays two windows.
    """
    local = "((e.occurred AT TIME ZONE 'UTC') AT TIME ZONE $zone)"
    unit = literal(size.name.lower())
    if size in (WindowSize.DAY, WindowSize.MONTH):
        start = f"date_trunc({unit}, {local})"
        end = f"({start} + INTERVAL 1 {size.name})"
        return tuple(f"(({wall} AT TIME ZONE $zone) AT TIME ZONE 'UTC')" for wall in (start, end))  # type: ignore[return-value]
    start = f"(e.occurred - ({local} - date_trunc({unit}, {local})))"
    return start, f"({start} + INTERVAL 1 {size.name})"


def _values(
    connection: duckdb.DuckDBPyConnection,
    meter: Meter,
    statement: str,
    parameters: Mapping[str, Any],
    *,
    segments: pl.DataFrame | None,
) -> pl.DataFrame:
    """Run a metering statement; rows without a value are dropped, ``value`` becomes Decimal(38, 19)."""
    if segments is not None:
        connection.register("segments", segments.to_arrow())
    try:
        found = pl.DataFrame(connection.sql(statement, params=dict(parameters)).to_arrow_table())
        if meter.aggregation is Aggregation.AVG:
            found = found.filter(pl.col("numbers") > 0)
            means = [_mean(t, n) for t, n in found.select("value", "numbers").iter_rows()]
            return found.with_columns(pl.Series("value", means, SOURCE_VALUE)).drop("numbers")
        return found.filter(pl.col("value").is_not_null()).with_columns(pl.col("value").cast(SOURCE_VALUE))
    except duckdb.OutOfRangeException as error:
        raise MeteredValueTooLarge(
            f"meter {meter.slug!r}: a {meter.aggregation} has more than 19 digits before the decimal point "
            f"({str(error).splitlines()[0]}). Meter a larger unit, or split the meter. Nothing was written."
        ) from error
    finally:
        if segments is not None:
            connection.unregister("segments")


def _mean(total: Decimal, numbers: int) -> Decimal:
    return _EXACT.divide(total, Decimal(numbers)).quantize(_QUANTUM, context=_EXACT)


def _nothing_counted(query: MeterQuery, schema: pl.Schema) -> pl.DataFrame:
    row = {"window_from": _cut(query.start), "window_to": _cut(query.end), "value": Decimal(0)}
    kept = {name: schema[name] for name in row}
    return pl.DataFrame([row], schema=kept)


def _segments(cuts: Sequence[SubjectCut]) -> pl.DataFrame:
    """The stretches between a subject's cuts, from the beginning to the end of time."""
    by_subject: dict[str, set[dt.datetime]] = {}
    for cut in cuts:
        by_subject.setdefault(cut.subject, set()).add(_naive(cut.instant))
    rows = [
        (subject, begin, end)
        for subject, instants in sorted(by_subject.items())
        for bounds in [[dt.datetime.min, *sorted(instants), dt.datetime.max]]
        for begin, end in zip(bounds, bounds[1:], strict=False)
    ]
    schema = {"subject": pl.String, "begins": pl.Datetime("us"), "ends": pl.Datetime("us")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _utc(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _cut(instant: dt.datetime | None) -> dt.datetime | None:
    """UTC, on the whole second before."""
    return None if instant is None else instant.astimezone(dt.UTC).replace(microsecond=0)


def _naive(instant: dt.datetime) -> dt.datetime:
    return instant.astimezone(dt.UTC).replace(microsecond=0, tzinfo=None)
