"""Graduated tiers: bounds, fees, falling quantities, and the order in which usage fills tiers."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from focus_assets.rating import ChargeNotRated, price_table, rate, slice_table
from focus_assets_tests.rating.charges import (
    HOUR,
    START,
    brief,
    charge,
    graduated,
    one_day,
    opening,
    rated,
    slices,
    unit,
    usage,
)

FEES = graduated(("5", "0", "100"), ("10", None, "50"), ("15", "5", None), (None, "1", None))
RATES = graduated(("10", "3", None), ("20", "2", None), (None, "1", None))


def test_usage_that_walks_all_tiers_has_a_line_for_each_tier_and_each_fee() -> None:
    assert brief(one_day(FEES, "22")) == [
        ("tier_fee", 1, "1", "100"),
        ("tier_fee", 2, "1", "50"),
        ("usage", 1, "5", "0"),
        ("usage", 2, "5", "0"),
        ("usage", 3, "5", "25"),
        ("usage", 4, "7", "7"),
    ]


def test_a_tier_without_unit_price_still_shows_what_was_consumed() -> None:
    lines = one_day(FEES, "3", before="6", begins=False)
    assert brief(lines) == [("usage", 2, "3", "0")]
    assert lines["consumed_quantity"].item() == 3
    assert lines["contracted_unit_price"].item() == 0


def test_the_first_tiers_fee_is_due_once_when_the_charge_begins_even_without_usage() -> None:
    assert brief(one_day(FEES, None)) == [("tier_fee", 1, "1", "100")]
    assert brief(one_day(FEES, None, begins=False)) == []


def test_a_quantity_that_lands_on_a_bound_stays_in_the_lower_tier() -> None:
    assert brief(one_day(FEES, "5", begins=False)) == [("usage", 1, "5", "0")]


def test_the_next_unit_enters_the_next_tier_and_owes_its_whole_fee() -> None:
    assert brief(one_day(FEES, "0.000000001", before="5", begins=False)) == [
        ("tier_fee", 2, "1", "50"),
        ("usage", 2, "0.000000001", "0"),
    ]


def test_a_fee_line_has_no_consumed_quantity_subject_or_dimensions() -> None:
    fee = one_day(FEES, None).row(0, named=True)
    assert fee["consumed_quantity"] is None
    assert fee["subject"] is None
    assert fee["dimensions"] == "{}"


def test_a_fee_is_reversed_when_the_quantity_falls_back() -> None:
    assert brief(one_day(FEES, "-3", before="7", begins=False)) == [
        ("tier_fee", 2, "-1", "-50"),
        ("usage", 1, "-1", "0"),
        ("usage", 2, "-2", "0"),
    ]


def test_a_negative_quantity_to_date_is_refused_by_name() -> None:
    with pytest.raises(ChargeNotRated, match=r"charge acme/tokens has a negative quantity to date"):
        one_day(FEES, "-3", before="2")
    with pytest.raises(ChargeNotRated, match=r"charge acme/tokens has a negative quantity to date"):
        one_day(FEES, "3", before="-2")


def test_a_dip_below_zero_within_a_day_that_ends_above_is_priced_by_its_end() -> None:
    [whole] = slices(charge(RATES))
    windows = [(START, "a", "{}", "-4"), (START + HOUR, "b", "{}", "6")]
    lines = rated([whole], usage(whole, windows))
    assert lines.select("subject", "consumed_quantity", "pricing_quantity").rows() == [
        ("a", -4, 0),
        ("b", 6, 2),
    ]


def test_within_a_day_usage_fills_tiers_by_window_then_subject_then_dimensions() -> None:
    [whole] = slices(charge(RATES))
    windows = [
        (START + HOUR, "a", '{"model":"x"}', "6"),
        (START, "b", '{"model":"y"}', "4"),
        (START, "b", '{"model":"x"}', "4"),
        (START, "a", '{"model":"z"}', "4"),
    ]
    lines = rated([whole], usage(whole, windows)).select(
        "tier", "subject", "dimensions", "consumed_quantity", "contracted_cost"
    )
    assert lines.rows() == [
        (1, "a", '{"model":"z"}', 4, 12),
        (1, "b", '{"model":"x"}', 4, 12),
        (1, "b", '{"model":"y"}', 2, 6),
        (2, "a", '{"model":"x"}', 6, 12),
        (2, "b", '{"model":"y"}', 2, 4),
    ]


def test_windows_of_one_subject_and_combination_of_dimensions_are_one_line_per_tier() -> None:
    [whole] = slices(charge(RATES))
    windows = [(START + n * HOUR, "a", "{}", "0.5") for n in range(24)]
    assert brief(rated([whole], usage(whole, windows))) == [("usage", 1, "10", "30"), ("usage", 2, "2", "4")]


def test_two_slices_of_a_day_follow_each_other() -> None:
    noon = START + 3 * HOUR
    first, second = slices(charge(RATES), (START, noon, START + 6 * HOUR))
    windows = [usage(first, [(START, "a", "{}", "8")]), usage(second, [(noon, "a", "{}", "8")])]
    lines = rated([first, second], windows[1].collect().vstack(windows[0].collect()).lazy())
    assert lines.select("slice_from", "tier", "pricing_quantity").rows() == [
        (START, 1, 8),
        (noon, 1, 2),
        (noon, 2, 6),
    ]


def test_list_and_contracted_tiers_with_other_bounds_are_cut_at_both() -> None:
    published = graduated(("10", "4", "9"), (None, "2", "8"))
    negotiated = graduated(("15", "3", None), (None, "1", "5"))
    lines = one_day(negotiated, "20", published=published)
    assert brief(lines) == [
        ("tier_fee", 1, "1", "0"),
        ("tier_fee", 2, "1", "0"),
        ("tier_fee", 3, "1", "5"),
        ("usage", 1, "10", "30"),
        ("usage", 2, "5", "15"),
        ("usage", 3, "5", "5"),
    ]
    assert lines["list_cost"].to_list() == [9, 8, 0, 40, 10, 10]


def test_the_order_of_slices_segments_and_openings_does_not_matter() -> None:
    both = [charge(FEES, charge_id="a"), charge(RATES, charge_id="b")]
    days = [day for of in both for day in slices(of, [START + n * HOUR for n in range(5)])]
    windows = pl.concat([usage(day, [(day.period.start, "x", "{}", "4")]) for day in days])
    tables = [windows, opening({"a": "3", "b": "1"}), slice_table(days), price_table(days)]
    assert_frame_equal(
        rate(*(table.reverse() for table in tables)).collect(), rate(*tables).collect(), check_row_order=True
    )


def test_many_charges_are_rated_apart() -> None:
    cheap, dear = charge(RATES, charge_id="a"), charge(unit("7"), charge_id="b")
    [one], [two] = slices(cheap), slices(dear)
    both = [
        usage(one, [(START, "a", "{}", "11")]).collect(),
        usage(two, [(START, "a", "{}", "11")]).collect(),
    ]
    lines = rated([one, two], both[0].vstack(both[1]).lazy(), opening({"a": "1", "z": "5"}))
    assert lines.select("charge_id", "tier", "contracted_cost").rows() == [
        ("a", 1, 27),
        ("a", 2, 4),
        ("b", None, 77),
    ]


def test_amounts_at_the_ends_of_the_range_stay_exact() -> None:
    price = graduated(("1000000000000000", "0.000000000001", None), (None, "0.000000000003", None))
    lines = one_day(price, "1000000000000000.000001")
    assert lines["contracted_cost"].to_list() == [1000, Decimal("3e-18")]


def test_a_cost_outside_the_range_is_refused_by_name() -> None:
    with pytest.raises(ChargeNotRated, match=r"charge acme/tokens would cost more than the supported range"):
        one_day(unit("1000000"), "1000000000000000")
    with pytest.raises(ChargeNotRated, match=r"charge acme/tokens has a quantity to date outside"):
        one_day(unit("0.000000000001"), "1", before="9999999999999999")


def test_usage_outside_the_slices_is_refused_by_name() -> None:
    [known] = slices(charge(RATES))
    [other] = slices(charge(RATES, charge_id="other/tokens"))
    with pytest.raises(ChargeNotRated, match=r"charge other/tokens has usage in a slice that is not among"):
        rated([known], usage(other, [(START, "a", "{}", "1")]))


def test_a_charge_without_a_price_is_refused_by_name() -> None:
    [priced] = slices(charge(RATES))
    [other] = slices(charge(RATES, charge_id="other/tokens"))
    with pytest.raises(ChargeNotRated, match=r"charge other/tokens has no price"):
        rate(usage(priced, []), opening(), slice_table([priced, other]), price_table([priced])).collect()
