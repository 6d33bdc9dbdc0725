"""Rows that credits pay for keep their quantities and costs, whatever is drawn from them."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_assets.catalog.credit_charges import credits_on
from focus_assets.catalog.snapshot import CatalogProblem
from focus_assets.focus.cost_and_usage import build
from focus_assets.focus.credits import Spent, with_credits
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets_tests.focus.vendor import DAY, catalog, fee, line, rated, slices

EXAMPLES = int(os.environ.get("FOCUS_ASSETS_EXAMPLES", "60"))
SINCE = {"customer": "globex", "currency": "EUR", "effective_at": "2026-08-20T08:00:00Z"}


def paid(lines: list[dict[str, Any]], *grants: dict[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of a day without and with credits."""
    vendor = catalog(credits=[{**SINCE, **grant} for grant in grants])
    vendor.check_references()
    rows = build(rated(*lines), slices(vendor), vendor)
    due = credits_on(vendor, DAY)
    return rows.collect(), with_credits(rows, vendor.credits, Spent(), vendor, due, DAY).rows.collect()


def bought(amount: str, key: str = "prepaid", **more: Any) -> dict[str, Any]:
    return {"key": key, "amount": amount, "funding_method": "invoice", **more}


def given_(amount: str, key: str = "welcome", **more: Any) -> dict[str, Any]:
    return {"key": key, "amount": amount, **more}


def test_a_credit_row_says_what_the_row_says_that_it_pays_for() -> None:
    before, after = paid([line("100")], given_("0.5", name="Welcome"))
    [row] = before.rows(named=True)
    _, credit = after.rows(named=True)
    same = (
        "SkuId",
        "SkuMeter",
        "Tags",
        "SubAccountId",
        "ServiceName",
        "RegionId",
        "BillingPeriodStart",
        "x_ChargeId",
    )
    assert {name: credit[name] for name in same} == {name: row[name] for name in same}
    assert (credit["SkuPriceId"], credit["SkuPriceDetails"], credit["ListUnitPrice"]) == (None, None, None)
    assert credit["ChargeDescription"] == f"Credit Welcome: {row['ChargeDescription']}"
    assert (credit["BilledCost"], credit["PricingQuantity"], credit["PricingUnit"]) == (
        Decimal("-0.5"),
        None,
        None,
    )


def test_a_row_of_no_customer_with_credit_is_what_it_was() -> None:
    before, after = paid([line("100")], given_("5", filters={"features": ["seats"]}))
    assert after.equals(before)


def test_two_grants_that_were_bought_share_a_row() -> None:
    _, after = paid([line("100")], bought("0.5", priority=1), bought("0.75", "second"))
    usage = after.filter(pl.col("ChargeCategory") == "Usage")
    shown = usage.select(
        "x_CreditGrantId", "PricingQuantity", "ConsumedQuantity", "BilledCost", "EffectiveCost"
    )
    assert [
        [f"{v.normalize():f}" if isinstance(v, Decimal) else v for v in row] for row in shown.iter_rows()
    ] == [
        ["prepaid", "25", "25", "0", "0.5"],
        ["second", "37.5", "37.5", "0", "0.75"],
        [None, "37.5", "37.5", "0.75", "0.75"],
    ]
    report = check(project(after.lazy(), "1.4"), rules_for("1.4"))
    assert [result.sentence for result in report.violated] == []


quantities = st.one_of(
    st.integers(1, 10**7).map(lambda n: f"{Decimal(n).scaleb(-2)}"),
    st.integers(1, 10**12).map(lambda n: f"{Decimal(n).scaleb(-9)}"),
)
prices = st.sampled_from(["0.02", "0.000000000001", "0.333333333333", "17", "0.0000015"])
amounts = st.integers(1, 10**12).map(lambda n: f"{Decimal(n).scaleb(-9)}")


@settings(max_examples=EXAMPLES // 3, deadline=None)
@given(
    st.lists(st.tuples(quantities, prices), min_size=1, max_size=4),
    st.lists(st.tuples(amounts, st.booleans()), min_size=1, max_size=4),
)
def test_credits_move_billed_cost_and_nothing_else(
    used: list[tuple[str, str]], grants: list[tuple[str, bool]]
) -> None:
    lines = [line(q, p, dimensions={"team": f"t{n}"}) for n, (q, p) in enumerate(used)]
    if any(Decimal(q) * Decimal(p) != round(Decimal(q) * Decimal(p), 18) for q, p in used):
        lines = [line("7.5", "0.02", tier=1)]
    before, after = paid(
        [*lines, fee()],
        *(bought(a, f"g{n}") if is_bought else given_(a, f"g{n}") for n, (a, is_bought) in enumerate(grants)),
    )
    own = after["x_PriceComponent"].is_in(["credit_purchase", "credit_expiry"])
    charges = after.filter(~own & (after["ChargeCategory"] != "Credit"))
    for name in ("ListCost", "ContractedCost", "EffectiveCost", "PricingQuantity", "ConsumedQuantity"):
        assert charges[name].sum() == before[name].sum(), name
    paid_for = before["BilledCost"].sum() - after.filter(~own)["BilledCost"].sum()
    assert paid_for == min(sum(Decimal(a) for a, _ in grants), before["BilledCost"].sum())
    spent = (
        after.filter(~own)
        .group_by("x_CreditGrantId")
        .agg(
            pl.when(pl.col("ChargeCategory") == "Credit")
            .then(-pl.col("BilledCost"))
            .otherwise("EffectiveCost")
            .sum()
        )
    )
    by_grant = dict(spent.drop_nulls("x_CreditGrantId").iter_rows())
    assert all(0 < v <= Decimal(grants[int(grant[1:])][0]) for grant, v in by_grant.items())


@pytest.mark.parametrize(
    ("grant", "sentence"),
    [
        ({"customer": "nobody"}, r"credits\[0\]\.customer: unknown customer 'nobody'"),
        ({"currency": "USD"}, r"credits\[0\]\.currency: customer 'globex' has no subscription in USD"),
        ({"filters": {"features": ["chta"]}}, r"credits\[0\]\.filters\.features: unknown feature 'chta'"),
        (
            {"funding_method": "invoice", "effective_at": "2026-08-01"},
            r"credits\[0\]\.effective_at: .* no subscription in EUR at 2026-08-01",
        ),
    ],
)
def test_a_grant_that_could_pay_for_nothing_is_refused(grant: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CatalogProblem, match=sentence):
        catalog(credits=[{**SINCE, **given_("5"), **grant}]).check_references()
