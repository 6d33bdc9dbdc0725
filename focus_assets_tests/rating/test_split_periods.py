"""Periods that are invoiced in parts: the days of each part come to OpenMeter's line of that part."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_assets.catalog.charges import Charge
from focus_assets.catalog.periods import Period
from focus_assets.rating import SPLITS, ChargeNotRated
from focus_assets.rating.detailed_lines import Line, detailed_lines, line_tables
from focus_assets_tests.rating.charges import HOUR, START, charge, opening, rated, slices, unit, usage, volume
from focus_assets_tests.rating.months import (
    BATCHES,
    KINDS,
    Month,
    day_by_day,
    month,
)
from focus_assets_tests.rating.test_spend_limits import limited_months
from focus_assets_tests.rating.whole_line import FINE

Split = tuple[Month, Period]


def lines_of(of: list[Split], previously: list[Decimal]) -> pl.DataFrame:
    """OpenMeter's detailed lines of each part, called by number."""

    def line(number: int, each: Month, part: Period) -> Line:
        before = each.used_before(part.start)
        return Line(
            line_id=f"{number}",
            price=each.charge.rate_card.price,
            discounts=each.charge.rate_card.discounts,
            unit_config=each.charge.rate_card.unit_config,
            minor_unit=FINE,
            period=part,
            full_period=each.charge.period,
            before=before,
            quantity=each.used_before(part.end) - before,
            previously_billed=previously[number],
        )

    tables = line_tables([line(number, *each) for number, each in enumerate(of)])
    return detailed_lines(tables.lines, tables.tiers, tables.credits).collect()


def summed(lines: pl.DataFrame, column: str, count: int) -> list[Decimal]:
    sums = dict(lines.group_by("line_id").agg(pl.col(column).sum()).iter_rows())
    return [sums.get(f"{number}", Decimal(0)) for number in range(count)]


def invoiced(of: list[Month], cuts: list[list[int]]) -> dict[tuple[str, int], Decimal]:
    """What OpenMeter bills for each part of each month: by charge and the number of the part."""
    parts = [(each, part) for each, chosen in zip(of, cuts, strict=True) for part in each.parts(chosen)]
    # The gross amount of a part does not depend on what was billed before it.
    gross = summed(lines_of(parts, [Decimal(0)] * len(parts)), "amount", len(parts))
    previously = [
        sum(
            (
                amount
                for amount, (other, earlier) in zip(gross, parts, strict=True)
                if other is each and earlier.start < part.start
            ),
            Decimal(0),
        )
        for each, part in parts
    ]
    totals = summed(lines_of(parts, previously), "total", len(parts))
    found: dict[tuple[str, int], Decimal] = {}
    for (each, part), total in zip(parts, totals, strict=True):
        chosen = cuts[of.index(each)]
        found[each.charge.charge_id, each.parts(chosen).index(part)] = total
    return found


def billed(of: list[Month], cuts: list[list[int]]) -> dict[tuple[str, int], Decimal]:
    """What the days of each part come to, every day rated as if nothing were known of the others."""
    lines = day_by_day(of, splits=cuts)
    found: dict[tuple[str, int], Decimal] = {}
    for each, chosen in zip(of, cuts, strict=True):
        mine = lines.filter(pl.col("charge_id") == each.charge.charge_id)
        for number, part in enumerate(each.parts(chosen)):
            within = mine.filter(pl.col("slice_from") >= part.start, pl.col("slice_from") < part.end)
            found[each.charge.charge_id, number] = sum(within["billed_cost"], Decimal(0))
    return found


def assert_parts_are_openmeters(of: list[Month], cuts: list[list[int]]) -> None:
    expected, found = invoiced(of, cuts), billed(of, cuts)
    for key, amount in expected.items():
        # Rounded components of this part, and of earlier ones that limits count.
        assert abs(found[key] - amount) <= FINE * 60, (key, found[key], amount)


def chosen_cuts(of: list[Month], chance: Any) -> list[list[int]]:
    return [sorted(cut for cut in each.cuts if chance.random() < 0.5) for each in of]


UNSPLITTABLE = ("volume", "converted_volume")
SPLITTABLE = [kind for kind in KINDS if kind not in UNSPLITTABLE]


@given(limited_months(SPLITTABLE), st.randoms(use_true_random=False))
@settings(max_examples=BATCHES, deadline=None)
def test_the_days_of_each_part_come_to_openmeters_line_of_it(of: list[Month], chance: Any) -> None:
    assert_parts_are_openmeters(of, chosen_cuts(of, chance))


@given(
    st.lists(month(falling=True, kinds=["marginal", "package"]), min_size=6, max_size=6),
    st.randoms(use_true_random=False),
)
@settings(max_examples=BATCHES, deadline=None)
def test_usage_taken_back_does_not_credit_an_earlier_part(of: list[Month], chance: Any) -> None:
    splittable = [
        replace(each, charge=replace(each.charge, charge_id=f"charge-{n}"))
        for n, each in enumerate(of)
        # Graduated tiers price no part that takes usage back.
        if each.charge.rate_card.price.type != "tiered"
    ]
    if splittable:
        assert_parts_are_openmeters(splittable, chosen_cuts(splittable, chance))


