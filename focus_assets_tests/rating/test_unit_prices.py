"""Unit prices, alone and beside the published price."""

from __future__ import annotations

from decimal import Decimal

from focus_assets.rating import RATED_LINES
from focus_assets_tests.rating.charges import brief, graduated, one_day, unit


def test_every_unit_costs_the_same() -> None:
    lines = one_day(unit("0.0025"), "1000")
    assert brief(lines) == [("usage", None, "1000", "2.5")]
    assert lines.schema == RATED_LINES
    line = lines.row(0, named=True)
    assert line["billed_cost"] == line["effective_cost"] == line["contracted_cost"] == line["list_cost"]


def test_no_usage_is_no_line() -> None:
    assert brief(one_day(unit("10"), None)) == []
    assert brief(one_day(unit("10"), "0")) == []


def test_costs_are_not_rounded_to_cents() -> None:
    assert one_day(unit("0.000000000001"), "0.000001")["billed_cost"].item() == Decimal("1e-18")


def test_what_falls_below_zero_is_consumed_but_not_priced() -> None:
    lines = one_day(unit("10"), "-8", before="5")
    assert brief(lines) == [("usage", None, "-5", "-50")]
    assert lines["consumed_quantity"].item() == -8


def test_usage_after_a_negative_quantity_is_priced_from_zero_on() -> None:
    lines = one_day(unit("10"), "8", before="-3")
    assert brief(lines) == [("usage", None, "5", "50")]
    assert lines["consumed_quantity"].item() == 8


def test_usage_that_stays_below_zero_is_kept_at_no_cost() -> None:
    lines = one_day(unit("10"), "2", before="-3")
    assert brief(lines) == [("usage", None, "0", "0")]
    assert lines["consumed_quantity"].item() == 2


def test_a_negotiated_price_leaves_the_list_cost_at_the_published_one() -> None:
    line = one_day(unit("0.0085"), "1000", published=unit("0.01")).row(0, named=True)
    assert (line["list_unit_price"], line["list_cost"]) == (Decimal("0.01"), 10)
    assert (line["contracted_unit_price"], line["contracted_cost"]) == (Decimal("0.0085"), Decimal("8.5"))
    assert line["billed_cost"] == line["effective_cost"] == Decimal("8.5")


def test_one_price_on_a_tiered_plan_has_a_line_for_each_published_tier() -> None:
    published = graduated(("10", "3", None), (None, "2", "7"))
    lines = one_day(unit("1"), "15", published=published)
    assert brief(lines) == [("tier_fee", 2, "1", "0"), ("usage", 1, "10", "10"), ("usage", 2, "5", "5")]
    assert lines["list_cost"].to_list() == [7, 30, 10]
    assert lines["contracted_cost"].to_list() == [0, 10, 5]
