"""Percentage discounts, maximum and minimum spend of a rating period, rated day by day."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_assets.decimals import minor_unit
from focus_assets.rating.detailed_lines import Line, detailed_lines, line_tables
from focus_assets_tests.rating.charges import (
    END,
    HOUR,
    START,
    Window,
    charge,
    graduated,
    rated,
    slices,
    unit,
    usage,
)
from focus_assets_tests.rating.months import EXAMPLES, Month, decimal_text, graduated_prices, windows
from focus_assets_tests.rating.test_days_add_up import total


def month(price: dict[str, Any], quantities: list[str], **of: Any) -> Month:
    """One window in each of the first hours, each in a day of its own; the last day has no usage."""
    used: list[Window] = [(START + n * HOUR, "a", "{}", quantity) for n, quantity in enumerate(quantities)]
    return Month(charge(price, **of), used, list(range(1, len(quantities) + 1)))


def billed(lines: pl.DataFrame) -> list[tuple[str, str]]:
    return [
        (component, f"{cost.normalize():f}")
        for component, cost in lines.sort("slice_from").select("component", "billed_cost").iter_rows()
    ]


def test_a_published_percentage_leaves_the_contracted_price_and_lowers_what_is_billed() -> None:
    line = month(unit("0.01"), ["1000"], percentage="15").rated_whole().row(0, named=True)
    assert (line["contracted_unit_price"], line["contracted_cost"]) == (Decimal("0.01"), Decimal(10))
    assert (line["billed_cost"], line["effective_cost"]) == (Decimal("8.5"), Decimal("8.5"))


def test_a_negotiated_percentage_lowers_the_contracted_price() -> None:
    line = (
        month(unit("0.01"), ["1000"], percentage="15", published=unit("0.01"))
        .rated_whole()
        .row(0, named=True)
    )
    assert (line["contracted_unit_price"], line["list_cost"]) == (Decimal("0.0085"), Decimal(10))
    assert (line["contracted_cost"], line["billed_cost"]) == (Decimal("8.5"), Decimal("8.5"))


def test_a_percentage_of_the_smallest_price_is_taken_off_the_cost_and_not_lost() -> None:
    smallest = unit("0.000000000001")
    line = month(smallest, ["1000000"], percentage="15", published=smallest).rated_whole().row(0, named=True)
    assert line["contracted_unit_price"] == Decimal("0.000000000001")
    assert line["billed_cost"] == Decimal("0.00000085")


def test_the_day_that_reaches_the_maximum_pays_the_remainder_and_later_days_nothing() -> None:
    days = month({**unit("10"), "maximum_amount": "25"}, ["1", "2", "3"]).rated_day_by_day()
    assert billed(days) == [("usage", "10"), ("usage", "15"), ("usage", "0")]
    assert days["contracted_cost"].to_list() == [Decimal(10), Decimal(20), Decimal(30)]


def test_a_maximum_of_zero_is_a_limit() -> None:
    assert billed(month({**unit("10"), "maximum_amount": "0"}, ["1"]).rated_whole()) == [("usage", "0")]


def test_what_is_short_of_the_minimum_is_due_on_the_last_day_also_without_usage() -> None:
    days = month({**unit("10"), "minimum_amount": "42"}, ["1", "2"]).rated_day_by_day()
    assert billed(days) == [("usage", "10"), ("usage", "20"), ("minimum_spend", "12")]
    top_up = days.filter(component="minimum_spend").row(0, named=True)
    assert top_up["slice_to"] == END
    assert (top_up["pricing_quantity"], top_up["list_unit_price"]) == (Decimal(12), Decimal(1))
    assert top_up["consumed_quantity"] is None
    assert billed(month({**unit("10"), "minimum_amount": "42"}, []).rated_whole()) == [
        ("minimum_spend", "42")
    ]


def test_a_fee_of_an_earlier_day_counts_towards_the_limits() -> None:
    tiers = graduated(("10", "1", "5"), (None, "2", "20"))
    assert billed(month({**tiers, "maximum_amount": "30"}, ["11", "4"]).rated_day_by_day()) == [
        ("tier_fee", "5"),
        ("tier_fee", "20"),
        ("usage", "5"),
        ("usage", "0"),
        ("usage", "0"),
    ]


def test_a_charge_without_limits_is_rated_the_same_beside_one_with_limits() -> None:
    plain, limited = charge(unit("3")), charge({**unit("3"), "maximum_amount": "1"}, charge_id="other")
    [one], [two] = slices(plain), slices(limited)
    used = [(START, "a", "{}", "7")]
    lines = rated([one, two], pl.concat([usage(one, used), usage(two, used)]))
    assert dict(lines.select("charge_id", "billed_cost").iter_rows()) == {
        "acme/tokens": Decimal(21),
        "other": Decimal(1),
    }


@st.composite
def limited_months(draw: st.DrawFn) -> tuple[Month, Line]:
    price = draw(st.one_of(decimal_text(500, 2).map(unit), graduated_prices(2)))
    limits = sorted(draw(st.lists(st.integers(1, 20_000), min_size=2, max_size=2)))
    names = draw(st.sets(st.sampled_from(["minimum_amount", "maximum_amount"])))
    given_limits = dict(zip(("minimum_amount", "maximum_amount"), limits, strict=True))
    price |= {name: f"{given_limits[name] / Decimal(100):f}" for name in names}
    percentage = draw(st.none() | st.integers(0, 100).map(str))
    free = draw(st.none() | decimal_text(3000, 2))
    cuts = sorted(draw(st.sets(st.integers(1, 700), max_size=6)))
    sold = charge(price, free=free, percentage=percentage)
    of = Month(sold, draw(windows(2, falling=False)), cuts, exact=True)
    line = Line(
        line_id="line",
        price=sold.rate_card.price,
        discounts=sold.rate_card.discounts,
        minor_unit=minor_unit("CREDITS", 12),
        period=sold.period,
        full_period=sold.period,
        quantity=sum((Decimal(w[3]) for w in of.windows), Decimal(0)),
    )
    return of, line


@given(limited_months())
@settings(max_examples=EXAMPLES, deadline=None)
def test_days_with_limits_add_up_to_openmeters_line_of_the_whole_period(found: tuple[Month, Line]) -> None:
    of, line = found
    tables = line_tables([line])
    invoiced = total(detailed_lines(tables.lines, tables.tiers, tables.credits).collect(), "total")
    days, whole = of.rated_day_by_day(), of.rated_whole()
    tolerance = Decimal("1e-11") * 12
    assert abs(total(whole, "billed_cost") - invoiced) <= tolerance
    assert abs(total(days, "billed_cost") - total(whole, "billed_cost")) <= Decimal("1e-15")
    assert total(days, "effective_cost") == total(days, "billed_cost")
    assert days.filter(pl.col("billed_cost") < 0).is_empty()
