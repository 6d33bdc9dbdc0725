"""Prices, quantities and costs agree."""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.decimals import multiply
from focus_assets.focus.columns import FocusColumn, columns
from focus_assets.focus.rules.model import AnyRule, Reads, RowRule, correction, one_of

_QUANTITY_LIMIT: Final = 1e16
_PRICE_LIMIT: Final = 1e14
_COST_LIMIT: Final = 1e19


def rules() -> tuple[AnyRule, ...]:
    """Unit prices are not negative; unit price times quantity is the cost; credits cost what they bill."""
    return (
        *(_not_negative(entry) for entry in columns() if entry.not_negative),
        _product("ListCost", "ListUnitPrice"),
        _product("ContractedCost", "ContractedUnitPrice"),
        _credit("EffectiveCost", None),
        _credit("ListCost", "ListUnitPrice"),
        _credit("ContractedCost", "ContractedUnitPrice"),
        _commitment_purchase(),
    )


def _not_negative(entry: FocusColumn) -> RowRule:
    return RowRule(
        id=f"costs.{entry.id}_negative",
        sentence=f"{entry.id} must not be negative; a negative amount has a negative quantity.",
        section=f"Columns: {entry.id}",
        versions=tuple(entry.levels),
        reads={entry.id: Reads.NUMBER},
        violation=(pl.col(entry.id) < 0).fill_null(False),
    )


def _product(cost: str, unit_price: str) -> RowRule:
    quantity, price = pl.col("PricingQuantity"), pl.col(unit_price)
    # Polars computes both branches of a choice and raises where a product passes 38 digits, so operands that
    # cannot be multiplied are taken out beforehand; their cost cannot be right. Floats decide the range only.
    size, rate = quantity.cast(pl.Float64).abs(), price.cast(pl.Float64).abs()
    fits = (size < _QUANTITY_LIMIT) & (rate < _PRICE_LIMIT) & (size * rate < _COST_LIMIT)
    product = multiply(pl.when(fits).then(quantity), pl.when(fits).then(price))
    return RowRule(
        id=f"costs.{cost}_product",
        sentence=(
            f"{cost} must be {unit_price} times PricingQuantity, to 18 places, unless it is a correction."
        ),
        section=f"Columns: {cost}",
        reads={
            "ChargeClass": Reads.TEXT,
            "PricingQuantity": Reads.REGISTERED,
            unit_price: Reads.REGISTERED,
            cost: Reads.REGISTERED,
        },
        violation=~correction()
        & quantity.is_not_null()
        & price.is_not_null()
        & pl.col(cost).is_not_null()
        & product.ne_missing(pl.col(cost)),
    )


def _credit(cost: str, unit_price: str | None) -> RowRule:
    unpriced = pl.lit(True) if unit_price is None else pl.col(unit_price).is_null()
    reads = {"ChargeCategory": Reads.TEXT, "BilledCost": Reads.NUMBER, cost: Reads.NUMBER}
    return RowRule(
        id=f"costs.{cost}_of_credit",
        sentence=f"{cost} must equal BilledCost on a credit{'' if unit_price is None else ' without price'}.",
        section=f"Columns: {cost}",
        reads=reads if unit_price is None else {**reads, unit_price: Reads.ANY},
        violation=one_of("ChargeCategory", "Credit")
        & unpriced
        & (pl.col(cost) != pl.col("BilledCost")).fill_null(False),
    )


def _commitment_purchase() -> RowRule:
    return RowRule(
        id="costs.EffectiveCost_of_commitment_purchase",
        sentence="EffectiveCost must be 0 on the purchase of a commitment discount.",
        section="Columns: EffectiveCost",
        reads={
            "ChargeCategory": Reads.TEXT,
            "CommitmentDiscountId": Reads.ANY,
            "EffectiveCost": Reads.NUMBER,
        },
        violation=one_of("ChargeCategory", "Purchase")
        & pl.col("CommitmentDiscountId").is_not_null()
        & (pl.col("EffectiveCost") != 0).fill_null(False),
    )
