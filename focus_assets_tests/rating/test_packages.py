"""Packages and converted units: what opens a package, on which day, and what is consumed beside it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from focus_assets.rating import ChargeNotRated
from focus_assets_tests.rating.charges import (
    END,
    HOUR,
    START,
    charge,
    graduated,
    opening,
    package,
    rated,
    slices,
    unit,
    usage,
)
from focus_assets_tests.rating.whole_line import invoiced_for

THOUSANDS = package("2", "1000")
STARTED_THOUSANDS = {"operation": "divide", "conversion_factor": "1000", "rounding": "ceiling"}


def days(quantities: list[str], before: str = "0", **of: Any) -> pl.DataFrame:
    """One window in each of the first hours, each in a day of its own."""
    sold = charge(**of)
    instants = [START + n * HOUR for n in range(len(quantities))]
    pieces = slices(sold, [*instants, END])
    used = [
        usage(piece, [(piece.period.start, "acme", "{}", quantity)])
        for piece, quantity in zip(pieces, quantities, strict=True)
    ]
    return rated(pieces, pl.concat(used), opening({sold.charge_id: before}))


def told(lines: pl.DataFrame) -> list[tuple[str, str, str, str]]:
    """(component, consumed, priced, billed) in the order of days."""
    return [
        (component, *("" if number is None else f"{number.normalize():f}" for number in numbers))
        for component, *numbers in lines.sort("slice_from", "component", "tier")
        .select("component", "consumed_quantity", "pricing_quantity", "billed_cost")
        .iter_rows()
    ]


def test_the_first_unit_of_a_package_pays_for_it_and_the_others_are_only_consumed() -> None:
    assert told(days(["300", "500", "201"], price=THOUSANDS)) == [
        ("usage", "300", "1", "2"),
        ("usage", "500", "0", "0"),
        ("usage", "201", "1", "2"),
    ]


def test_a_package_that_is_full_is_not_yet_two() -> None:
    assert told(days(["1000", "0.000000001"], price=THOUSANDS)) == [
        ("usage", "1000", "1", "2"),
        ("usage", "0.000000001", "1", "2"),
    ]


def test_usage_of_several_subjects_opens_packages_in_the_order_it_came() -> None:
    [whole] = slices(charge(THOUSANDS))
    used = usage(whole, [(START + HOUR, "b", "{}", "600"), (START, "a", "{}", "600")])
    assert rated([whole], used).select("subject", "pricing_quantity").rows() == [
        ("a", Decimal(1)),
        ("b", Decimal(1)),
    ]


def test_what_falls_back_closes_packages_also_below_zero_as_openmeter_does() -> None:
    lines = days(["1500", "-700", "-1900"], price=THOUSANDS)
    assert told(lines) == [
        ("usage", "1500", "2", "4"),
        ("usage", "-700", "-1", "-2"),
        ("usage", "-1900", "-2", "-4"),
    ]
    assert invoiced_for(charge(THOUSANDS), "-1100") == -2


def test_free_units_come_before_the_first_package_and_fill_packages_that_cost_nothing() -> None:
    assert told(days(["1200", "400"], price=THOUSANDS, free="1500")) == [
        ("free", "1200", "2", "0"),
        ("free", "300", "0", "0"),
        ("usage", "100", "1", "2"),
    ]


def test_free_packages_of_one_customer_keep_the_published_price() -> None:
    line = days(["1200"], price=THOUSANDS, published=THOUSANDS, free="1500").row(0, named=True)
    assert (line["list_cost"], line["contracted_cost"]) == (Decimal(4), Decimal(0))


def test_a_negotiated_package_has_the_published_one_as_list_price() -> None:
    line = days(["1200"], price=package("1.5", "1000"), published=THOUSANDS).row(0, named=True)
    assert (line["list_cost"], line["contracted_cost"]) == (Decimal(4), Decimal(3))


def test_units_in_blocks_are_priced_in_blocks_and_consumed_as_metered() -> None:
    lines = days(
        ["1500000"], price=unit("2.5"), unit_config={"operation": "divide", "conversion_factor": 10**6}
    )
    assert told(lines) == [("usage", "1500000", "1.5", "3.75")]


def test_tiers_and_free_units_count_converted_units() -> None:
    tiers = graduated(("2", "3", None), (None, "1", "7"))
    lines = days(["900", "1200", "1300"], price=tiers, free="1", unit_config=STARTED_THOUSANDS)
    assert told(lines) == [
        ("free", "900", "1", "0"),
        ("free", "100", "0", "0"),
        ("usage", "1100", "2", "6"),
        ("tier_fee", "", "1", "7"),
        ("usage", "900", "0", "0"),
        ("usage", "400", "1", "1"),
    ]


ROUNDINGS = [
    {"rounding": "none"},
    {"rounding": "ceiling"},
    {"rounding": "floor", "precision": 1},
    {"rounding": "half_up"},
    {"rounding": "half_up", "precision": 2},
]


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(("operation", "factor"), [("divide", "3"), ("multiply", "0.75"), ("multiply", "8")])
def test_converted_days_add_up_to_openmeters_line(
    operation: str, factor: str, rounding: dict[str, Any]
) -> None:
    config = {"operation": operation, "conversion_factor": factor, **rounding}
    tiers = graduated(("2", "3", "1"), ("3.5", "2", None), (None, "1", "7"))
    quantities = ["0.5", "1.25", "-0.75", "4", "0.000000001", "9"]
    lines = days(quantities, price=tiers, unit_config=config, percentage="20")
    total = sum(map(Decimal, quantities), Decimal(0))
    billed: Decimal = lines.select(pl.col("billed_cost").sum()).item()
    sold = charge(tiers, unit_config=config, percentage="20")
    assert abs(billed - invoiced_for(sold, f"{total:f}")) < Decimal("1e-11")
    assert lines["consumed_quantity"].sum() == total
    by_day = lines.group_by("slice_from", maintain_order=True).agg(pl.col("consumed_quantity").sum())
    assert by_day["consumed_quantity"].to_list() == [Decimal(quantity) for quantity in quantities]


def test_a_quantity_outside_the_range_of_priced_units_names_the_charge() -> None:
    config = {"operation": "multiply", "conversion_factor": "1000"}
    with pytest.raises(ChargeNotRated, match=r"^charge acme/tokens has a quantity to date outside"):
        days(["10000000000000"], price=unit("1"), unit_config=config)
