"""What the configuration says of an invoice in the middle of a week is changed once that invoice is issued.

The company is that of ``test_progressive_billing``: Ann's invoice until noon of the 3rd comes to 2.90, and what follows
in her week to 1.86. It is the 7th; her week closes on the 11th.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.billing_stages import periods_closed_otherwise
from focus_assets.closed_stages import not_kept
from focus_assets.settings import BillingSettings
from focus_assets_tests.billing.test_progressive_billing import (
    DAYS,
    MIDDLE,
    MIDWEEK,
    PART,
    WEEK,
    billed,
    split,
)
from focus_assets_tests.billing.weeks import AFTER, Weeks, configuration

D = Decimal
LATER = dt.datetime(2026, 8, 5, 12, tzinfo=dt.UTC)
EARLIER = dt.datetime(2026, 8, 2, 12, tzinfo=dt.UTC)
EARLIER_PART = "ann/20260801-20260802T120000Z/USD"
LATER_PART = "ann/20260803T120000Z-20260805T120000Z/USD"

EITHER = pytest.mark.parametrize("late_usage", ["rebilled", "not_billed"])


def changed(found: Weeks, late_usage: str, subscriptions: list[Mapping[str, Any]]) -> Weeks:
    """The company with other ``subscriptions`` once the first part is issued: on the 7th, and when the week closes."""
    found.terms, found.others = BillingSettings.model_validate({"late_usage": late_usage}), True
    found.compute(1, 7)
    found.catalog = {**found.catalog, "subscriptions": subscriptions}
    found.compute(1, 7)
    assert found.rows("closed_periods").is_empty()
    assert [problem for day in DAYS[:7] for problem in not_kept(found.lake, day)] == []
    statuses = found.rows("focus_billing_period").filter(pl.col("x_CustomerKey") == "ann")
    assert set(statuses["BillingPeriodStatus"]) <= {"Open"}

    found.as_of = AFTER
    assert set(DAYS[:3]) <= periods_closed_otherwise(found.lake, DAYS[:7], found.close)
    found.compute(1, 7)
    assert [problem for day in DAYS[:7] for problem in not_kept(found.lake, day)] == []
    assert set(found.rows("closed_periods")["charge_date"]) >= set(DAYS[:3])
    assert found.reconciled()["finding"].drop_nulls().to_list() == []
    rows = found.rows()
    assert found.compute(1, 7).rows().equals(rows)
    return found


@EITHER
def test_an_issued_invoice_cuts_its_charges_also_without_the_instant(tmp_path: Path, late_usage: str) -> None:
    found = split(tmp_path, MIDWEEK)
    ann, bob = found.catalog["subscriptions"]
    without = {name: value for name, value in ann.items() if name != "progressive_billing"}
    changed(found, late_usage, [without, bob])
    assert billed(found) == {PART: D("2.90"), WEEK: D("1.86")}
    assert found.rows().filter(pl.col("ChargeClass").is_not_null()).is_empty()


@EITHER
def test_an_instant_that_is_postponed_makes_a_second_part(tmp_path: Path, late_usage: str) -> None:
    """67 tokens after 61: 39 x 0.0333 = 1.30, 28 x 0.0123 = 0.34. Then 11 x 0.0123 = 0.14 and 8 requests for 0.08."""
    found = split(tmp_path, MIDWEEK)
    ann, bob = found.catalog["subscriptions"]
    changed(found, late_usage, [{**ann, "progressive_billing": [LATER]}, bob])
    assert billed(found) == {PART: D("2.90"), LATER_PART: D("1.64"), WEEK: D("0.22")}


@EITHER
def test_an_instant_that_is_moved_to_before_the_issued_invoice_cuts_nothing(
    tmp_path: Path, late_usage: str
) -> None:
    """What was used until noon of the 3rd is invoiced already; its own instant stays."""
    found = split(tmp_path, MIDWEEK)
    ann, bob = found.catalog["subscriptions"]
    changed(found, late_usage, [{**ann, "progressive_billing": [EARLIER]}, bob])
    assert billed(found) == {PART: D("2.90"), WEEK: D("1.86")}
    assert found.rows().filter(pl.col("x_CorrectedInvoiceId").is_not_null()).is_empty()


def test_earlier_instants_stay_whichever_day_of_the_last_one_is_computed_first(tmp_path: Path) -> None:
    """Until noon of the 2nd: 2.03 and 0.56. Until noon of the 3rd: 33 requests at 0.31. The rest as before."""
    found = split(tmp_path, MIDWEEK, at=[EARLIER, MIDDLE])
    found.as_of = dt.datetime(2026, 8, 4, tzinfo=dt.UTC)
    found.compute(1, 7)
    found.as_of = MIDWEEK
    for first, last in ((3, 3), (1, 7)):
        found.compute(first, last)
    assert billed(found)[EARLIER_PART] == D("2.59")
    found.as_of = AFTER
    found.compute(1, 7)
    second = "ann/20260802T120000Z-20260803T120000Z/USD"
    assert billed(found) == {EARLIER_PART: D("2.59"), second: D("0.31"), WEEK: D("1.86")}


@EITHER
def test_a_subscription_that_ended_before_today_keeps_its_issued_invoice(
    tmp_path: Path, late_usage: str
) -> None:
    """It ends with the 4th: the 67 tokens of the 3rd are left, 1.30 and 0.34."""
    found = split(tmp_path, MIDWEEK)
    ann, bob = found.catalog["subscriptions"]
    changed(found, late_usage, [{**ann, "active_to": "2026-08-05T00:00:00Z"}, bob])
    amounts = billed(found)
    assert amounts.pop(PART) == D("2.90")
    assert list(amounts.values()) == [D("1.64")]


@EITHER
def test_a_subscription_that_is_taken_out_next_to_another_leaves_the_week_open(
    tmp_path: Path, late_usage: str
) -> None:
    """Tokens until the 3rd at noon are 2.03 and the fee 0.56. 41 requests are 0.44 less 0.04 = 0.40.

    Rebilled, the 2.59 are taken back on the invoice of the week; else they stay.
    """
    (basic,) = configuration()["plans"]
    tokens, requests = basic["rate_cards"]
    plans = [{**basic, "rate_cards": [tokens]}, {**basic, "key": "calls", "rate_cards": [requests]}]
    found = split(tmp_path, MIDWEEK, plans=plans)
    ann, _ = found.catalog["subscriptions"]
    other = {"customer": "ann", "plan": "calls", "active_from": "2026-08-01T00:00:00Z"}
    found.catalog["subscriptions"] = [ann, other]
    changed(found, late_usage, [other])
    week = {"rebilled": D("-2.19"), "not_billed": D("0.40")}[late_usage]
    assert {name: amount for name, amount in billed(found).items() if amount} == {PART: D("2.59"), WEEK: week}
