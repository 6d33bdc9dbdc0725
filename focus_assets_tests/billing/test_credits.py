"""Invoices of customers who have credit, and of plans that are priced in a custom currency."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from focus_assets.stage_controls import credits_not_overdrawn
from focus_assets_tests.billing.weeks import Weeks, configuration, price

SINCE = {"customer": "ann", "effective_at": "2026-08-02T00:00:00Z"}
AI_CREDITS = {"code": "AI_CREDITS", "cost_bases": [{"fiat_code": "USD", "rate": "0.0133"}]}
FEE = {"key": "platform", "price": {"type": "flat", "amount": "7.777"}}


def weeks(root: Path, *grants: dict[str, Any], custom: bool = False) -> Weeks:
    changes: dict[str, Any] = {"credits": [{**SINCE, **grant} for grant in grants]}
    plan = configuration()["plans"][0]
    if custom:
        requests = {"feature": "requests", "price": price("0.37", minimum_amount="20")}
        plan = {**plan, "currency": "AI_CREDITS", "rate_cards": [plan["rate_cards"][0], requests]}
        changes["custom_currencies"] = [AI_CREDITS]
    changes["plans"] = [{**plan, "rate_cards": [*plan["rate_cards"], FEE]}]
    return Weeks(root, catalog=configuration(**changes)).compute()


def findings(of: Weeks) -> list[str]:
    return of.reconciled().filter(pl.col("finding").is_not_null())["finding"].to_list()


def paid_in_cents(of: Weeks) -> bool:
    """Every line of every invoice asks for whole cents."""
    rows = of.rows().filter(pl.col("InvoiceDetailId").is_not_null())
    lines = rows.group_by("InvoiceDetailId").agg(pl.col("BilledCost").sum())["BilledCost"]
    return all(cost == round(cost, 2) for cost in lines)


def test_a_plan_in_a_custom_currency_is_invoiced_in_whole_cents_and_reconciles(tmp_path: Path) -> None:
    computed = weeks(tmp_path, custom=True)
    assert findings(computed) == []
    assert paid_in_cents(computed)
    [fee] = computed.line("ann/basic/platform/20260801T000000Z/flat_fee")["BilledCost"].to_list()
    assert fee == Decimal("0.10")  # 7.78 credits, rounded in credits, at 0.0133


def test_credit_bought_in_a_custom_currency_leaves_no_difference(tmp_path: Path) -> None:
    bought = {
        "key": "pack",
        "currency": "AI_CREDITS",
        "amount": "9",
        "funding_method": "invoice",
        "purchase": {"per_unit_cost_basis": "0.01"},
    }
    computed = weeks(tmp_path, bought, custom=True)
    assert findings(computed) == []
    used = computed.rows().filter(
        pl.col("x_CreditGrantId") == "pack", pl.col("x_PriceComponent") != "credit_purchase"
    )
    assert used["PricingCurrencyEffectiveCost"].sum() == 9


def test_credit_that_was_given_in_a_custom_currency_leaves_no_difference(tmp_path: Path) -> None:
    computed = weeks(tmp_path, {"key": "gift", "currency": "AI_CREDITS", "amount": "5"}, custom=True)
    assert findings(computed) == []


def test_what_an_invoice_rounds_is_nothing_that_a_credit_paid(tmp_path: Path) -> None:
    computed = weeks(
        tmp_path, {"key": "gift", "amount": "3.333"}, {"key": "more", "amount": "0.5", "priority": 20}
    )
    paid = {"gift": Decimal(0), "more": Decimal(0)}
    for day in computed.lake.days("focus_cost_and_usage"):
        record = computed.lake.record("focus_cost_and_usage", day)
        assert record is not None
        assert credits_not_overdrawn(computed.lake, day).is_empty()
        for grant, charges in record.facts.get("credits", {}).get("used", {}).items():
            paid[grant] += sum(map(Decimal, charges.values()), Decimal(0))
    assert paid == {"gift": Decimal("3.333"), "more": Decimal("0.5")}


def test_credit_in_money_leaves_no_difference(tmp_path: Path) -> None:
    bought = {"key": "pack", "amount": "2.5", "funding_method": "invoice"}
    computed = weeks(tmp_path, bought, {"key": "gift", "amount": "1.11", "priority": 1})
    assert findings(computed) == []


def test_a_minimum_that_bought_credit_pays_in_part_is_invoiced_in_whole_cents(tmp_path: Path) -> None:
    catalog = configuration(
        credits=[
            {
                **SINCE,
                "effective_at": "2026-08-01T00:00:00Z",
                "key": "p",
                "amount": "3",
                "funding_method": "invoice",
            }
        ]
    )
    requests = {"feature": "requests", "price": price("1.0005", minimum_amount="7.777")}
    catalog["plans"][0]["rate_cards"] = [requests]
    computed = Weeks(tmp_path, usage=[(1, "ann", "requests", None, "2")], catalog=catalog).compute()
    assert findings(computed) == []
    assert paid_in_cents(computed)
