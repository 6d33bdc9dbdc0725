"""Days add up to the period: random prices, random usage, cut into random days.

The whole period rated at once is the reference. It is itself compared with the definition of graduated
prices, computed apart with Python decimals.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from focus_assets.catalog.charges import Charge, ChargeSlice
from focus_assets.decimals import METERED_QUANTITY
from focus_assets.rating import RATED_LINES
from focus_assets_tests.rating.charges import (
    END,
    HOUR,
    START,
    Window,
    charge,
    graduated,
    opening,
    rated,
    slices,
    unit,
    usage,
)

EXAMPLES = int(os.environ.get("FOCUS_ASSETS_EXAMPLES", "60"))
"""Examples of each property; more of them in a longer run."""

HOURS = int((END - START) / HOUR)
QUANTITY = "0.000000001"


def decimal_text(largest: int, places: int) -> st.SearchStrategy[str]:
    return st.integers(0, largest).map(lambda n: f"{Decimal(n).scaleb(-places):f}")


amounts = st.one_of(decimal_text(10**13, 12), decimal_text(500, 2), st.just("0"))


@st.composite
def graduated_prices(draw: st.DrawFn, places: int = 9) -> dict[str, Any]:
    bounds = sorted(draw(st.sets(st.integers(1, 40 * 10**places), max_size=4)))
    tiers = []
    for bound in [*bounds, None]:
        rate, fee = draw(st.tuples(st.none() | amounts, st.none() | amounts))
        upto = None if bound is None else f"{Decimal(bound).scaleb(-places):f}"
        tiers.append((upto, "0" if rate is None and fee is None else rate, fee))
    return graduated(*tiers)


def prices(places: int) -> st.SearchStrategy[dict[str, Any]]:
    multiplied = amounts.map(lambda amount: {"type": "dynamic", "multiplier": amount})
    return st.one_of(amounts.map(unit), graduated_prices(places), multiplied, st.just({"type": "free"}))


def windows(places: int, *, falling: bool) -> st.SearchStrategy[list[Window]]:
    """At most 12 windows; where ``falling``, some take back usage, never more than there was before."""
    window = st.tuples(
        st.integers(0, HOURS - 1),
        st.sampled_from(["a", "b"]),
        st.sampled_from(['{"m":"x"}', '{"m":"y"}']),
        st.integers(-5 * 10**places if falling else 0, 10 ** (places + 1)),
    )

    def never_below_zero(found: list[tuple[int, str, str, int]]) -> list[Window]:
        kept: list[Window] = []
        to_date = 0
        for hour, subject, dimensions, units in sorted(found):
            units = max(units, -to_date)
            to_date += units
            quantity = f"{Decimal(units).scaleb(-places):f}"
            kept.append((START + hour * HOUR, subject, dimensions, quantity))
        return kept

    return st.lists(window, max_size=12).map(never_below_zero)


@dataclass(frozen=True)
class Month:
    """A charge, its usage, and the hours at which its period is cut into days.

    ``exact``: quantities have six places at most, so that no cost needs rounding to its eighteenth.
    """

    charge: Charge
    windows: list[Window]
    cuts: list[int]
    exact: bool = False

    @property
    def days(self) -> list[ChargeSlice]:
        return slices(self.charge, [START, *(START + hour * HOUR for hour in self.cuts), END])

    def usage_of(self, day: ChargeSlice) -> pl.LazyFrame:
        return usage(day, [w for w in self.windows if day.period.start <= w[0] < day.period.end])

    def opening_of(self, day: ChargeSlice) -> pl.LazyFrame:
        before = sum((Decimal(w[3]) for w in self.windows if w[0] < day.period.start), Decimal(0))
        return opening({day.charge.charge_id: f"{before:f}"} if before else {})

    def rated_day_by_day(self, chosen: Sequence[int] | None = None) -> pl.DataFrame:
        """Each day as if nothing were known of the others, in one call: every day is a charge of its own."""
        days = self.days
        alone = [
            replace(day, charge=replace(day.charge, charge_id=f"{day.charge.charge_id}/{n}"))
            for n, day in enumerate(days)
            if chosen is None or n in chosen
        ]
        lines = rated(
            alone,
            pl.concat([self.usage_of(day) for day in alone]),
            pl.concat([self.opening_of(day) for day in alone]),
        )
        return lines.with_columns(pl.lit(self.charge.charge_id).alias("charge_id"))

    def rated_in_runs(self, order: Sequence[int]) -> pl.DataFrame:
        """Each day in a call of its own."""
        days = self.days
        return pl.concat([rated([days[n]], self.usage_of(days[n]), self.opening_of(days[n])) for n in order])

    def rated_whole(self) -> pl.DataFrame:
        [whole] = slices(self.charge)
        return rated([whole], self.usage_of(whole))


@st.composite
def months(draw: st.DrawFn, *, falling: bool = False) -> Month:
    places = draw(st.sampled_from([6, 9]))
    cuts = sorted(draw(st.sets(st.integers(1, HOURS - 1), max_size=6)))
    free = st.none() | decimal_text(30 * 10**places, places)
    of = charge(
        draw(prices(places)),
        draw(st.none() | prices(places)),
        free=draw(free),
        published_free=draw(free),
    )
    return Month(of, draw(windows(places, falling=falling)), cuts, exact=places == 6)


MEASURES = (
    "consumed_quantity",
    "pricing_quantity",
    "list_cost",
    "contracted_cost",
    "billed_cost",
    "effective_cost",
)


def by_component(lines: pl.DataFrame) -> pl.DataFrame:
    """What each price component comes to; components that come to nothing are left out."""
    return (
        lines.group_by("charge_id", "component", "tier", "list_unit_price", "contracted_unit_price")
        .agg(pl.col(*MEASURES).sum())
        .filter(pl.any_horizontal(pl.col(*MEASURES) != 0))
        .sort("component", "tier")
    )


@given(months())
@settings(max_examples=EXAMPLES, deadline=None)
def test_days_add_up_to_the_whole_period_per_component(month: Month) -> None:
    assert_adds_up(month)


@given(months(falling=True))
@settings(max_examples=EXAMPLES, deadline=None)
def test_days_add_up_where_quantities_fall_and_fees_are_reversed(month: Month) -> None:
    assert_adds_up(month)


def total(lines: pl.DataFrame, measure: str) -> Decimal:
    value: Decimal = lines.select(pl.col(measure).sum()).item()
    return value


def assert_adds_up(month: Month) -> None:
    days, whole = month.rated_day_by_day(), month.rated_whole()
    each_rounded_once = Decimal(0) if month.exact else Decimal("5e-19") * (days.height + whole.height)
    component = ["component", "tier", "list_unit_price", "contracted_unit_price"]
    both = by_component(days).join(
        by_component(whole), on=component, how="full", coalesce=True, nulls_equal=True, suffix="_whole"
    )
    for row in both.iter_rows(named=True):
        for measure in MEASURES:
            difference = abs((row[measure] or Decimal(0)) - (row[f"{measure}_whole"] or Decimal(0)))
            assert difference <= (each_rounded_once if measure.endswith("cost") else 0), (measure, row)
    for measure in MEASURES:
        assert abs(total(days, measure) - total(whole, measure)) <= each_rounded_once


@given(months())
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_is_consumed_is_what_was_metered_on_every_day(month: Month) -> None:
    lines = month.rated_day_by_day()
    for day in month.days:
        metered = month.usage_of(day).select(pl.col("quantity").sum()).collect().item()
        of_day = lines.filter(pl.col("slice_from") == day.period.start)
        assert of_day["consumed_quantity"].sum() == metered


@given(months(), st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES // 4, deadline=None)
def test_days_computed_in_any_order_are_the_same(month: Month, chance: random.Random) -> None:
    order = list(range(len(month.days)))
    chance.shuffle(order)
    again = month.rated_in_runs(order)
    key = ["slice_from", "component", "tier", "subject", "dimensions"]
    assert_frame_equal(again.sort(key), month.rated_day_by_day().sort(key))


@given(months(falling=True), st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES, deadline=None)
def test_shuffled_input_rows_give_the_same_lines_in_the_same_order(
    month: Month, chance: random.Random
) -> None:
    [whole] = slices(month.charge)
    mixed = list(month.windows)
    chance.shuffle(mixed)
    assert_frame_equal(rated([whole], usage(whole, mixed)), month.rated_whole())


@given(months())
@settings(max_examples=EXAMPLES, deadline=None)
def test_every_line_costs_its_quantity_times_its_price(month: Month) -> None:
    lines = month.rated_day_by_day()
    assert lines.schema == RATED_LINES
    for line in lines.iter_rows(named=True):
        for kind in ("list", "contracted"):
            exact = line["pricing_quantity"] * line[f"{kind}_unit_price"]
            assert abs(line[f"{kind}_cost"] - exact) <= Decimal("5e-19")
        assert line["list_unit_price"] >= 0
        assert line["contracted_unit_price"] >= 0


@given(months())
@settings(max_examples=EXAMPLES, deadline=None)
def test_rising_usage_never_costs_less_than_nothing(month: Month) -> None:
    lines = month.rated_day_by_day()
    assert lines.filter(pl.any_horizontal(pl.col(*MEASURES[2:]) < 0)).is_empty()


@given(graduated_prices(), st.integers(0, 6 * 10**10))
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_whole_period_is_priced_by_the_definition_of_graduated_tiers(
    price: dict[str, Any], units: int
) -> None:
    quantity = Decimal(units).scaleb(-9)
    month = Month(charge(price), [(START, "a", "{}", f"{quantity:f}")], cuts=[])
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
    assert abs(total(month.rated_whole(), "contracted_cost") - expected) <= tolerance


@given(months(), st.integers(0, HOURS - 1), st.integers(1, 10**10))
@settings(max_examples=EXAMPLES, deadline=None)
def test_late_usage_and_its_later_days_rated_again_add_up_as_if_it_had_been_there(
    month: Month, hour: int, units: int
) -> None:
    late = (START + hour * HOUR, "a", '{"m":"x"}', f"{Decimal(units).scaleb(-9):f}")
    restated = Month(month.charge, [*month.windows, late], month.cuts)
    touched = [n for n, day in enumerate(month.days) if day.period.end > late[0]]
    kept = [n for n in range(len(month.days)) if n not in touched]
    before = [month.rated_day_by_day(kept)] if kept else []
    mixed = pl.concat([*before, restated.rated_day_by_day(touched)])
    assert_frame_equal(by_component(mixed), by_component(restated.rated_day_by_day()))


def test_quantities_keep_nine_places_when_they_are_added_up() -> None:
    month = Month(charge(unit("1")), [(START + n * HOUR, "a", "{}", QUANTITY) for n in range(10)], [5])
    lines = month.rated_day_by_day()
    assert lines["consumed_quantity"].dtype == METERED_QUANTITY
    assert lines["contracted_cost"].to_list() == [Decimal("5e-9"), Decimal("5e-9")]
