"""Pricing currency and billing currency: how they are written, and what follows where they are the same."""

from __future__ import annotations

import polars as pl

from focus_assets.catalog.national_currencies import NATIONAL_CURRENCIES
from focus_assets.focus.rules.model import AnyRule, Reads, RowRule, since

_SAME = {
    "PricingCurrencyContractedUnitPrice": "ContractedUnitPrice",
    "PricingCurrencyEffectiveCost": "EffectiveCost",
    "PricingCurrencyListUnitPrice": "ListUnitPrice",
}


def rules() -> tuple[AnyRule, ...]:
    """National currencies in capitals; equal amounts in equal currencies."""
    return (_written(), *(_same(name, other) for name, other in _SAME.items()))


def _written() -> RowRule:
    code = pl.col("PricingCurrency")
    return RowRule(
        id="currencies.PricingCurrency_capitals",
        sentence="PricingCurrency must write a national currency in capitals; other words are virtual currencies.",
        section="Attributes: Currency Format",
        versions=since("1.2"),
        reads={"PricingCurrency": Reads.TEXT},
        violation=(
            code.str.to_uppercase().is_in(NATIONAL_CURRENCIES) & ~code.is_in(NATIONAL_CURRENCIES)
        ).fill_null(False),
        by_value=True,
    )


def _same(name: str, other: str) -> RowRule:
    return RowRule(
        id=f"currencies.{name}_same",
        sentence=f"{name} must equal {other} where PricingCurrency and BillingCurrency are the same.",
        section=f"Columns: {name}",
        versions=since("1.2"),
        reads={
            "PricingCurrency": Reads.TEXT,
            "BillingCurrency": Reads.TEXT,
            name: Reads.NUMBER,
            other: Reads.NUMBER,
        },
        violation=(
            (pl.col("PricingCurrency") == pl.col("BillingCurrency")) & (pl.col(name) != pl.col(other))
        ).fill_null(False),
    )
