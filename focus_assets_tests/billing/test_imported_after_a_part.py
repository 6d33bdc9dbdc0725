"""Invoices of OpenMeter that are imported while a week is open of which a part has been invoiced here.

The company is that of ``test_progressive_billing``, with tokens alone: 61 until noon of the 3rd are 2.03 and the fee
0.56 on the first invoice. OpenMeter bills all 139 tokens of the week with 4.37.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.closed_stages import not_kept
from focus_assets_tests.billing.test_late_usage_of_invoices import FIRST, NEXT, TIERS, invoice
from focus_assets_tests.billing.test_late_usage_of_parts import EITHER, company
from focus_assets_tests.billing.test_progressive_billing import DAYS, LATE, MIDDLE, PART
from focus_assets_tests.billing.weeks import AFTER, Weeks, price
from focus_assets_tests.billing.weeks import TIERS as PRICE

D = Decimal
EARLY = invoice("61", [("61", "0.0333", "2.03"), TIERS[1]], (FIRST, MIDDLE), "0")
REST = invoice("78", [("39", "0.0333", "1.30"), TIERS[2]], (MIDDLE, NEXT), "61")


def imported(root: Path, late_usage: str, *invoices: dict[str, Any], **changes: Any) -> Weeks:
    """The part is issued here on the 7th; then OpenMeter's ``invoices`` are imported."""
    found = company(root, {"price": PRICE}, late_usage).compute(1, 7)
    found.usage = changes.get("usage", found.usage)
    found.catalog = {**found.catalog, "invoices": list(invoices)}
    found.close_after_days, found.as_of = None, AFTER
    return found.compute(1, 7)


def billed(found: Weeks) -> dict[str | None, Decimal]:
    rows = found.rows().filter(pl.col("BillingPeriodStart") == FIRST)
    return dict(rows.group_by("InvoiceId").agg(pl.col("BilledCost").sum()).iter_rows())


@EITHER
def test_what_was_invoiced_here_is_taken_back_and_billed_once(tmp_path: Path, late_usage: str) -> None:
    found = imported(tmp_path, late_usage, invoice("139", TIERS))
    assert billed(found) == {PART: D("2.59"), "ANN-01": D("4.37"), None: D("-2.59")}
    rows = found.rows()
    assert rows["ConsumedQuantity"].sum() == 139
    taken_back = rows.filter(pl.col("x_CorrectedInvoiceId") == PART)
    assert taken_back["BilledCost"].sum() == D("-2.59")
    assert set(taken_back.select("x_IsEstimated", "ChargeClass").rows()) == {(False, None)}
    assert [problem for day in DAYS[:7] for problem in not_kept(found.lake, day)] == []
    assert findings(found) == []
    assert found.compute(1, 7).rows().equals(rows)


@EITHER
def test_also_where_imported_invoices_are_in_parts_and_the_last_one_is_missing(
    tmp_path: Path, late_usage: str
) -> None:
    """39 x 0.0333 = 1.2987 and 39 x 0.0123 = 0.4797 are on no invoice at first, then 1.30 and 0.48."""
    found = imported(tmp_path, late_usage, EARLY)
    assert billed(found) == {PART: D("2.59"), "ANN-01": D("2.59"), None: D("1.7784") - D("2.59")}
    assert found.rows().filter(pl.col("InvoiceId").is_null())["x_IsEstimated"].all()
    found.catalog = {**found.catalog, "invoices": [EARLY, REST]}
    found.compute(1, 7)
    assert billed(found) == {
        PART: D("2.59"),
        "ANN-01": D("2.59"),
        "ANN-03": D("1.78"),
        None: D("-2.59"),
    }
    assert findings(found) == []
    assert [problem for day in DAYS[:7] for problem in not_kept(found.lake, day)] == []


