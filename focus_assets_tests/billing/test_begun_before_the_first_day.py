"""Two subscriptions of Ann in one billing period, 30 July to 6 August: one began before the first day of all, 1 August.

61 tokens of the other on the 2nd are 2.0313 = 2.03 and the fee 0.56. 5 requests of the old one on the 2nd and 5 on the
4th, at 1 each, are on no invoice: what was used before the first day is not known.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.settings import BillingSettings
from focus_assets_tests.billing.weeks import AFTER, Weeks, configuration, price

D = Decimal
MIDDLE = "2026-08-03T12:00:00Z"
ANCHOR = "2026-07-30T00:00:00Z"


@pytest.mark.parametrize(
    ("as_of", "instants", "invoice"),
    [
        (dt.datetime(2026, 8, 6, 23, tzinfo=dt.UTC), [MIDDLE], "ann/20260730-20260803T120000Z/USD"),
        (dt.datetime(2026, 8, 9, tzinfo=dt.UTC), [], "ann/20260730-20260806/USD"),
    ],
    ids=["invoice in the middle", "whole period"],
)
def test_what_never_closes_is_an_estimate_however_often_it_is_computed(
    tmp_path: Path, as_of: dt.datetime, instants: list[str], invoice: str
) -> None:
    (basic,) = configuration()["plans"]
    plans = [
        {**basic, "rate_cards": basic["rate_cards"][:1]},
        {**basic, "key": "old", "rate_cards": [{"feature": "requests", "price": price("1")}]},
    ]
    begun = {"basic": "2026-08-02T00:00:00Z", "old": "2026-07-20T00:00:00Z"}
    subscriptions = [
        {
            "customer": "ann",
            "plan": plan,
            "active_from": active_from,
            "billing_anchor": ANCHOR,
            "progressive_billing": instants,
        }
        for plan, active_from in begun.items()
    ]
    found = Weeks(
        tmp_path,
        usage=[
            (2, "ann", "tokens", "large", "61"),
            (2, "ann", "requests", None, "5"),
            (4, "ann", "requests", None, "5"),
        ],
        catalog=configuration(plans=plans, subscriptions=subscriptions, customers=[{"key": "ann"}]),
        as_of=as_of,
    )
    for _ in range(3):
        rows = found.compute(1, 5).rows()
        sums = rows.group_by("InvoiceId", "x_FeatureKey", "x_IsEstimated").agg(pl.col("BilledCost").sum())
        assert set(sums.rows()) == {
            (invoice, "tokens", False, D("2.59")),
            (None, "requests", True, D(10)),
        }
        assert rows.filter(pl.col("ChargeClass").is_not_null()).is_empty()
    assert found.reconciled()["finding"].drop_nulls().to_list() == []


@pytest.mark.parametrize("late_usage", ["rebilled", "not_billed"])
def test_a_later_first_day_leaves_what_has_closed_as_it_is(tmp_path: Path, late_usage: Any) -> None:
    """The week of 1 August has closed when the 3rd becomes the first day. Of its usage before that nothing is read.

    128 tokens until the 3rd and 11 on the 7th are 3.33, 0.56 and 0.48; 41 requests 0.44 less 0.04.
    """
    found = Weeks(tmp_path, as_of=AFTER, terms=BillingSettings(late_usage=late_usage)).compute(1, 8)
    before = found.rows()
    found.start = dt.date(2026, 8, 3)
    for late in ((), ((3, "ann", "tokens", "large", "10"),), ((5, "ann", "tokens", "large", "10"),)):
        # Of the 5th no row of tokens has closed.
        found.usage = [*found.usage, *late]
        found.compute(3, 8)
        rows = found.rows()
        week = pl.col("BillingPeriodStart") == dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
        same = [each.filter(week).sort(each.columns) for each in (rows, before)]
        assert same[0].equals(same[1])
        assert rows.filter(week, pl.col("x_CustomerKey") == "ann")["BilledCost"].sum() == D("4.77")
        assert rows.filter(pl.col("ChargeClass").is_not_null()).is_empty()
        assert rows["BilledCost"].sum() == before["BilledCost"].sum()
    assert found.reconciled()["finding"].drop_nulls().to_list() == []
