"""Invoices of charges that credits pay for, and of prices in a custom currency: whole cents, and no difference."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from focus_assets_tests.billing.weeks import Weeks, configuration

TOKENS = "ann/basic/tokens/20260801T000000Z"
REQUESTS = "ann/basic/requests/20260801T000000Z"
D = Decimal


def only_ann(**changes: Any) -> dict[str, Any]:
    found = configuration(**changes)
    found["subscriptions"] = found["subscriptions"][:1]
    return found


def lines(weeks: Weeks) -> dict[str, Decimal]:
    stated = weeks.rows("focus_invoice_detail").select("InvoiceDetailId", "BilledCost")
    return dict(stated.rows())


def credit(amount: str, **changes: Any) -> dict[str, Any]:
    return {
        "key": "gift",
        "customer": "ann",
        "amount": amount,
        "effective_at": "2026-08-01T00:00:00Z",
        **changes,
    }


def test_a_charge_that_given_credit_pays_in_full_costs_nothing_to_the_last_digit(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path, catalog=only_ann(credits=[credit("100")])).compute(1, 7)
    found = lines(weeks)
    assert found[f"{TOKENS}/usage:2"] == D("0.48")
    assert found[f"{TOKENS}/credit"] == -(D("0.56") + D("3.33") + D("0.48"))
    assert found[f"{REQUESTS}/credit"] == D("-0.40") == -found[f"{REQUESTS}/usage"]
    assert weeks.rows().filter(pl.col("InvoiceId").is_not_null())["BilledCost"].sum() == 0
    assert weeks.reconciled()["finding"].null_count() == weeks.reconciled().height


def test_what_is_left_to_pay_after_given_credit_is_whole_cents(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path, catalog=only_ann(credits=[credit("1.2345")])).compute(1, 7)
    found = lines(weeks)
    assert all(cost == round(cost, 2) for cost in found.values())
    assert sum(found.values()) == D("3.54")  # 4.77 less 1.2345
    assert weeks.reconciled()["finding"].null_count() == weeks.reconciled().height


def test_what_bought_credit_pays_is_not_invoiced_again(tmp_path: Path) -> None:
    bought = credit(
        "2", funding_method="invoice", dimensions={"ServiceName": "Credits", "ServiceCategory": "Other"}
    )
    weeks = Weeks(tmp_path, catalog=only_ann(credits=[bought])).compute(1, 7)
    found = lines(weeks)
    assert all(cost == round(cost, 2) for cost in found.values())
    # 2.00 for the credit itself, and what it does not pay of 4.77.
    assert sum(found.values()) == D("2.00") + D("2.77")
    assert weeks.reconciled()["difference"].unique().to_list() == [D(0)]
    assert weeks.reconciled()["finding"].null_count() == weeks.reconciled().height


def test_lines_of_prices_in_a_custom_currency_are_whole_cents_of_the_invoice(tmp_path: Path) -> None:
    """0.555, 3.33 and 0.4797 points at 0.5; 41 requests are 0.4387 points less a tenth, 0.1974 in money."""
    points = only_ann(
        custom_currencies=[{"code": "POINTS", "cost_bases": [{"fiat_code": "USD", "rate": "0.5"}]}]
    )
    points["plans"][0]["currency"] = "POINTS"
    points["subscriptions"][0]["currency"] = "USD"
    weeks = Weeks(tmp_path, catalog=points).compute(1, 7)
    assert lines(weeks) == {
        f"{REQUESTS}/usage": D("0.20"),
        f"{TOKENS}/tier_fee:1": D("0.28"),
        f"{TOKENS}/usage:1": D("1.67"),
        f"{TOKENS}/usage:2": D("0.24"),
    }
    assert weeks.reconciled()["difference"].unique().to_list() == [D(0)]