@EITHER
def test_what_rounding_added_to_the_part_is_taken_back_on_a_day_that_has_nothing_else(
    tmp_path: Path, late_usage: str
) -> None:
    """61 x 0.0333 = 2.0313 are 2.03: 0.0013 less on the 3rd, with which the part ends and on which nothing is used."""
    used = [(1, "ann", "tokens", "large", "61"), (5, "ann", "tokens", "large", "78")]
    found = imported(tmp_path, late_usage, invoice("139", TIERS), usage=used)
    assert billed(found) == {PART: D("2.59"), "ANN-01": D("4.37"), None: D("-2.59")}
    third = found.lake.scan("focus_cost_and_usage", [DAYS[2]]).collect()
    assert third["BilledCost"].to_list() == [D("-0.0013"), D("0.0013")]


def test_what_came_late_of_the_part_is_billed_where_openmeter_bills_it(tmp_path: Path) -> None:
    """169 in all: 3.33, 0.56 and 69 x 0.0123 = 0.8487 = 0.85. Before that the late 30 are billed nowhere."""
    found = company(tmp_path, {"price": PRICE}).compute(1, 7)
    found.usage = [*found.usage, LATE]
    found.compute(1, 7)
    assert billed(found) == {PART: D("2.59"), None: D("1.7784")}
    found.catalog = {
        **found.catalog,
        "invoices": [invoice("169", [*TIERS[:2], ("69", "0.0123", "0.85")])],
    }
    found.close_after_days, found.as_of = None, AFTER
    found.compute(1, 7)
    assert billed(found) == {PART: D("2.59"), "ANN-01": D("4.74"), None: D("-2.59")}
    assert found.rows()["ConsumedQuantity"].sum() == 169
    assert findings(found) == []

    rows = found.rows()
    found.usage = [*found.usage, (2, "ann", "tokens", "large", "10")]
    found.compute(1, 7)
    assert found.rows()["BilledCost"].sum() == D("4.74")
    assert found.rows()["ConsumedQuantity"].sum() == 179
    added = found.rows().filter(pl.col("ChargeClass") == "Correction")
    assert added.select("ConsumedQuantity", "BilledCost", "x_CorrectedInvoiceId").rows() == [
        (D(10), 0, "ANN-01")
    ]
    assert found.rows().height == rows.height + 1


def findings(found: Weeks) -> list[Any]:
    lines = found.reconciled()
    assert {"ANN-01"} <= set(lines["InvoiceId"])
    return [each for each in lines.select("difference", "finding").rows() if each != (D(0), None)]


@EITHER
@pytest.mark.parametrize("credits_stated", ["0", "100"])
def test_a_gift_and_late_usage_before_the_import_leave_what_openmeter_asks_for(
    tmp_path: Path, late_usage: str, credits_stated: str
) -> None:
    """A gift of 100 has paid the 61 of the part, at 1.00, and more of the week; 30 came late of the part.

    OpenMeter bills all 169, less what it says it gave.
    """
    gift = {"customer": "ann", "key": "gift", "amount": "100", "effective_at": "2026-08-01T00:00:00Z"}
    found = company(tmp_path, {"price": price("1")}, late_usage, credits=[gift]).compute(1, 7)
    found.usage = [*found.usage, LATE]
    found.compute(1, 7)
    assert billed(found)[PART] == 0
    made = invoice("169", [("169", "1", "169")])
    made["lines"][0]["credits"] = credits_stated
    made["total"] = D(169) - D(credits_stated)
    found.catalog = {**found.catalog, "invoices": [made]}
    found.close_after_days, found.as_of = None, AFTER
    found.compute(1, 7)
    sums = billed(found)
    assert sums["ANN-01"] == D(169) - D(credits_stated)
    assert sum(sums.values()) == D(169) - D(credits_stated)
    assert found.rows()["ConsumedQuantity"].sum() == 169
    # Of a gift that OpenMeter does not know the 100 are missing on its line.
    told = "usage and prices do not explain the line of OpenMeter's invoice"
    assert findings(found) == ([] if credits_stated == "100" else [(D(-100), told)])
