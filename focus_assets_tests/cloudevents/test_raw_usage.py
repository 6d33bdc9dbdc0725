"""What a day's ``raw_usage`` holds: windows, cuts, quantities to date."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from duckdb import DuckDBPyConnection

from focus_assets.catalog.charges import slices_on
from focus_assets.catalog.models import Meter
from focus_assets.catalog.snapshot import Catalog
from focus_assets.cloudevents import CloudEventsSource, InvalidMeterQuery, UnsupportedJsonPath
from focus_assets.datasets import QUARANTINED_EVENTS, RAW_USAGE
from focus_assets_tests.cloudevents.opening import (
    COUNT,
    DAY,
    TOKENS,
    Settings,
    catalog,
    event,
    read,
    read_day,
    write_lines,
)


def meter(slug: str, aggregation: str, **changes: Any) -> Meter:
    described = {
        "slug": slug,
        "event_type": "request",
        "aggregation": aggregation,
        "value_property": "$.tokens",
    }
    return Meter.model_validate(described | changes)


def subscribed(
    *meters: Meter, since: str, filters: dict[str, list[str]] | None = None, **sub: Any
) -> Catalog:
    price = {"type": "unit", "amount": "1"}
    return catalog(
        *meters,
        features=[{"key": m.slug, "meter": m.slug, "filters": filters or {}} for m in meters],
        customers=[{"key": "acme", "subject_keys": ["acme-2"]}, {"key": "bolt"}],
        subscriptions=[
            {
                "customer": customer,
                "active_from": since,
                "rate_cards": [{"feature": m.slug, "price": price} for m in meters],
                **sub,
            }
            for customer in ("acme", "bolt")
        ],
    )


def windows(found: pl.DataFrame) -> list[tuple[str, str, str, Decimal]]:
    rows = found.filter(pl.col("kind") == "window").select("window_from", "window_to", "subject", "value")
    return [(f"{a:%T}", f"{b:%T}", subject, value) for a, b, subject, value in rows.iter_rows()]


def to_date(found: pl.DataFrame) -> dict[str, Decimal]:
    rows = found.filter(pl.col("kind") == "to_date").select("charge_id", "window_to", "value").iter_rows()
    return {f"{charge_id} {to:%F %T}": value for charge_id, to, value in rows}


def test_rows_have_the_shape_and_order_of_the_dataset(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    events = [
        event(
            str(i),
            subject=f"s{i % 7}",
            time=f"2026-08-15T{i % 24:02}:00:00Z",
            data={"tokens": i, "model": f"m{i % 3}"},
        )
        for i in range(100)
    ]
    write_lines(tmp_path / "a.ndjson", [*events, "{"])
    of = subscribed(TOKENS, meter("peak", "MAX"), since="2026-08-01T00:00:00Z")
    found = read_day(connection, tmp_path, of=of)
    assert found.raw.schema == RAW_USAGE.schema
    assert found.raw.equals(found.raw.sort(RAW_USAGE.order))
    assert found.quarantined.schema == QUARANTINED_EVENTS.schema


def test_a_window_says_what_was_asked_and_what_the_group_is(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    by = meter(
        "tokens",
        "SUM",
        group_by={"region": "$.where.region", "model": "$['model name']", "first": "$.list[0]"},
    )
    data = {"tokens": 2, "model name": 'é "x"', "where": {"region": None}, "list": [1.0, 2]}
    write_lines(tmp_path / "a.ndjson", [event("1", data=data), event("2", data={"tokens": 3})])
    rows = read_day(connection, tmp_path, of=catalog(by)).raw.to_dicts()
    assert [row["dimensions"] for row in rows] == [
        '{"first":"","model":"","region":""}',
        '{"first":"1","model":"é \\"x\\"","region":"null"}',
    ]
    assert rows[0]["request"] == (
        '{"from":"2026-08-15T00:00:00Z","granularity":"PT1H","group_by":["first","model","region","subject"],'
        '"meter":"tokens","to":"2026-08-16T00:00:00Z"}'
    )


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("minute", [("10:30:00", "10:31:00"), ("10:59:00", "11:00:00")]),
        ("hour", [("10:00:00", "11:00:00")]),
        ("day", [("00:00:00", "00:00:00")]),
    ],
)
def test_the_window_is_a_setting(
    window: str, expected: list[tuple[str, str]], connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    write_lines(tmp_path / "a.ndjson", [event("1"), event("2", time="2026-08-15T10:59:59.999Z")])
    found = read_day(connection, tmp_path, of=catalog(COUNT), window=window)
    assert [row[:2] for row in windows(found.raw)] == expected


def test_a_day_holds_its_own_seconds_and_no_others(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    times = [
        "2026-08-14T23:59:59.999Z",
        "2026-08-15T00:00:00Z",
        "2026-08-15T23:59:59.999Z",
        "2026-08-16T00:00:00Z",
    ]
    write_lines(tmp_path / "a.ndjson", [event(time, time=time) for time in times])
    found = read(connection, tmp_path, [DAY - dt.timedelta(days=1), DAY, DAY + dt.timedelta(days=1)])
    assert [day.counts["metered"] for day in found.values()] == [1, 2, 1]


def test_windows_are_cut_where_a_charge_begins_for_the_subjects_of_its_customer_only(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    of = subscribed(COUNT, since="2026-08-15T10:22:07Z")
    times = ["10:22:06.9", "10:22:07", "10:59:59"]
    write_lines(
        tmp_path / "a.ndjson",
        [
            event(f"{subject}{time}", subject=subject, time=f"2026-08-15T{time}Z")
            for subject in ("acme", "acme-2", "nobody")
            for time in times
        ],
    )
    assert windows(read_day(connection, tmp_path, of=of).raw) == [
        ("10:00:00", "10:22:07", "acme", 1),
        ("10:00:00", "10:22:07", "acme-2", 1),
        ("10:00:00", "11:00:00", "nobody", 3),
        ("10:22:07", "11:00:00", "acme", 2),
        ("10:22:07", "11:00:00", "acme-2", 2),
    ]


def test_quantities_to_date_span_the_customers_subjects_from_the_charges_start(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    users = meter("users", "UNIQUE_COUNT", value_property="$.user")
    of = subscribed(users, meter("peak", "MAX"), since="2026-08-13T06:00:00Z")
    days = [dt.date(2026, 8, d) for d in (13, 14, 15)]

    def used(day: int, hour: int, subject: str, user: str, tokens: int) -> dict[str, Any]:
        data = {"user": user, "tokens": tokens}
        return event(f"{day}{hour}{user}", subject=subject, time=f"2026-08-{day}T{hour:02}:00:00Z", data=data)

    write_lines(
        tmp_path / "a.ndjson",
        [
            used(13, 5, "acme", "too early", 99),
            used(13, 7, "acme", "ann", 5),
            used(14, 7, "acme-2", "ann", 7),
            used(14, 8, "acme-2", "bob", 3),
            used(15, 1, "acme", "bob", 1),
            used(15, 2, "nobody", "eve", 88),
        ],
    )
    found = read(connection, tmp_path, days, of=of, since=days[0])
    charge = "acme/default/{}/20260813T060000Z {}"
    assert [to_date(found[day].raw) for day in days] == [
        {charge.format("users", "2026-08-14 00:00:00"): 1, charge.format("peak", "2026-08-14 00:00:00"): 5},
        {charge.format("users", "2026-08-15 00:00:00"): 2, charge.format("peak", "2026-08-15 00:00:00"): 7},
        {charge.format("users", "2026-08-16 00:00:00"): 2, charge.format("peak", "2026-08-16 00:00:00"): 7},
    ]
    last = read(connection, tmp_path, [days[2]], of=of, since=days[0])[days[2]]
    assert last.raw.equals(found[days[2]].raw)
    rows = last.raw.filter(pl.col("kind") == "to_date")
    assert rows["dimensions"].unique().to_list() == ["{}"]
    assert rows["subject"].null_count() == 2
    assert json.loads(rows["request"][0])["subjects"] == ["acme", "acme-2"]


def test_a_day_on_which_a_rating_period_ends_has_a_quantity_to_date_of_each(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    of = subscribed(meter("peak", "MAX"), since="2026-07-15T13:00:00Z")
    write_lines(
        tmp_path / "a.ndjson",
        [
            event("1", time="2026-08-01T00:00:00Z", data={"tokens": 9}),
            event("2", time="2026-08-15T12:59:59Z", data={"tokens": 4}),
            event("3", time="2026-08-15T13:00:00Z", data={"tokens": 6}),
        ],
    )
    found = read_day(connection, tmp_path, of=of, since=dt.date(2026, 7, 15))
    assert to_date(found.raw) == {
        "acme/default/peak/20260715T130000Z 2026-08-15 13:00:00": 9,
        "acme/default/peak/20260815T130000Z 2026-08-16 00:00:00": 6,
    }


def test_a_features_filters_narrow_its_quantity_to_date(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    peak = meter("peak", "MAX", group_by={"model": "$.model"})
    of = subscribed(peak, since="2026-08-15T00:00:00Z", filters={"model": ["big", "huge"]})
    values = {"big": 3, "huge": 5, "small": 9}
    write_lines(tmp_path / "a.ndjson", [event(m, data={"tokens": v, "model": m}) for m, v in values.items()])
    found = read_day(connection, tmp_path, of=of)
    assert list(to_date(found.raw).values()) == [5]
    assert len(windows(found.raw)) == 3


def test_meters_that_add_up_have_no_quantity_to_date(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.ndjson", [event()])
    found = read_day(connection, tmp_path, of=subscribed(COUNT, TOKENS, since="2026-08-01T00:00:00Z"))
    assert found.raw["kind"].unique().to_list() == ["window"]


def test_events_before_a_meter_began_do_not_count(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    late = meter("late", "SUM", event_from="2026-08-15T10:30:00Z")
    peak = meter("peak", "MAX", event_from="2026-08-15T10:30:00Z")
    write_lines(
        tmp_path / "a.ndjson",
        [event("1", time="2026-08-15T10:29:59.9Z", data={"tokens": 5}), event("2", data={"tokens": 2})],
    )
    found = read_day(connection, tmp_path, of=subscribed(late, peak, since="2026-08-15T00:00:00Z"))
    assert [row[3] for row in windows(found.raw)] == [2, 2]
    assert list(to_date(found.raw).values()) == [2]


def test_of_values_within_a_second_the_last_in_file_order_is_the_latest(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    write_lines(tmp_path / "b.ndjson", [event("3", data={"tokens": 3}), event("4", data={"tokens": None})])
    write_lines(tmp_path / "a.ndjson", [event("1", time="2026-08-15T10:30:00.9Z", data={"tokens": 1})])
    found = read_day(connection, tmp_path, of=catalog(meter("latest", "LATEST")))
    assert [row[3] for row in windows(found.raw)] == [3]


@pytest.mark.parametrize(
    "path", ["$.*", "$..tokens", "$.items[*]", "$.a[?(@.b)]", "$.", "$.a b'; DROP TABLE x", "$x"]
)
def test_a_path_that_cannot_be_metered_names_its_meter(
    path: str, connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    write_lines(tmp_path / "a.ndjson", [event()])
    with pytest.raises(UnsupportedJsonPath, match=r"meter 'tokens', value_property"):
        read_day(connection, tmp_path, of=catalog(meter("tokens", "SUM", value_property=path)))


def test_names_with_quotes_are_only_names(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    kind = "it's; DROP TABLE events_0; --"
    odd = meter("odd", "SUM", event_type=kind, value_property='$["it\'s 100%; --"]')
    write_lines(tmp_path / "a.ndjson", [event(type=kind, data={"it's 100%; --": 4})])
    assert [row[3] for row in windows(read_day(connection, tmp_path, of=catalog(odd)).raw)] == [4]


def test_a_meter_that_was_not_named_on_opening_is_an_error(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    write_lines(tmp_path / "a.ndjson", [event()])
    source = CloudEventsSource(Settings(str(tmp_path)), connection)
    whole = catalog(COUNT, TOKENS)
    with (
        source.open([DAY], [COUNT]) as metered,
        pytest.raises(InvalidMeterQuery, match="every meter has to be named"),
    ):
        metered.raw_usage(DAY, whole, slices_on(whole, DAY))


def test_nothing_is_left_in_the_connection(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.ndjson", [event()])
    read_day(connection, tmp_path, of=subscribed(COUNT, meter("peak", "MAX"), since="2026-08-15T10:00:01Z"))
    assert connection.execute("SELECT table_name FROM information_schema.tables").fetchall() == []


@pytest.mark.parametrize("kept", [True, False])
def test_the_connection_keeps_its_owners_setting_of_order(
    connection: DuckDBPyConnection, tmp_path: Path, kept: bool
) -> None:
    connection.execute(f"SET preserve_insertion_order = {kept}")
    write_lines(tmp_path / "a.ndjson", [event()])
    read_day(connection, tmp_path, of=catalog(COUNT))
    assert connection.execute("SELECT current_setting('preserve_insertion_order')").fetchall() == [(kept,)]


def test_distinct_texts_are_counted_without_null_and_with_one_for_absence(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    users = meter("users", "UNIQUE_COUNT", value_property="$.user")
    values = [
        {"user": "1"},
        {"user": 1},
        {"user": 1.0},
        {"user": None},
        {"user": "null"},
        {},
        {"user": [1]},
        {"user": ""},
    ]
    write_lines(tmp_path / "a.ndjson", [event(str(i), data=data) for i, data in enumerate(values)])
    assert [row[3] for row in windows(read_day(connection, tmp_path, of=catalog(users)).raw)] == [2]
