"""Prices in a custom currency: what they become in money, and what cannot be converted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from focus_assets.catalog.charges import CostBasisUnknown
from focus_assets.catalog.fees import fees_on
from focus_assets.catalog.snapshot import Catalog, CatalogProblem
from focus_assets.focus.cost_and_usage import build
from focus_assets.focus.price_list import price_list
from focus_assets.rating import fee_lines
from focus_assets_tests.catalog.building import day
from focus_assets_tests.focus.vendor import CATALOG, DAY, catalog, line, rated, slices

BASIS = {"fiat_code": "EUR", "rate": "0.02"}


def vendor(*bases: dict[str, Any], price: dict[str, Any] | None = None, **of_subscription: Any) -> Catalog:
    """Globex on a plan priced in AI credits with a fee of 10 of them, invoiced in euros."""
    fee = {"key": "platform", "price": {"type": "flat", "amount": "10.006"}}
    chat = {"feature": "chat", "price": price or {"type": "unit", "amount": "0.5"}}
    globex = CATALOG["subscriptions"][0]
    return catalog(
        custom_currencies=[
            {"code": "AI_CREDITS", "name": "AI Credits", "cost_bases": list(bases) or [BASIS]}
        ],
        plans=[{"key": "pro", "currency": "AI_CREDITS", "rate_cards": [chat, fee]}],
        subscriptions=[{**globex, **of_subscription}],
    )


def rows(of: Catalog, *lines: dict[str, Any]) -> pl.DataFrame:
    return build(rated(*lines), slices(of), of).collect()


def test_unit_prices_and_costs_are_in_money_and_beside_them_as_priced() -> None:
    made = rows(vendor(), line("100", "0.5", tier=None)).row(0, named=True)
    assert (made["ListUnitPrice"], made["BilledCost"], made["BillingCurrency"]) == (Decimal("0.01"), 1, "EUR")
    assert made["PricingCurrencyListUnitPrice"] == Decimal("0.5")
    assert (made["PricingCurrencyEffectiveCost"], made["PricingCurrency"]) == (50, "AI_CREDITS")


def test_what_is_paid_less_than_agreed_is_converted_itself() -> None:
    capped = line("100", "0.5", tier=None) | {"billed_cost": Decimal(30), "effective_cost": Decimal(30)}
    made = rows(vendor(), capped).row(0, named=True)
    assert (made["ContractedCost"], made["BilledCost"], made["PricingCurrencyEffectiveCost"]) == (
        1,
        Decimal("0.6"),
        30,
    )


def test_a_price_is_converted_to_twelve_places_and_its_product_is_the_cost() -> None:
    made = rows(vendor({**BASIS, "rate": "0.333333333333"}), line("7", "0.000000000002", tier=None))
    [row] = made.rows(named=True)
    assert row["ListUnitPrice"] == Decimal("0.000000000001")
    assert row["ListCost"] == Decimal("0.000000000007")


def test_a_charge_keeps_the_rate_of_its_beginning() -> None:
    later = {**BASIS, "rate": "0.03", "effective_from": "2026-08-18"}
    assert rows(vendor(BASIS, later), line("100", "0.5", tier=None))["BilledCost"].to_list() == [1]
    earlier = {**later, "effective_from": "2026-08-14"}
    assert rows(vendor(BASIS, earlier), line("100", "0.5", tier=None))["BilledCost"].to_list() == [
        Decimal("1.5")
    ]


def test_a_fee_is_rounded_in_the_currency_it_is_priced_in() -> None:
    sold = vendor(active_from="2026-08-20")
    fees = fees_on(sold.on(DAY), DAY)
    [row] = build(fee_lines(fees), [], sold, fees).collect().rows(named=True)
    assert row["PricingCurrencyEffectiveCost"] == Decimal("10.01")
    assert row["BilledCost"] == Decimal("0.2002")


def test_the_price_list_is_in_the_currency_of_the_prices() -> None:
    listed = price_list(rows(vendor(), line("100", "0.5", tier=None)).lazy()).collect().row(0, named=True)
    assert (listed["PricingCurrency"], listed["ListUnitPrice"]) == ("AI_CREDITS", Decimal("0.5"))


def test_nothing_is_priced_without_a_rate() -> None:
    dollars = vendor({"fiat_code": "USD", "rate": "1"})
    with pytest.raises(
        CostBasisUnknown, match=r"custom_currencies\[AI_CREDITS\]\.cost_bases has none in EUR"
    ):
        slices(dollars)
    with pytest.raises(CostBasisUnknown, match="at 2026-08-15T13:22:07Z"):
        fees_on(vendor({**BASIS, "effective_from": "2026-08-16"}).on(day("2026-08-15")), day("2026-08-15"))


def test_an_unknown_currency_is_refused_where_it_stands() -> None:
    changed = vendor().model_copy(update={"custom_currencies": ()})
    with pytest.raises(CatalogProblem, match=r"plans\[0\]\.currency: unknown currency 'AI_CREDITS'"):
        Catalog.model_validate(changed.model_dump()).check_references()


@pytest.mark.parametrize(
    ("currency", "sentence"),
    [
        ({"code": "EUR", "cost_bases": [BASIS]}, "code"),
        ({"code": "AI_CREDITS", "cost_bases": []}, "cost_bases"),
        ({"code": "AI_CREDITS", "cost_bases": [{**BASIS, "rate": "0"}]}, "rate"),
        ({"code": "AI_CREDITS", "cost_bases": [BASIS, BASIS]}, "two in EUR from the same instant"),
        ({"code": "AI_CREDITS", "precision": 13, "cost_bases": [BASIS]}, "precision"),
    ],
)
def test_a_currency_that_cannot_be_is_refused(currency: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        catalog(custom_currencies=[currency])
