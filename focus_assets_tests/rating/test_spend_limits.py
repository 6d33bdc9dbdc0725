"""Percentage discounts, maximum and minimum spend of a rating period, rated day by day."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

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
from focus_assets_tests.rating.months import (
    BATCH,
    BATCHES,
    KINDS,
    Month,
    day_by_day,
    terms,
    whole,
    windows,
)
from focus_assets_tests.rating.whole_line import FINE, invoiced


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
def limited_months(draw: st.DrawFn, kinds: Sequence[str] = KINDS) -> list[Month]:
    """Months of every type of price with percentages and limits, in whole cents."""
    found = []
    for number in range(BATCH):
        agreed = draw(terms(2, draw(st.sampled_from(kinds))))
        limits = sorted(draw(st.lists(st.integers(1, 20_000), min_size=2, max_size=2)))
        names = draw(st.sets(st.sampled_from(["minimum_amount", "maximum_amount"])))
        given_limits = dict(zip(("minimum_amount", "maximum_amount"), limits, strict=True))
        if agreed["price"]["type"] != "free":
            agreed["price"] |= {name: f"{given_limits[name] / Decimal(100):f}" for name in names}
        percentage = draw(st.none() | st.integers(0, 100).map(str))
        cuts = sorted(draw(st.sets(st.integers(1, 700), max_size=6)))
        sold = charge(charge_id=f"charge-{number}", percentage=percentage, **agreed)
        found.append(Month(sold, draw(windows(2, falling=False)), cuts))
    return found


def paid(lines: pl.DataFrame) -> dict[str, tuple[Decimal, Decimal]]:
    """What each charge is billed and costs."""
    sums = lines.group_by("charge_id").agg(pl.col("billed_cost", "effective_cost").sum())
    return {charge_id: (billed, effective) for charge_id, billed, effective in sums.iter_rows()}


@given(limited_months())
@settings(max_examples=BATCHES, deadline=None)
def test_days_with_limits_add_up_to_openmeters_line_of_the_whole_period(of: list[Month]) -> None:
    expected = invoiced([(each.charge, each.quantity) for each in of])
    days, at_once = paid(day_by_day(of)), paid(whole(of))
    nothing = (Decimal(0), Decimal(0))
    for each, amount in zip(of, expected, strict=True):
        billed, effective = days.get(each.charge.charge_id, nothing)
        assert abs(at_once.get(each.charge.charge_id, nothing)[0] - amount) <= FINE * 20, each
        assert abs(billed - at_once.get(each.charge.charge_id, nothing)[0]) <= Decimal("1e-15"), each
        assert effective == billed


@given(limited_months([kind for kind in KINDS if "volume" not in kind]))
@settings(max_examples=BATCHES // 2, deadline=None)
def test_limits_make_no_line_cost_less_than_nothing(of: list[Month]) -> None:
    assert day_by_day(of).filter(pl.col("billed_cost") < 0).is_empty()
