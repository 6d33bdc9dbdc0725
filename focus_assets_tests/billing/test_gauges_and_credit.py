"""Late usage of values that can fall, beside credit, where nobody bills late usage: credit is spent once.

As in ``test_gauges_of_longer_charges``: seats at 1.00 for four weeks, invoiced by the week, 139 in the first one, which
closes. What came late is billed by the difference with either setting, so that credit pays for it with either, as far
as what has closed left any. Figures are worked out by hand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.chain import DayOutput
from focus_assets.datasets import NORMALIZED_USAGE
from focus_assets.settings import BillingSettings
from focus_assets.stage_controls import credits_not_overdrawn
from focus_assets_tests.billing.test_gauges_of_longer_charges import (
    EITHER,
    FIRST,
    Valued,
    by_day,
    gauged,
    late,
    require_sound,
)
from focus_assets_tests.billing.test_late_usage_of_longer_charges import as_of, paid
from focus_assets_tests.billing.weeks import AFTER, Weeks, configuration, price

D = Decimal
GIFT = {"customer": "ann", "key": "gift", "amount": "150", "effective_at": "2026-08-01T00:00:00Z"}
BOUGHT = {**GIFT, "key": "pack", "funding_method": "invoice"}

VALUES = {
    # 139 are paid of the first week. 11 of the late 30; then nothing is left for 11 more.
    "rises": ({5: "169", 9: "180"}, [D(0), D(11), D(19)], D(150)),
    # 11 of the late 30. Of 69 less 19 were billed and go back first, and 50 to the credit.
    "falls": ({5: "169", 9: "100"}, [D(0), D(-19), D(19)], D(100)),
    # 19 less in the first week are the credit's: with the 11 that were left they pay 30 of 60.
    "fell": ({5: "120", 9: "180"}, [D(0), D(30), D(0)], D(150)),
}


def with_credit(root: Path, late_usage: str, grant: Mapping[str, Any], aggregation: str = "LATEST") -> Valued:
    found = gauged(root, aggregation, FIRST, late_usage)
    found.catalog = {**found.catalog, "credits": [grant]}
    return found


class Both(Valued):
    """Seats are gauged, and other meters count."""

    def _normalized(self, day: dt.date) -> DayOutput:
        gauged = super()._normalized(day).frame.filter(pl.col("charge_id").str.contains("/seats/"))
        counted = Weeks._normalized(self, day).frame
        return DayOutput(day, pl.concat([gauged, counted]).sort(NORMALIZED_USAGE.order))


def spent(found: Weeks) -> Decimal:
    """What the grant paid, by the rows and by the records alike."""
    rows = found.rows().filter(
        pl.col("x_CreditGrantId").is_not_null(),
        ~pl.col("x_PriceComponent").is_in(["credit_purchase", "credit_expiry"]),
    )
    is_credit = pl.col("ChargeCategory") == "Credit"
    by_rows = rows.select(pl.when(is_credit).then(-pl.col("EffectiveCost")).otherwise("EffectiveCost").sum())
    by_records = D(0)
    for day in found.lake.days("focus_cost_and_usage"):
        record = found.lake.record("focus_cost_and_usage", day)
        assert record is not None
        for charges in record.facts["credits"]["used"].values():
            by_records += sum(map(D, charges.values()), D(0))
        assert credits_not_overdrawn(found.lake, day).is_empty()
    assert by_records == by_rows.item()
    return by_records


@EITHER
@pytest.mark.parametrize("grant", [GIFT, BOUGHT], ids=["given", "bought"])
@pytest.mark.parametrize("case", VALUES)
def test_credit_pays_for_what_is_billed_by_the_difference_and_once(
    tmp_path: Path, case: str, grant: Mapping[str, Any], late_usage: str
) -> None:
    values, expected, used = VALUES[case]
    found = late(with_credit(tmp_path, late_usage, grant), {**FIRST, **values})
    first, *others = paid(found)
    # Buying it is billed in the first week.
    assert [first - (150 if grant is BOUGHT else 0), *others] == expected
    assert spent(found) == used
    require_sound(found, D(values[9]))
    rows = found.rows()
    assert found.compute(1, 14).rows().equals(rows)


def test_what_credit_paid_of_late_usage_stays_when_the_charge_has_ended(tmp_path: Path) -> None:
    found = late(with_credit(tmp_path, "not_billed", GIFT), {**FIRST, 5: "169", 9: "180"})
    as_of(found, 4)
    assert (paid(found), spent(found)) == ([D(0), D(11), D(19)], D(150))
    found.to_date = by_day({**FIRST, 5: "175", 9: "180"})
    as_of(found, 4)
    assert (paid(found), spent(found)) == ([D(0), D(11), D(19)], D(150))
    require_sound(found, D(180))


@EITHER
def test_late_usage_draws_on_what_later_days_that_have_closed_left(tmp_path: Path, late_usage: str) -> None:
    """Of the 11 that the seats left eight were spent on the 7th: three pay for the late 30, and 27 are billed.

    Where all is billed anew, 11 pay for the 30, none for the eight, which come to the same.
    """
    gauge = with_credit(tmp_path, late_usage, GIFT)
    found = Both(tmp_path, catalog=gauge.catalog, as_of=AFTER, terms=gauge.terms, to_date=gauge.to_date)
    base = configuration()
    seats = found.catalog["plans"][0]
    found.catalog = {
        **found.catalog,
        "meters": [*found.catalog["meters"], *base["meters"]],
        "features": [*found.catalog["features"], *base["features"]],
        "plans": [
            seats | {"rate_cards": [*seats["rate_cards"], {"feature": "requests", "price": price("1")}]}
        ],
    }
    found.usage = ((7, "ann", "requests", None, "8"),)
    late(found, {**FIRST, 5: "169", 9: "180"})
    assert paid(found) == [D(0), D(11), D(27)]
    assert spent(found) == 150
    require_sound(found, D(188))


def test_an_open_period_draws_on_what_later_days_that_have_closed_left(tmp_path: Path) -> None:
    """Ann has two subscriptions. Of a gift of 100 the month's 30 of the 1st and the week's 60 of the 3rd are paid.

    The week closes; then 20 more of the month's 2nd come: ten are left for them.
    """
    base = configuration()
    plans = [
        {"key": key, "billing_cadence": cadence, "rate_cards": [{"feature": feature, "price": price("1")}]}
        for key, cadence, feature in (("weekly", "P1W", "tokens"), ("monthly", "P4W", "requests"))
    ]
    subscriptions = [
        {"customer": "ann", "plan": key, "active_from": "2026-08-01T00:00:00Z"}
        for key in ("weekly", "monthly")
    ]
    catalog = {**base, "plans": plans, "subscriptions": subscriptions, "credits": [{**GIFT, "amount": "100"}]}
    usage = [(1, "ann", "requests", None, "30"), (3, "ann", "tokens", "large", "60")]
    terms = BillingSettings(late_usage="not_billed")
    found = Weeks(tmp_path, usage=usage, catalog=catalog, as_of=AFTER, terms=terms).compute(1, 8)
    found.usage = [*usage, (2, "ann", "requests", None, "20")]
    found.compute(1, 8)
    assert found.rows()["BilledCost"].sum() == 10
    assert spent(found) == 100
    assert found.lake.days("focus_cost_and_usage")[-1] == dt.date(2026, 8, 8)
