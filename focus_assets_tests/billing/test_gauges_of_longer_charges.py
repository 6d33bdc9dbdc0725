"""Late usage of a closed week that nobody bills, of meters that do not add up over time.

A charge goes on for four weeks from 1 August and is invoiced by the week; ``to_date`` is what it has come to by the end
of each day. The first week closes, and then its values are others. Figures are worked out by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.settings import BillingSettings
from focus_assets_tests.billing.test_days_together import Gauged
from focus_assets_tests.billing.test_late_usage_of_longer_charges import as_of, paid, require_sound
from focus_assets_tests.billing.weeks import AFTER, configuration, price

D = Decimal
EITHER = pytest.mark.parametrize("late_usage", ["rebilled", "not_billed"])


class Valued(Gauged):
    """Its values are part of what a lake is computed from."""

    def _input(self, first: int, last: int) -> str:
        return super()._input(first, last) + repr(sorted(self.to_date.items()))


def gauged(
    root: Path, aggregation: str, to_date: Mapping[int, str], late_usage: Any, sold: Any = None
) -> Valued:
    """Seats at 1.00 each, by values of some days that stay until the next one."""
    base = configuration()
    meter = {
        "slug": "seats",
        "event_type": "seat",
        "aggregation": aggregation,
        "value_property": "$.seats",
        "unit": "Seats",
    }
    card = {"feature": "seats", "billing_cadence": "P4W", "price": sold or price("1")}
    catalog = configuration(
        meters=[meter],
        features=[{"key": "seats", "meter": "seats"}],
        plans=[base["plans"][0] | {"rate_cards": [card]}],
        subscriptions=base["subscriptions"][:1],
    )
    terms = BillingSettings(late_usage=late_usage)
    return Valued(root, usage=(), catalog=catalog, as_of=AFTER, terms=terms, to_date=by_day(to_date))


def by_day(values: Mapping[int, str]) -> dict[int, str]:
    """Of every day from the first of ``values`` on."""
    return {day: values[max(each for each in values if each <= day)] for day in range(min(values), 29)}


def late(found: Valued, values: Mapping[int, str], weeks: int = 2) -> Valued:
    """The first week has closed; then the values are others, and later weeks close."""
    found.compute(1, 7)
    found.to_date = by_day(values)
    as_of(found, weeks)
    return found


FIRST = {1: "61", 3: "139"}
NOTHING, LATE = D(0), D(30)
CASES = {
    # Nobody bills the 30, but the second week how far the value rises in it, as OpenMeter's classic lines do.
    "MAX that rises": ("MAX", {9: "180"}, "169", [D(139), D(11), NOTHING], [D(139), D(11), LATE]),
    "MAX that stays": ("MAX", {9: "169"}, "169", [D(139), NOTHING], [D(139), LATE]),
    "UNIQUE_COUNT": ("UNIQUE_COUNT", {9: "180"}, "169", [D(139), D(11), NOTHING], [D(139), D(11), LATE]),
    # A value that can fall is billed by the difference: 180, 100, 180 and 169 in the end, whatever was late.
    "LATEST that rises": ("LATEST", {9: "180"}, "169", [D(139), D(11), LATE], [D(139), D(11), LATE]),
    "LATEST that falls": ("LATEST", {9: "100"}, "169", [D(139), D(-69), LATE], [D(139), D(-69), LATE]),
    "LATEST that fell": ("LATEST", {9: "180"}, "120", [D(139), D(60), D(-19)], [D(139), D(60), D(-19)]),
    "LATEST that stays": ("LATEST", {9: "169"}, "169", [D(139), LATE], [D(139), LATE]),
    "MIN": ("MIN", {9: "100"}, "120", [D(139), D(-20), D(-19)], [D(139), D(-20), D(-19)]),
    "AVG": ("AVG", {9: "150.5"}, "140.25", [D(139), D("10.25"), D("1.25")], [D(139), D("10.25"), D("1.25")]),
}


@EITHER
@pytest.mark.parametrize("case", CASES)
def test_a_later_week_bills_how_far_the_value_moves_in_it(tmp_path: Path, case: str, late_usage: str) -> None:
    aggregation, second, late_value, not_billed, rebilled = CASES[case]
    values = {**FIRST, 5: late_value, **second}
    found = late(gauged(tmp_path, aggregation, FIRST, late_usage), values)
    assert paid(found) == (rebilled if late_usage == "rebilled" else not_billed)
    require_sound(found, D(values[9]))


@EITHER
def test_a_value_that_falls_in_a_later_week_is_no_error(tmp_path: Path, late_usage: str) -> None:
    """Nothing is late: 139, then 69 less, and 5 more in the last week."""
    values = {**FIRST, 9: "70", 23: "75"}
    found = gauged(tmp_path, "LATEST", values, late_usage)
    as_of(found, 4)
    assert paid(found) == [D(139), D(-69), D(5), D(0)]
    require_sound(found, D(75))


def test_graduated_tiers_of_a_value_that_falls_count_what_it_is_by_now(tmp_path: Path) -> None:
    """Two up to 100, 1 above it: 239 of the first week. Late are 30 at 1. In the second 100 are left, 69 at 1 less."""
    tiers = [{"up_to_amount": "100", "unit_price": "2"}, {"unit_price": "1"}]
    sold = {"type": "tiered", "mode": "graduated", "tiers": tiers}
    found = late(gauged(tmp_path, "LATEST", FIRST, "not_billed", sold), {**FIRST, 5: "169", 9: "100"})
    assert paid(found) == [D(239), D(-69), D(30)]
    require_sound(found, D(100))


def test_what_comes_when_the_last_period_of_the_charge_has_closed_is_not_billed(tmp_path: Path) -> None:
    """It is shown where it was, and taken back where later usage replaced it, at no cost; and stays so."""
    found = gauged(tmp_path, "LATEST", {**FIRST, 9: "180"}, "not_billed")
    as_of(found, 4)
    assert paid(found) == [D(139), D(41), D(0)]
    found.to_date = by_day({**FIRST, 5: "169", 9: "180"})
    rows = as_of(found, 4).rows()
    assert paid(found) == [D(139), D(41), D(0)]
    late_rows = rows.filter(pl.col("x_CorrectedInvoiceId").is_not_null())
    assert late_rows["ConsumedQuantity"].to_list() == [D(30), D(-30)]
    require_sound(found, D(180))
    assert found.compute(1, 28).rows().equals(rows)


def test_what_was_billed_while_the_charge_went_on_stays_when_it_has_ended(tmp_path: Path) -> None:
    found = late(gauged(tmp_path, "LATEST", FIRST, "not_billed"), {**FIRST, 5: "169", 9: "180"})
    as_of(found, 4)
    assert paid(found) == [D(139), D(11), D(30)]
    rows = found.rows()
    assert found.compute(1, 28).rows().equals(rows)
    require_sound(found, D(180))
