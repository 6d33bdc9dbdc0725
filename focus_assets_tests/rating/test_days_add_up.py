"""Days add up to the period: random prices of every type, random usage, cut into random days.

The whole period rated at once is the reference. It is itself compared with OpenMeter's line of the period, and with
the definition of graduated prices, computed apart with Python decimals.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from focus_assets.decimals import METERED_QUANTITY
from focus_assets.rating import RATED_LINES
from focus_assets.rating.lines import LINE_KEY
from focus_assets_tests.rating.charges import HOUR, START, charge, rated, slices, unit, usage
from focus_assets_tests.rating.months import (
    BATCHES,
    EXAMPLES,
    HOURS,
    KINDS,
    MEASURES,
    Month,
    day_by_day,
    graduated_prices,
    month,
    months,
    whole,
)
from focus_assets_tests.rating.whole_line import FINE, invoiced

QUANTITY = "0.000000001"
COMPONENT = ["charge_id", "component", "tier", "list_unit_price", "contracted_unit_price"]


def by_component(lines: pl.DataFrame) -> pl.DataFrame:
    """What each price component comes to; components that come to nothing are left out."""
    return (
        lines.group_by(COMPONENT)
        .agg(pl.col(*MEASURES).sum(), pl.len().alias("lines"))
        .filter(pl.any_horizontal(pl.col(*MEASURES) != 0))
        .sort("charge_id", "component", "tier")
    )


def total(lines: pl.DataFrame, measure: str) -> Decimal:
    value: Decimal = lines.select(pl.col(measure).sum()).item()
    return value


def assert_adds_up(of: list[Month]) -> None:
    days, at_once = by_component(day_by_day(of)), by_component(whole(of))
    exact = {each.charge.charge_id for each in of if each.exact}
    both = days.join(at_once, on=COMPONENT, how="full", coalesce=True, nulls_equal=True, suffix="_whole")
    for row in both.iter_rows(named=True):
        # Each line's cost was rounded once.
        rounded = 0 if row["charge_id"] in exact else (row["lines"] or 0) + (row["lines_whole"] or 0)
        for measure in MEASURES:
            difference = abs((row[measure] or Decimal(0)) - (row[f"{measure}_whole"] or Decimal(0)))
            assert difference <= (Decimal("5e-19") * rounded if measure.endswith("cost") else 0), (
                measure,
                row,
            )


@given(months())
@settings(max_examples=BATCHES, deadline=None)
def test_days_add_up_to_the_whole_period_per_component(of: list[Month]) -> None:
    assert_adds_up(of)


@given(months(falling=True))
@settings(max_examples=BATCHES, deadline=None)
def test_days_add_up_where_quantities_fall_and_fees_are_reversed(of: list[Month]) -> None:
    assert_adds_up(of)


@given(months(falling=True))
@settings(max_examples=BATCHES, deadline=None)
def test_what_is_consumed_is_what_was_metered_on_every_day(of: list[Month]) -> None:
    lines = day_by_day(of).group_by("charge_id", "slice_from").agg(pl.col("consumed_quantity").sum())
    consumed = {(charge_id, start): quantity for charge_id, start, quantity in lines.iter_rows()}
    for each in of:
        for day in each.days:
            metered = each.usage_of(day).select(pl.col("quantity").sum()).collect().item()
            assert consumed.get((each.charge.charge_id, day.period.start), 0) == metered


@given(months(falling=True))
@settings(max_examples=BATCHES, deadline=None)
def test_a_whole_period_costs_what_openmeters_line_does(of: list[Month]) -> None:
    """Before rounding, and so after it: what rounding each detailed line adds is booked apart."""
    costs = whole(of).group_by("charge_id").agg(pl.col("billed_cost").sum())
    billed = dict(costs.iter_rows())
    expected = invoiced([(each.charge, each.quantity) for each in of])
    for each, amount in zip(of, expected, strict=True):
        # Each of at most ten components was rounded to twelve places.
        assert abs(billed.get(each.charge.charge_id, Decimal(0)) - amount) <= FINE * 10, each


@given(month(), st.randoms(use_true_random=False))
@settings(max_examples=BATCHES, deadline=None)
def test_days_computed_in_any_order_are_the_same(of: Month, chance: random.Random) -> None:
    order = list(range(len(of.days)))
    chance.shuffle(order)
    again = of.rated_in_runs(order)
    key = ["slice_from", "component", "tier", "subject", "dimensions"]
    assert_frame_equal(again.sort(key), of.rated_day_by_day().sort(key))


@given(months(falling=True), st.randoms(use_true_random=False))
@settings(max_examples=BATCHES, deadline=None)
def test_shuffled_input_rows_give_the_same_lines_in_the_same_order(
    of: list[Month], chance: random.Random
) -> None:
    pieces = [(each, *slices(each.charge)) for each in of]
    frames = []
    for each, piece in pieces:
        mixed = list(each.windows)
        chance.shuffle(mixed)
        frames.append(usage(piece, mixed))
    chance.shuffle(frames)
    assert_frame_equal(rated([piece for _, piece in pieces], pl.concat(frames)), whole(of))


@given(months(falling=True))
@settings(max_examples=BATCHES, deadline=None)
def test_no_two_lines_share_their_key_so_that_their_order_is_settled(of: list[Month]) -> None:
    assert day_by_day(of).select(LINE_KEY).is_unique().all()


@given(months(falling=True))
@settings(max_examples=BATCHES, deadline=None)
def test_every_line_costs_its_quantity_times_its_price_to_eighteen_places(of: list[Month]) -> None:
    lines = day_by_day(of)
    assert lines.schema == RATED_LINES
    for line in lines.iter_rows(named=True):
        for kind in ("list", "contracted"):
            exact = line["pricing_quantity"] * line[f"{kind}_unit_price"]
            assert abs(line[f"{kind}_cost"] - exact) <= Decimal("5e-19")
        assert line["list_unit_price"] >= 0
        assert line["contracted_unit_price"] >= 0


@given(months(kinds=[kind for kind in KINDS if "volume" not in kind]))
@settings(max_examples=BATCHES, deadline=None)
def test_rising_usage_never_costs_less_than_nothing(of: list[Month]) -> None:
    lines = day_by_day(of)
    assert lines.filter(pl.any_horizontal(pl.col(*MEASURES[2:]) < 0)).is_empty()


@given(months(kinds=["volume", "converted_volume"]))
@settings(max_examples=BATCHES, deadline=None)
def test_usage_priced_anew_costs_to_date_what_openmeter_would_book(of: list[Month]) -> None:
    """The only lines below zero take back what was charged, so that no charge is ever below zero to date."""
    days = day_by_day(of).group_by("charge_id", "slice_from").agg(pl.col("billed_cost").sum())
    found = {(charge_id, start): cost for charge_id, start, cost in days.iter_rows()}
    asked = [(each.charge, each.before(day)) for each in of for day in each.days]
    before = iter(invoiced(asked))
    for each in of:
        to_date = Decimal(0)
        for number, day in enumerate(each.days):
            expected = next(before)
            # Nothing is owed before the first day, not even a fee.
            assert number == 0 or abs(to_date - expected) <= FINE * 10
            to_date += found.get((each.charge.charge_id, day.period.start), Decimal(0))
            assert to_date >= -FINE


@given(graduated_prices(), st.integers(0, 6 * 10**10))
@settings(max_examples=EXAMPLES // 4, deadline=None)
def test_the_whole_period_is_priced_by_the_definition_of_graduated_tiers(
    price: dict[str, Any], units: int
) -> None:
    quantity = Decimal(units).scaleb(-9)
    of = Month(charge(price), [(START, "a", "{}", f"{quantity:f}")], cuts=[])
    expected, start = Decimal(0), Decimal(0)
    for number, tier in enumerate(price["tiers"]):
        end = quantity if tier["up_to_amount"] is None else Decimal(tier["up_to_amount"])
        if quantity > start or number == 0:
            expected += Decimal(tier["flat_price"] or 0)
        if quantity > start:
            part = (min(quantity, end) - start) * Decimal(tier["unit_price"] or 0)
            expected += part
        start = end
    tolerance = Decimal("5e-19") * len(price["tiers"])
    assert abs(total(of.rated_whole(), "contracted_cost") - expected) <= tolerance


@given(months(), st.integers(0, HOURS - 1), st.integers(1, 10**10))
@settings(max_examples=BATCHES, deadline=None)
def test_late_usage_and_its_later_days_rated_again_add_up_as_if_it_had_been_there(
    of: list[Month], hour: int, units: int
) -> None:
    late = (START + hour * HOUR, "a", '{"m":"x"}', f"{Decimal(units).scaleb(-9):f}")
    restated = [Month(each.charge, [*each.windows, late], each.cuts) for each in of]
    touched = {
        each.charge.charge_id: [n for n, day in enumerate(each.days) if day.period.end > late[0]]
        for each in of
    }
    kept = {
        each.charge.charge_id: [n for n in range(len(each.days)) if n not in touched[each.charge.charge_id]]
        for each in of
    }
    before = [day_by_day(of, kept)] if any(kept.values()) else []
    mixed = pl.concat([*before, day_by_day(restated, touched)])
    assert_frame_equal(by_component(mixed), by_component(day_by_day(restated)))


def test_quantities_keep_nine_places_when_they_are_added_up() -> None:
    of = Month(charge(unit("1")), [(START + n * HOUR, "a", "{}", QUANTITY) for n in range(10)], [5])
    lines = of.rated_day_by_day()
    assert lines["consumed_quantity"].dtype == METERED_QUANTITY
    assert lines["contracted_cost"].to_list() == [Decimal("5e-9"), Decimal("5e-9")]
