"""Credit that ``focus.yaml`` says was bought and an invoice of OpenMeter asks for: it is one purchase, on that invoice.

OpenMeter's line of a purchase has no subscription and an empty period, the instant at which the credit takes effect
(``billing/creditgrant/service``). Figures are made by hand.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets_tests.billing.test_issued_after_close import ONLY_ANN
from focus_assets_tests.billing.test_late_usage_of_invoices import USED
from focus_assets_tests.billing.test_late_usage_of_invoices import weeks as invoiced
from focus_assets_tests.billing.test_paid_in_advance import less, pack
from focus_assets_tests.billing.weeks import Weeks

D = Decimal
SOLD = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)


def bought(amount: str, name: str = "BUY-01", at: dt.datetime = SOLD, **changes: Any) -> dict[str, Any]:
    """The invoice of a purchase, as OpenMeter makes it when the credit takes effect."""
    tax = D(changes.pop("tax", "0"))
    line = {
        "id": f"line-{name}",
        "name": f"Pack ({amount} USD credits)",
        "by_hand": True,
        "start": at,
        "end": at,
        "is_fee": True,
        "net": amount,
        "tax": tax,
        "details": [{"id": f"{name}/0", "quantity": amount, "unit_price": "1", "net": amount}],
    }
    return {
        "id": f"id-{name}",
        "number": name,
        "status": "issued",
        "currency": "USD",
        "customer": "ann",
        "total": D(amount) + tax,
        "tax": tax,
        "created_at": at,
        "issued_at": at,
        "lines": [line],
    } | changes


def with_purchase(root: Path, *invoices: dict[str, Any], grant: dict[str, Any] | None = None) -> Weeks:
    """Ann's tokens, of which credit paid all 4.37, and the invoices of what she bought."""
    return company(root, [less("4.37"), *invoices], [grant or pack("100")])


def company(
    root: Path, invoices: list[dict[str, Any]], grants: list[dict[str, Any]], **catalog: Any
) -> Weeks:
    return invoiced(root, *invoices, usage=USED, credits=grants, **ONLY_ANN, **catalog).compute(1, 8)


def on(found: Weeks, number: str) -> pl.DataFrame:
    return found.rows().filter(pl.col("InvoiceId") == number)


def purchases(found: Weeks) -> pl.DataFrame:
    return found.rows().filter(pl.col("x_PriceComponent") == "credit_purchase")


def wrong(found: Weeks) -> list[Any]:
    return found.reconciled().filter(pl.col("finding").is_not_null())["finding"].to_list()


def test_a_purchase_is_billed_once_on_the_invoice_that_asks_for_it(tmp_path: Path) -> None:
    found = with_purchase(tmp_path, bought("100"))
    [row] = on(found, "BUY-01").to_dicts()
    assert (row["ChargeCategory"], row["BilledCost"], row["EffectiveCost"]) == ("Purchase", D(100), D(0))
    assert (row["InvoiceDetailId"], row["x_OpenMeterInvoiceId"]) == ("BUY-01/0", "id-BUY-01")
    assert row["x_IsEstimated"] is False
    assert found.rows()["BilledCost"].sum() == 100
    stated = found.rows("focus_invoice_detail").filter(pl.col("InvoiceId") == "BUY-01")
    assert stated.select("InvoiceDetailId", "ChargeCategory", "BilledCost").rows() == [
        ("BUY-01/0", "Purchase", D(100))
    ]
    assert wrong(found) == []


def test_its_tax_is_on_the_invoice_too(tmp_path: Path) -> None:
    found = with_purchase(tmp_path, bought("100", tax="20"))
    costs = on(found, "BUY-01").select("ChargeCategory", "BilledCost").rows()
    assert sorted(costs) == [("Purchase", D(100)), ("Tax", D(20))]
    assert wrong(found) == []


@pytest.mark.parametrize("hour", [0, 13])
def test_a_draft_names_it_and_it_stays_an_estimate(tmp_path: Path, hour: int) -> None:
    at = SOLD + dt.timedelta(days=1, hours=hour)
    grant = pack("100") | {"effective_at": at}
    found = with_purchase(tmp_path, bought("100", at=at, status="draft", issued_at=None), grant=grant)
    [row] = purchases(found).to_dicts()
    assert (row["InvoiceId"], row["x_IsEstimated"]) == ("BUY-01", True)
    assert on(found, "BUY-01").height == 1


