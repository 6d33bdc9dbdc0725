"""An invoice of OpenMeter that is issued for a period that has closed: what it states is in the rows, once.

139 tokens of Ann's first week are 4.37 on the invoice ANN-01, with which the week closes. Figures are made by hand.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.billing.close import ISSUED_WHILE_OPEN, ClosedPeriod
from focus_assets.billing_stages import periods_closed_otherwise
from focus_assets.closed_stages import not_kept
from focus_assets.settings import BillingSettings
from focus_assets_tests.billing.test_late_usage_of_invoices import (
    ISSUED,
    NEXT,
    TIERS,
    USED,
    billed,
    findings,
    invoice,
    late,
    weeks,
)
from focus_assets_tests.billing.weeks import AFTER, Weeks

D = Decimal
ONLY_ANN = {"subscriptions": [{"customer": "ann", "plan": "basic", "active_from": "2026-08-01T00:00:00Z"}]}
REQUESTS = ((2, "ann", "requests", None, "33"), (5, "ann", "requests", None, "8"))
LATER = ISSUED + dt.timedelta(hours=8)
THIRD_WEEK = NEXT + dt.timedelta(days=7)
DAYS = [dt.date(2026, 8, day) for day in range(1, 15)]


def extra(*lines: dict[str, Any], total: str) -> dict[str, Any]:
    """The invoice EXTRA, made on the day after the week."""
    made = invoice("0", [], number="EXTRA", id="id-EXTRA", created_at=LATER, issued_at=LATER)
    return made | {"lines": [made["lines"][0] | each for each in lines], "total": total}


def by_hand(name: str, net: str, tax: str = "0") -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "start": dt.datetime(2026, 8, 5, tzinfo=dt.UTC),
        "end": dt.datetime(2026, 8, 6, tzinfo=dt.UTC),
        "subscription": None,
        "item": None,
        "feature": None,
        "metered": None,
        "by_hand": True,
        "net": net,
        "tax": tax,
    }


OF_REQUESTS = {
    "id": "line-EXTRA",
    "name": "Requests",
    "item": "requests",
    "feature": "requests",
    "metered": "41",
    "net": "0.40",
    "details": [{"id": "EXTRA/0", "quantity": "41", "unit_price": "0.0107", "net": "0.40"}],
}
"""41 at 0.0107 are 0.4387 = 0.44, less 0.04."""


def following() -> dict[str, Any]:
    """The invoice of the week after, in which nothing was used."""
    end = NEXT + dt.timedelta(days=7)
    return invoice("0", [], (NEXT, end), billing=(NEXT, end), created_at=end, issued_at=end)


@pytest.mark.parametrize("late_usage", ["not_billed", "rebilled"])
def test_lines_that_somebody_adds_are_rows_of_their_invoice_in_the_next_period(
    tmp_path: Path, late_usage: Any
) -> None:
    found = weeks(tmp_path, invoice("139", TIERS), usage=USED, **ONLY_ANN)
    found.terms = BillingSettings(late_usage=late_usage)
    found.compute(1, 7)
    more = extra(by_hand("workshop", "250", "50"), by_hand("travel", "80"), total="380")
    found.catalog = {**found.catalog, "invoices": [invoice("139", TIERS), more]}
    rows = found.compute(1, 7).rows()
    assert billed(rows) == {"ANN-01": D("4.37"), "EXTRA": D(380)}
    assert rows["BilledCost"].sum() == D("384.37")
    added = late(rows)
    assert sorted(added.select("InvoiceDetailId", "ChargeCategory", "BilledCost").rows()) == [
        ("travel", "Adjustment", D(80)),
        ("workshop", "Adjustment", D(250)),
        ("workshop/tax", "Tax", D(50)),
    ]
    assert set(added.select("BillingPeriodStart", "x_IsEstimated", "x_OpenMeterInvoiceId").rows()) == {
        (NEXT, False, "id-EXTRA")
    }
    assert findings(found) == []


def test_usage_that_the_first_invoice_left_out_is_billed_by_the_second(tmp_path: Path) -> None:
    """Also when the week after has closed with it."""
    usage = (*USED, *REQUESTS)
    found = weeks(tmp_path, invoice("139", TIERS), usage=usage, **ONLY_ANN).compute(1, 14)
    found.catalog = {**found.catalog, "invoices": [invoice("139", TIERS), extra(OF_REQUESTS, total="0.40")]}
    rows = found.compute(1, 7).rows()
    assert billed(rows) == {"ANN-01": D("4.37"), "EXTRA": D("0.40")}
    assert rows["ConsumedQuantity"].sum() == 180
    assert findings(found) == []
    found.catalog["invoices"].append(following())
    for first in (1, 5):
        rows = found.compute(first, 14).rows()
        assert billed(rows) == {"ANN-01": D("4.37"), "EXTRA": D("0.40"), "ANN-08": D(0)}
        assert rows["BilledCost"].sum() == D("4.77")
        assert rows["ConsumedQuantity"].sum() == 180


def test_rows_of_an_invoice_after_the_close_are_kept_once_the_period_they_are_in_has_closed(
    tmp_path: Path,
) -> None:
    """41 requests are 0.40 on EXTRA, in the week after. Five more of the 2nd come when that week is closed as well."""
    found = weeks(tmp_path, invoice("139", TIERS), usage=(*USED, *REQUESTS), **ONLY_ANN).compute(1, 14)
    found.catalog = {**found.catalog, "invoices": [invoice("139", TIERS), extra(OF_REQUESTS, total="0.40")]}
    found.compute(1, 7)
    second_week = pl.col("BillingPeriodStart") == NEXT
    assert open_still(found) == {2: {NEXT}, 5: {NEXT}, 7: {NEXT}}

    found.catalog = {**found.catalog, "invoices": [*found.catalog["invoices"], following()]}
    found.compute(8, 14)
    stale = periods_closed_otherwise(found.lake, DAYS, found.close, "not_billed")
    assert {day.day for day in stale} == {2, 5, 7}
    found.compute(1, 7)
    assert open_still(found) == {}
    assert found.compute(1, 14).rows()["BilledCost"].sum() == D("4.77")
    assert open_still(found) == {}
    assert [problem for day in DAYS for problem in not_kept(found.lake, day)] == []
    assert periods_closed_otherwise(found.lake, DAYS, found.close, "not_billed") == set()
    delivered = found.rows().filter(second_week)

    found.usage = [*found.usage, (2, "ann", "requests", None, "5")]
    rows = found.compute(1, 14).rows()
    names = delivered.columns
    assert rows.filter(second_week).sort(names).equals(delivered.sort(names))
    assert rows["BilledCost"].sum() == D("4.77")
    assert rows["ConsumedQuantity"].sum() == 185
    assert open_still(found) == {2: {THIRD_WEEK}, 7: {THIRD_WEEK}}
    assert found.compute(1, 14).rows().equals(rows)


def open_still(found: Weeks) -> dict[int, set[dt.datetime]]:
    """By day, where periods begin that rows of issued invoices are in, and that have not closed."""
    records = [found.lake.record("focus_cost_and_usage", day) for day in DAYS]
    listed = {each.day.day: each.facts.get(ISSUED_WHILE_OPEN, []) for each in records if each is not None}
    return {day: {ClosedPeriod.parse(text).start for text in texts} for day, texts in listed.items() if texts}


def test_the_difference_to_an_invoice_of_a_period_that_closed_without_one_is_booked(tmp_path: Path) -> None:
    """It closed with 4.37. OpenMeter bills 120 of the 139: 3.33, 0.56 and 20 x 0.0123 = 0.25, so 4.14."""
    found = weeks(tmp_path, usage=USED, **ONLY_ANN)
    found.as_of, found.close_after_days = AFTER, 3
    before = found.compute(1, 7).rows()
    assert before["BilledCost"].sum() == D("4.37")
    found.close_after_days = None
    made = invoice("120", [*TIERS[:2], ("20", "0.0123", "0.25")])
    found.catalog = {**found.catalog, "invoices": [made]}
    for _ in range(2):
        rows = found.compute(1, 7).rows()
        assert rows["BilledCost"].sum() == D("4.14")
        assert rows["ConsumedQuantity"].sum() == 139
    assert late(rows)["BilledCost"].sum() == D("-0.23")
    kept = rows.filter(pl.col("ChargeClass").is_null())
    assert kept.sort(kept.columns).equals(before.sort(kept.columns))
    assert set(kept["InvoiceId"]) == {"ann/20260801-20260808/USD"}
    assert billed(rows) == {"ann/20260801-20260808/USD": D("4.37"), "ANN-01": D("4.14")}
    assert rows.filter(pl.col("InvoiceId").is_null())["BilledCost"].sum() == D("-4.37")
    lines = found.reconciled().filter(pl.col("InvoiceId") == "ANN-01")
    assert set(lines["InvoiceDetailId"]) == {"ANN-01/0", "ANN-01/1", "ANN-01/2"}
    assert set(lines.select("difference", "finding").rows()) == {(D(0), None)}


def test_corrections_of_a_period_that_closed_without_an_invoice_name_the_one_made_here(
    tmp_path: Path,
) -> None:
    """What is taken back of it, what OpenMeter bills in its place, and 19 tokens and ten more that it does not."""
    found = weeks(tmp_path, usage=USED, **ONLY_ANN)
    found.as_of, found.close_after_days = AFTER, 3
    found.compute(1, 7)
    found.close_after_days = None
    made = invoice("120", [*TIERS[:2], ("20", "0.0123", "0.25")])
    found.catalog = {**found.catalog, "invoices": [made]}
    rows = found.compute(1, 7).rows()
    assert late(rows).filter(pl.col("BilledCost") == 0)["ConsumedQuantity"].sum() == 19
    found.usage = [*found.usage, (5, "ann", "tokens", "large", "10")]
    more = found.compute(1, 7).rows()
    for each in (rows, more):
        corrections = each.filter(pl.col("ChargeClass") == "Correction")
        assert set(corrections["x_CorrectedInvoiceId"]) == {"ann/20260801-20260808/USD"}
        assert each["BilledCost"].sum() == D("4.14")
    assert more["ConsumedQuantity"].sum() == 149


def test_lines_that_were_issued_here_are_held_against_what_was_issued(tmp_path: Path) -> None:
    """Not against what the invoice of OpenMeter bills in their place, nor against both."""
    found = weeks(tmp_path, usage=USED, **ONLY_ANN)
    found.as_of, found.close_after_days = AFTER, 3
    issued = found.compute(1, 7).reconciled()
    found.close_after_days = None
    found.catalog = {**found.catalog, "invoices": [invoice("139", TIERS)]}
    found.compute(1, 7)
    lines = found.reconciled().filter(pl.col("InvoiceId") == "ann/20260801-20260808/USD")
    shown = ("InvoiceDetailId", "reference", "stated", "charged", "difference", "finding")
    assert lines.select(shown).rows() == issued.select(shown).rows()
    assert lines["reference"].to_list() == [D("0.56"), D("3.33"), D("0.48")]
