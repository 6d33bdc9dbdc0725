"""Units that a discount leaves free: where they stand, what of them is free for whom, and where tiers begin."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from focus_assets.decimals import minor_unit
from focus_assets.rating.detailed_lines import Line, detailed_lines, line_tables
from focus_assets_tests.rating.charges import (
    HOUR,
    START,
    brief,
    charge,
    graduated,
    opening,
    rated,
    slices,
    unit,
    usage,
)

TIERS = graduated(("10", "2", "7"), (None, "1", "5"))


def day(quantity: str, before: str = "0", **of: Any) -> pl.DataFrame:
    """One window of a charge that began earlier."""
    sold = charge(**of)
    [piece] = slices(sold, (START + HOUR, START + 2 * HOUR))
    windows = usage(piece, [(START + HOUR, "acme", "{}", quantity)])
    return rated([piece], windows, opening({sold.charge_id: before}))


def test_a_day_that_leaves_the_free_units_has_a_row_of_either() -> None:
    lines = day("8", "7", price=unit("3"), free="10")
    assert brief(lines) == [("free", None, "3", "0"), ("usage", None, "5", "15")]


def test_free_units_of_the_published_plan_have_no_list_price() -> None:
    lines = day("5", price=unit("3"), free="10")
    assert lines["list_cost"].to_list() == [Decimal(0)]


def test_free_units_of_one_customer_keep_the_published_price_as_list_price() -> None:
    lines = day("5", price=unit("3"), published=unit("3"), free="10")
    assert lines["component"].to_list() == ["free"]
    assert lines["list_cost"].to_list() == [Decimal(15)]
    assert lines["billed_cost"].to_list() == [Decimal(0)]


def test_tiers_begin_to_count_behind_the_free_units() -> None:
    lines = day("10", "10", price=TIERS, free="5")
    assert brief(lines) == [("tier_fee", 2, "1", "5"), ("usage", 1, "5", "10"), ("usage", 2, "5", "5")]


def test_the_first_tiers_fee_is_due_when_the_charge_begins_although_its_units_are_free() -> None:
    sold = charge(TIERS, free="5")
    [whole] = slices(sold)
    assert brief(rated([whole], usage(whole, []))) == [("tier_fee", 1, "1", "7")]


@pytest.mark.parametrize("quantity", ["0", "3", "5", "5.5", "15", "16", "40.25"])
@pytest.mark.parametrize(
    "price", [TIERS, unit("0.125"), {"type": "dynamic", "multiplier": "1.5"}, {"type": "free"}]
)
def test_a_whole_period_costs_what_openmeters_line_does(price: dict[str, Any], quantity: str) -> None:
    sold = charge(price, free="5")
    [whole] = slices(sold)
    exact = rated([whole], usage(whole, [(START, "acme", "{}", quantity)]))
    tables = line_tables(
        [
            Line(
                line_id="line",
                price=sold.rate_card.price,
                discounts=sold.rate_card.discounts,
                minor_unit=minor_unit("USD"),
                period=sold.period,
                full_period=sold.period,
                quantity=Decimal(quantity),
            )
        ]
    )
    lines = detailed_lines(tables.lines, tables.tiers, tables.credits).collect()
    billed: Decimal = exact.select(pl.col("billed_cost").sum()).item()
    invoiced: Decimal = lines.select(pl.col("total").sum()).item()
    difference = abs(billed - invoiced)
    assert difference <= Decimal("0.005") * max(lines.height, 1)
    if price["type"] == "tiered":
        assert difference == 0
