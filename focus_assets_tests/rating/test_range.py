"""The ends of the supported range: 10^15 units and prices of 10^-12 stay exact; beyond it the charge is named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from focus_assets.rating import ChargeNotRated
from focus_assets_tests.rating.charges import (
    HOUR,
    START,
    charge,
    graduated,
    package,
    rated,
    slices,
    unit,
    usage,
    volume,
)

MANY = "1000000000000000"
SMALLEST = "0.000000000001"
MILLIONS = {"operation": "divide", "conversion_factor": "1000000"}


def in_two_windows(quantity: str, **of: Any) -> pl.DataFrame:
    """``quantity`` and one billionth of a unit more, in two windows of a whole period."""
    [whole] = slices(charge(**of))
    windows = [(START, "a", "{}", quantity), (START + HOUR, "b", "{}", "0.000000001")]
    return rated([whole], usage(whole, windows))


@pytest.mark.parametrize(
    ("of", "cost"),
    [
        ({"price": unit(SMALLEST)}, "1000.000000000000000000"),
        ({"price": {"type": "dynamic", "multiplier": SMALLEST}}, "1000.000000000000000000"),
        ({"price": graduated(("1", "5", None), (None, SMALLEST, None))}, "1004.999999999999000000"),
        ({"price": volume(("1", "5", None), (None, SMALLEST, None))}, "1000.000000000000000000"),
        ({"price": package(SMALLEST, "1")}, "1000.000000000001000000"),
        ({"price": package(SMALLEST, "0.5")}, "2000.000000000001000000"),
        ({"price": unit(SMALLEST), "unit_config": MILLIONS}, "0.001000000000000000"),
    ],
)
def test_many_units_at_the_smallest_price_cost_what_they_should_to_the_last_digit(
    of: dict[str, Any], cost: str
) -> None:
    lines = in_two_windows(MANY, **of)
    # A billionth of a unit at the smallest price is 10^-21: below the eighteenth place.
    assert lines.select(pl.col("billed_cost").sum()).item() == Decimal(cost)
    assert lines.select(pl.col("consumed_quantity").sum()).item() == Decimal(MANY) + Decimal("1e-9")
    for quantity, price, line in lines.select(
        "pricing_quantity", "contracted_unit_price", "contracted_cost"
    ).iter_rows():
        assert abs(quantity * price - line) <= Decimal("5e-19")


@pytest.mark.parametrize(
    ("quantity", "of"),
    [
        ("10000000000000000", {"price": unit(SMALLEST)}),
        ("10000000000000000", {"price": volume(("1", "5", None), (None, SMALLEST, None))}),
        (MANY, {"price": package(SMALLEST, "0.1")}),
        (MANY, {"price": unit(SMALLEST), "unit_config": {**MILLIONS, "operation": "multiply"}}),
        (MANY, {"price": unit(SMALLEST), "unit_config": {**MILLIONS, "conversion_factor": "0.001"}}),
    ],
)
def test_more_units_than_can_be_counted_are_refused_with_the_charge(
    quantity: str, of: dict[str, Any]
) -> None:
    with pytest.raises(
        ChargeNotRated, match=r"^charge acme/tokens has a quantity to date outside the supported"
    ):
        in_two_windows(quantity, **of)


@pytest.mark.parametrize(
    "of",
    [
        {"price": unit("100000")},
        {"price": volume(("1", "5", None), (None, "100000", None))},
        {"price": package("100000", "1")},
        {"price": unit("100000000000"), "unit_config": MILLIONS},
    ],
)
def test_a_cost_that_does_not_fit_is_refused_with_the_charge(of: dict[str, Any]) -> None:
    with pytest.raises(ChargeNotRated, match=r"^charge acme/tokens would cost more than the supported range"):
        in_two_windows(MANY, **of)