def test_a_voided_invoice_bills_no_purchase(tmp_path: Path) -> None:
    found = with_purchase(tmp_path, bought("100", status="voided", voided_at=SOLD), bought("100", "BUY-02"))
    assert purchases(found)["InvoiceId"].to_list() == ["BUY-02"]
    assert on(found, "BUY-01").is_empty()


def test_an_invoice_that_asks_for_another_amount_is_told(tmp_path: Path) -> None:
    found = with_purchase(tmp_path, bought("90"))
    assert on(found, "BUY-01")["BilledCost"].sum() == 90
    assert found.rows()["BilledCost"].sum() == 90
    assert wrong(found) == ["usage and prices do not explain the line of OpenMeter's invoice"]


def test_credit_that_was_bought_elsewhere_is_on_no_invoice(tmp_path: Path) -> None:
    """OpenMeter has no line for ``external``; what somebody added by hand for as much is another thing."""
    found = with_purchase(tmp_path, bought("100"), grant=pack("100", funding_method="external"))
    assert purchases(found)["InvoiceId"].to_list() == [None]
    assert on(found, "BUY-01")["ChargeCategory"].to_list() == ["Adjustment"]


def test_two_packs_of_one_instant_are_two_lines(tmp_path: Path) -> None:
    both = [bought("100"), bought("100", "BUY-02")]
    found = company(tmp_path, [less("4.37"), *both], [pack("100"), pack("100", key="second")])
    assert sorted(purchases(found)["InvoiceId"]) == ["BUY-01", "BUY-02"]
    assert found.rows()["BilledCost"].sum() == 200
    assert wrong(found) == []


def test_credit_that_expires_on_the_day_it_is_bought_names_the_invoice_where_it_was_billed(
    tmp_path: Path,
) -> None:
    grant = pack("100") | {"expires_at": SOLD + dt.timedelta(hours=20)}
    found = company(tmp_path, [less("2.59"), bought("100")], [grant])
    assert on(found, "BUY-01")["x_PriceComponent"].to_list() == ["credit_purchase"]


def test_credits_of_a_custom_currency_are_rounded_to_what_was_paid(tmp_path: Path) -> None:
    """33 points at 0.0155 are 0.5115, and 0.51 on the invoice."""
    points = [{"code": "POINTS", "cost_bases": [{"fiat_code": "USD", "rate": "0.02"}]}]
    grant = pack("33", currency="POINTS", purchase={"per_unit_cost_basis": "0.0155"})
    made = bought("0.51")
    [line] = made["lines"]
    made["lines"] = [
        line | {"details": [{"id": "BUY-01/0", "quantity": "33", "unit_price": "0.0155", "net": "0.51"}]}
    ]
    found = company(tmp_path, [less("0"), made], [grant], custom_currencies=points)
    rows = on(found, "BUY-01")
    assert rows["BilledCost"].sum() == D("0.51")
    assert rows.filter(pl.col("ChargeCategory") == "Purchase")["EffectiveCost"].to_list() == [D(0)]
    assert set(rows["x_AdjustmentReason"].drop_nulls()) <= {"rounding"}
    assert wrong(found) == []


def test_a_purchase_is_final_once_its_period_has_closed_where_no_invoice_of_openmeter_asks_for_it(
    tmp_path: Path,
) -> None:
    found = with_purchase(tmp_path, grant=pack("100", funding_method="external"))
    assert purchases(found).select("InvoiceId", "x_IsEstimated").rows() == [(None, False)]


def test_the_invoice_of_a_purchase_whose_period_has_closed_before_bills_it_once(tmp_path: Path) -> None:
    """Kept as it closed, without an invoice; then on the invoice, and taken back where it was on none."""
    found = with_purchase(tmp_path)
    assert purchases(found)["InvoiceId"].to_list() == [None]
    found.catalog = {**found.catalog, "invoices": [less("4.37"), bought("100")]}
    found.compute(1, 8)
    assert on(found, "BUY-01")["BilledCost"].sum() == 100
    assert found.rows()["BilledCost"].sum() == 100
    assert purchases(found)["EffectiveCost"].sum() == 0
    assert wrong(found) == []