def example(units: str = "80", **of: Any) -> list[Decimal]:
    """``units`` in each half of a period that is invoiced in two parts; what the halves are billed."""
    sold = charge(**of)
    whole = Month(sold, [(START, "a", "{}", units), (START + 10 * HOUR, "a", "{}", units)], [10])
    return list(billed([whole], [[10]]).values())


def parts_of(charged: Charge, windows: list[tuple[int, str]]) -> list[Decimal]:
    """What two parts of a period are billed, the second from hour 10 on; every window is a day of its own."""
    whole = Month(
        charged,
        [(START + hour * HOUR, "a", "{}", units) for hour, units in windows],
        sorted({10, *(hour for hour, _ in windows if hour)}),
    )
    return list(billed([whole], [[10]]).values())


def test_a_part_that_takes_usage_back_beyond_the_units_that_the_plan_leaves_free_is_billed_nothing() -> None:
    """Each unit costs 1; of the plan's the first 10 are free. The first part is 20. The second ends at 20 + 5 - 20 =
    5, below where it began: it credits nothing of the first part, and costs nothing."""
    sold = charge(unit("1"), published=unit("1"), published_free="10")
    assert parts_of(sold, [(0, "20"), (11, "5"), (12, "-20")]) == [Decimal(20), Decimal(0)]


def test_a_part_that_takes_usage_back_within_the_units_that_the_plan_leaves_free_is_billed_what_it_adds() -> (
    None
):
    """The first part is 5; the second comes to 5 - 2 + 12 = 15, which is 10 above where it began."""
    sold = charge(unit("1"), published=unit("1"), published_free="10")
    assert parts_of(sold, [(0, "5"), (11, "-2"), (12, "12")]) == [Decimal(5), Decimal(10)]


def test_units_that_are_free_to_the_customer_are_priced_in_no_part_that_begins_beyond_them() -> None:
    """10 of the first part's 20 are free. The second ends at 20 - 14 + 3 = 9, below where it began: nothing."""
    sold = charge(unit("1"), free="10")
    windows = [(START + hour * HOUR, "a", "{}", units) for hour, units in ((0, "20"), (11, "-14"), (12, "3"))]
    lines = day_by_day([Month(sold, windows, [10, 12])], splits=[[10]])
    of_part = lines.filter(pl.col("slice_from") >= START + 10 * HOUR)
    priced = dict(of_part.group_by("component").agg(pl.col("pricing_quantity").sum()).iter_rows())
    assert set(priced.values()) <= {Decimal(0)}


def test_percentage_and_maximum_count_what_earlier_parts_were_billed_before_their_percentage() -> None:
    price = {**unit("1"), "maximum_amount": "100"}
    assert example(price=price, percentage="20") == [Decimal(64), Decimal(20)]
    whole = Month(charge(price, percentage="20"), [(START, "a", "{}", "160")], [])
    assert whole.rated_whole()["billed_cost"].to_list() == [Decimal(100)]


def test_a_negotiated_percentage_counts_the_same() -> None:
    price = {**unit("1"), "maximum_amount": "100"}
    assert example(price=price, published=unit("1"), percentage="20") == [Decimal(64), Decimal(20)]


def test_a_minimum_counts_what_earlier_parts_were_billed_before_their_percentage() -> None:
    # 80 before, 64 of the second part: 144 of 150.
    price = {**unit("1"), "minimum_amount": "150"}
    assert example(price=price, percentage="20") == [Decimal(64), Decimal(70)]


def test_converted_units_are_rounded_in_each_part() -> None:
    config = {"operation": "divide", "conversion_factor": "100", "rounding": "ceiling"}
    assert example("40", price=unit("3"), unit_config=config) == [Decimal(3), Decimal(3)]


def test_a_minimum_counts_what_a_maximum_of_zero_took_off_earlier_parts() -> None:
    price = {**unit("1"), "minimum_amount": "60", "maximum_amount": "0"}
    assert example(price=price) == [Decimal(0), Decimal(0)]


def refused(price: dict[str, Any], parts: list[tuple[Any, Any, str]]) -> str:
    sold = charge(price)
    [whole] = slices(sold)
    rows = [(sold.charge_id, start, end, Decimal(before), None, Decimal(0)) for start, end, before in parts]
    with pytest.raises(ChargeNotRated) as caught:
        rated(
            [whole],
            usage(whole, [(START, "a", "{}", "1")]),
            opening(),
            splits=pl.LazyFrame(rows, schema=SPLITS, orient="row"),
        )
    return str(caught.value)


def test_volume_tiers_are_not_invoiced_in_parts() -> None:
    told = refused(volume(("5", "1", None), (None, "2", None)), [(START, charge(unit("1")).period.end, "0")])
    assert told.startswith("charge acme/tokens has an invoice for a part of its period, which volume tiers")


def test_a_slice_that_lies_in_no_part_is_refused() -> None:
    told = refused(unit("1"), [(START, START + HOUR, "0")])
    assert "this slice lies in none of the parts" in told
