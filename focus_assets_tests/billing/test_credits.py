"""Invoices of customers who have credit, and of plans that are priced in a custom currency."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.stage_controls import credits_not_overdrawn
from focus_assets_tests.billing.weeks import BEFORE, EveryDataset, Weeks, configuration, price

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
    return EveryDataset(root, catalog=configuration(**changes)).compute()


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
    computed = EveryDataset(tmp_path, usage=[(1, "ann", "requests", None, "2")], catalog=catalog).compute()
    assert findings(computed) == []
    assert paid_in_cents(computed)


PACK = {
    "key": "pack",
    "amount": "2.505",
    "funding_method": "invoice",
    "expires_at": "2026-08-06T12:00:00Z",
    "filters": {"features": ["nothing_that_is_used"]},
}
"""Bought on the 2nd, used for nothing, so that all of it expires on the 6th."""

WEEK = "ann/20260801-20260808/USD"


def with_unused_feature() -> dict[str, Any]:
    catalog = configuration(credits=[{**SINCE, **PACK}])
    catalog["features"].append({"key": "nothing_that_is_used", "meter": "requests"})
    return catalog


@pytest.fixture(scope="module")
def prepaid(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return EveryDataset(tmp_path_factory.mktemp("prepaid"), catalog=with_unused_feature()).compute()


def test_credit_that_is_bought_and_what_expires_of_it_are_lines_of_the_period_s_invoice(
    prepaid: Weeks,
) -> None:
    purchase = prepaid.line("pack/20260802T000000Z/credit_purchase").row(0, named=True)
    assert (purchase["InvoiceId"], purchase["x_IsEstimated"]) == (WEEK, False)
    assert (purchase["BilledCost"], purchase["ListCost"], purchase["EffectiveCost"]) == (
        Decimal("2.51"),
        Decimal("2.505"),
        0,
    )
    expiry = prepaid.line("pack/20260806T000000Z/credit_expiry").row(0, named=True)
    assert (expiry["InvoiceId"], expiry["x_IsEstimated"]) == (WEEK, False)
    assert (expiry["BilledCost"], expiry["EffectiveCost"]) == (0, Decimal("2.505"))
    details = prepaid.rows("focus_invoice_detail").filter(pl.col("InvoiceDetailId").str.starts_with("pack/"))
    assert details.select("InvoiceDetailId", "InvoiceId", "ChargeCategory", "BilledCost").rows() == [
        ("pack/20260802T000000Z/credit_purchase", WEEK, "Purchase", Decimal("2.51")),
        ("pack/20260806T000000Z/credit_expiry", WEEK, "Usage", Decimal(0)),
    ]


def test_a_closed_period_with_credit_has_no_estimate_and_no_difference(prepaid: Weeks) -> None:
    week = prepaid.rows().filter(pl.col("BillingPeriodStart").dt.day() == 1)
    assert week["x_IsEstimated"].unique().to_list() == [False]
    lines = prepaid.reconciled()
    assert lines["difference"].unique().to_list() == [Decimal(0)]
    assert lines["finding"].null_count() == lines.height
    reference = lines.filter(pl.col("InvoiceDetailId").str.starts_with("pack/"))
    assert reference["reference"].to_list() == [Decimal("2.51")]


def test_rows_invoice_lines_and_billing_periods_refer_to_each_other(prepaid: Weeks) -> None:
    rows, details = prepaid.rows(), prepaid.rows("focus_invoice_detail")
    invoiced = rows.filter(pl.col("InvoiceId").is_not_null())
    key = ("InvoiceId", "InvoiceDetailId")
    charged = invoiced.group_by(key).agg(pl.col("BilledCost").sum()).sort(key)
    assert charged.rows() == details.select(*key, "BilledCost").sort(key).rows()
    periods = ("BillingPeriodStart", "BillingPeriodEnd", "InvoiceIssuerName")
    listed = prepaid.rows("focus_billing_period").rename({"x_BillingAccountId": "BillingAccountId"})
    assert rows.join(listed, on=[*periods, "BillingAccountId"], how="anti").is_empty()


def test_a_purchase_that_is_not_what_the_grant_costs_is_found(tmp_path: Path) -> None:
    spoiled = EveryDataset(tmp_path, catalog=with_unused_feature()).compute()
    rows = spoiled.lake.scan("focus_cost_and_usage", [dt.date(2026, 8, 2)]).collect()
    dearer = pl.when(pl.col("x_PriceComponent") == "credit_purchase").then(Decimal("2.6"))
    spoiled.rewrite(
        "focus_cost_and_usage",
        2,
        rows.with_columns(dearer.otherwise("BilledCost").cast(pl.Decimal(38, 18)).alias("BilledCost")),
    )
    assert any("do not add up to the charge rated at once" in each for each in findings(spoiled))


def test_credit_is_an_estimate_until_its_period_closes(tmp_path: Path) -> None:
    open_week = EveryDataset(tmp_path, catalog=with_unused_feature(), as_of=BEFORE).compute()
    own = open_week.rows().filter(pl.col("x_PriceComponent").str.starts_with("credit_"))
    assert own.height == 2
    assert own["InvoiceId"].null_count() == own["InvoiceDetailId"].null_count() == 2
    assert own["x_IsEstimated"].all()


def test_credit_that_no_subscription_can_use_is_invoiced_by_the_calendar_month(tmp_path: Path) -> None:
    """Bob pays in dollars; credit in euros that he bought is all there is of his August in euros."""
    euros = {**PACK, "customer": "bob", "currency": "EUR", "expires_at": "2026-08-05T00:00:00Z"}
    catalog = with_unused_feature()
    catalog["credits"] = [{**SINCE, **euros}]
    computed = EveryDataset(tmp_path, catalog=catalog, as_of=dt.datetime(2026, 9, 4, tzinfo=dt.UTC)).compute()
    [purchase] = computed.rows().filter(pl.col("x_PriceComponent") == "credit_purchase").to_dicts()
    assert purchase["InvoiceId"] == "bob/20260801-20260901/EUR/Test Vendor Europe"
    periods = computed.rows("focus_billing_period").filter(pl.col("x_CustomerKey") == "bob")
    lasts = (pl.col("BillingPeriodEnd") - pl.col("BillingPeriodStart")).dt.total_days()
    month = periods.filter(lasts == 31)
    assert month["BillingPeriodStatus"].to_list() == ["Closed"]
    assert findings(computed) == []


def test_credit_that_expires_on_the_day_it_was_bought_is_two_lines_of_one_stem(tmp_path: Path) -> None:
    catalog = with_unused_feature()
    catalog["credits"] = [{**SINCE, **PACK, "expires_at": "2026-08-02T18:00:00Z"}]
    computed = EveryDataset(tmp_path, catalog=catalog).compute()
    details = computed.rows("focus_invoice_detail").filter(pl.col("InvoiceDetailId").str.starts_with("pack/"))
    assert details.select("InvoiceDetailId", "BilledCost").rows() == [
        ("pack/20260802T000000Z/credit_expiry", Decimal(0)),
        ("pack/20260802T000000Z/credit_purchase", Decimal("2.51")),
    ]
    assert findings(computed) == []
