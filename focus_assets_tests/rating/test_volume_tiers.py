"""Volume tiers by day: one tier prices all, and what passes a bound prices everybody's usage anew."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from focus_assets.rating import price_table
from focus_assets.rating.lines import EARLIER_USAGE
from focus_assets_tests.rating.charges import (
    END,
    HOUR,
    START,
    charge,
    opening,
    rated,
    slices,
    unit,
    usage,
    volume,
)
from focus_assets_tests.rating.whole_line import invoiced_for

TIERS = volume(("15", "10", None), (None, "5", None))
WITH_FEES = volume(("15", "10", "7"), (None, "5", "3"))
Used = tuple[str, str]
"""(subject, quantity)"""


def days(used: Sequence[Sequence[Used]], before: str = "0", **of: Any) -> pl.DataFrame:
    """Each day's usage by subject; days begin an hour apart and are rated in one call."""
    sold = charge(**of)
    pieces = slices(sold, [*(START + n * HOUR for n in range(len(used))), END])
    frames = [
        usage(piece, [(piece.period.start, subject, "{}", quantity) for subject, quantity in of_day])
        for piece, of_day in zip(pieces, used, strict=True)
    ]
    return rated(pieces, pl.concat(frames), opening({sold.charge_id: before}))


def told(lines: pl.DataFrame) -> list[tuple[str, int | None, str | None, str, str]]:
    """(component, tier, subject, priced, billed) of the last day."""
    last = lines.filter(pl.col("slice_from") == pl.col("slice_from").max())
    columns = ("component", "tier", "subject", "pricing_quantity", "billed_cost")
    return [
        (component, tier, subject, f"{quantity.normalize():f}", f"{billed.normalize():f}")
        for component, tier, subject, quantity, billed in last.select(columns).iter_rows()
    ]


def test_a_day_within_a_tier_has_lines_of_its_own_usage_only() -> None:
    assert told(days([[("a", "10")], [("b", "5")]], price=TIERS)) == [("usage", 1, "b", "5", "50")]


def test_the_day_that_passes_a_bound_takes_back_the_old_tier_and_charges_the_new_one_for_everybody() -> None:
    lines = days([[("a", "10")], [("b", "5")], [("b", "1")]], price=TIERS)
    assert told(lines) == [
        ("usage", 1, "a", "-10", "-100"),
        ("usage", 1, "b", "-5", "-50"),
        ("usage", 2, "a", "10", "50"),
        ("usage", 2, "b", "6", "30"),
    ]
    assert lines["consumed_quantity"].sum() == 16
    of_last_day = lines.filter(pl.col("slice_from") == pl.col("slice_from").max())
    assert of_last_day["consumed_quantity"].sum() == 1


def test_a_day_rated_alone_knows_from_earlier_usage_whose_it_was() -> None:
    sold = charge(TIERS)
    *_, last = slices(sold, [START, START + HOUR, START + 2 * HOUR, END])
    used = [(START, "a", "10"), (START + HOUR, "b", "5")]
    rows = [(sold.charge_id, at, subject, "{}", Decimal(quantity)) for at, subject, quantity in used]
    alone = rated(
        [last],
        usage(last, [(last.period.start, "b", "{}", "1")]),
        opening({sold.charge_id: "15"}),
        pl.LazyFrame(rows, schema=EARLIER_USAGE, orient="row"),
    )
    together = days([[("a", "10")], [("b", "5")], [("b", "1")]], price=TIERS)
    assert told(alone) == told(together)


def test_usage_before_the_first_day_is_priced_anew_without_subject() -> None:
    assert told(days([[("a", "1")]], before="15", price=TIERS)) == [
        ("usage", 1, None, "-15", "-150"),
        ("usage", 2, None, "15", "75"),
        ("usage", 2, "a", "1", "5"),
    ]


def test_a_bound_itself_belongs_to_the_lower_tier() -> None:
    assert told(days([[("a", "15")]], price=TIERS)) == [("usage", 1, "a", "15", "150")]


def test_a_day_that_passes_two_bounds_has_no_lines_of_the_tier_between() -> None:
    tiers = volume(("10", "3", None), ("20", "2", None), (None, "1", None))
    assert told(days([[("a", "5")], [("a", "20")]], price=tiers)) == [
        ("usage", 1, "a", "-5", "-15"),
        ("usage", 3, "a", "25", "25"),
    ]


def test_the_first_tiers_flat_part_is_due_without_usage_and_taken_back_when_the_tier_is_left() -> None:
    assert told(days([[]], price=WITH_FEES)) == [("tier_fee", 1, None, "1", "7")]
    assert told(days([[("a", "15")], [("a", "1")]], price=WITH_FEES)) == [
        ("tier_fee", 1, None, "-1", "-7"),
        ("tier_fee", 2, None, "1", "3"),
        ("usage", 1, "a", "-15", "-150"),
        ("usage", 2, "a", "16", "80"),
    ]


def test_usage_that_falls_back_is_priced_by_the_lower_tier_again() -> None:
    assert told(days([[("a", "16")], [("a", "-1")]], price=TIERS)) == [
        ("usage", 1, "a", "15", "150"),
        ("usage", 2, "a", "-16", "-80"),
    ]


def test_a_quantity_below_zero_is_priced_by_the_first_tier_as_openmeter_does() -> None:
    assert told(days([[("a", "-2")]], price=TIERS)) == [("usage", 1, "a", "-2", "-20")]
    assert invoiced_for(charge(TIERS), "-2") == -20


def test_free_units_of_the_plan_stay_free_in_every_tier() -> None:
    lines = days([[("a", "4"), ("b", "8")], [("b", "9")]], price=TIERS, free="5")
    assert told(lines) == [
        ("usage", 1, "b", "-7", "-70"),
        ("usage", 2, "b", "16", "80"),
    ]
    assert lines.filter(component="free").select("subject", "pricing_quantity").rows() == [("a", 4), ("b", 1)]


def test_free_units_of_one_customer_have_the_list_price_of_the_tier_that_holds_the_total() -> None:
    lines = days([[("a", "5")], [("a", "20")]], price=TIERS, published=TIERS, free="5")
    free = lines.filter(component="free").select("tier", "pricing_quantity", "list_cost", "contracted_cost")
    # The plan's tier ends at 15, the customer's at 20: together they make three.
    assert free.rows() == [(1, 5, 50, 0), (1, -5, -50, 0), (3, 5, 25, 0)]


def test_one_price_on_a_plan_of_volume_tiers_has_the_published_tiers_as_list_prices() -> None:
    lines = days([[("a", "15")], [("a", "1")]], price=unit("4"), published=TIERS)
    last = lines.filter(pl.col("slice_from") == pl.col("slice_from").max())
    assert last.select("tier", "list_cost", "contracted_cost").rows() == [(1, -150, -60), (2, 80, 64)]


def test_the_first_tier_is_looked_up_behind_the_published_free_units() -> None:
    [whole] = slices(charge(TIERS, free="5"))
    looked_up = price_table([whole]).select("component", "tier", "published_at").collect()
    assert looked_up.rows() == [("free", None, 0), ("usage", 1, 5), ("usage", 2, 20)]


def test_a_maximum_limits_what_is_left_after_usage_is_priced_anew() -> None:
    lines = days([[("a", "15")], [("a", "1")]], price={**TIERS, "maximum_amount": "100"})
    by_day = lines.group_by("slice_from", maintain_order=True).agg(pl.col("billed_cost").sum())
    assert by_day["billed_cost"].to_list() == [Decimal(100), Decimal(-20)]
