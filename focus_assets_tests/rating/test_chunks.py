"""Rating by chunks of charges: the same lines in the same order, whatever a chunk holds."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_assets.rating import conversion_table, limit_table, price_table, rate, slice_table
from focus_assets.rating.chunks import ChargeRange, charge_ranges
from focus_assets.rating.lines import LINE_KEY, RATED_LINES
from focus_assets_tests.rating.charges import START, charge, opening, slices, unit, usage
from focus_assets_tests.rating.months import BATCHES, Month
from focus_assets_tests.rating.test_spend_limits import limited_months


def windows_of(**counts: int) -> pl.LazyFrame:
    return pl.LazyFrame({"charge_id": list(counts), "windows": list(counts.values())})


def test_charges_are_put_together_until_a_chunk_is_full() -> None:
    # a and b begin below 5 windows, c at 6; d begins at 8, below 10; e at 18.
    found = charge_ranges(windows_of(e=1, a=2, b=4, c=2, d=10), 5)
    assert found == [ChargeRange(None, "c"), ChargeRange("c", "e"), ChargeRange("e", None)]


def test_chunks_are_about_equal() -> None:
    # 6 windows are two chunks of 5 at most: 3 and 3, not 5 and 1.
    assert charge_ranges(windows_of(**dict.fromkeys("abcdef", 1)), 5) == [
        ChargeRange(None, "d"),
        ChargeRange("d", None),
    ]


def test_few_windows_are_one_chunk() -> None:
    assert charge_ranges(windows_of(a=2, b=3), 6) == [ChargeRange(None, None)]
    assert charge_ranges(windows_of(), 6) == [ChargeRange(None, None)]


def rated_by(at_once: int, of: list[Month], **more: Any) -> pl.LazyFrame:
    pieces = [(month, *slices(month.charge)) for month in of]
    found = [piece for _, piece in pieces]
    return rate(
        pl.concat([month.usage_of(piece) for month, piece in pieces]).collect().lazy(),
        opening(),
        slice_table(found),
        price_table(found),
        limit_table(found),
        conversion_table(found),
        at_once=at_once,
        **more,
    )


@given(limited_months(), st.integers(1, 40))
@settings(max_examples=max(BATCHES // 2, 1), deadline=None)
def test_lines_by_chunks_are_the_lines_of_all_charges_at_once(of: list[Month], at_once: int) -> None:
    together = rated_by(10**6, of).collect()
    assert rated_by(at_once, of).collect(engine="streaming").equals(together)
    assert rated_by(at_once, of).sort(LINE_KEY).collect().equals(together)


def test_fees_stand_among_the_lines_of_the_charges_around_them() -> None:
    names = ("a", "c", "e")
    of = [Month(charge(unit("1"), charge_id=name), [(START, "s", "{}", "1")], []) for name in names]
    fees = rated_by(10**6, of).with_columns(pl.lit("flat_fee").alias("component"))
    named = {"a": "aa", "c": "b", "e": "f"}
    fees = fees.with_columns(pl.col("charge_id").replace(named)).select(RATED_LINES.names())
    for at_once in (1, 2, 10**6):
        lines = rated_by(at_once, of, fees=fees).collect()
        assert lines["charge_id"].to_list() == ["a", "aa", "b", "c", "e", "f"]


def test_a_part_of_the_lines_is_read_as_if_they_were_all_there() -> None:
    of = [Month(charge(unit("1"), charge_id=f"c{n}"), [(START, "s", "{}", f"{n}")], []) for n in range(1, 6)]
    lines = rated_by(1, of)
    assert lines.head(3).collect()["charge_id"].to_list() == ["c1", "c2", "c3"]
    assert lines.filter(pl.col("pricing_quantity") > 3).select("charge_id").collect()[
        "charge_id"
    ].to_list() == [
        "c4",
        "c5",
    ]
    assert lines.select(pl.col("billed_cost").sum()).collect().item() == 15


def test_usage_is_rated_once_whatever_is_in_a_chunk() -> None:
    [piece] = slices(charge(unit("2")))
    rows = usage(piece, [(START, "a", "{}", "3"), (START, "b", "{}", "4")])
    one = rate(rows, opening(), slice_table([piece]), price_table([piece]), at_once=1).collect()
    assert [f"{cost.normalize():f}" for cost in one["billed_cost"]] == ["6", "8"]
