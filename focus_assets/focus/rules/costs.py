"""Prices, quantities and costs agree."""

from __future__ import annotations

import polars as pl

from focus_assets.focus.columns import FocusColumn, columns
from focus_assets.focus.rules.model import AnyRule, Reads, RowRule, correction, one_of
from focus_assets.focus.rules.products import product_rule


def rules() -> tuple[AnyRule, ...]:
    """Unit prices are not negative; unit price times quantity is the cost; credits cost what they bill."""
    return (
        *(_not_negative(entry) for entry in columns() if entry.not_negative),
        product_rule("ListCost", "ListUnitPrice"),
        product_rule("ContractedCost", "ContractedUnitPrice"),
        _credit("EffectiveCost", None),
        _credit("ListCost", "ListUnitPrice"),
        _credit("ContractedCost", "ContractedUnitPrice"),
        _commitment_purchase(),
        _uncommitted(),
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


def _uncommitted() -> RowRule:
    usage, purchase = one_of("ChargeCategory", "Usage"), one_of("ChargeCategory", "Purchase")
    uncommitted = pl.col("CommitmentDiscountId").is_null() & ~one_of("PricingCategory", "Committed")
    billed, effective = pl.col("BilledCost"), pl.col("EffectiveCost")
    # Nothing billed: paid from a prepaid amount, or to a third party. Nothing effective: a purchase that prepays.
    return RowRule(
        id="costs.EffectiveCost_of_uncommitted",
        sentence=(
            "EffectiveCost must equal BilledCost on usage and purchases without commitment, unless nothing is "
            "billed or a purchase covers later charges, or it is a correction."
        ),
        section="Columns: EffectiveCost",
        reads={
            "ChargeCategory": Reads.TEXT,
            "ChargeClass": Reads.TEXT,
            "PricingCategory": Reads.TEXT,
            "CommitmentDiscountId": Reads.ANY,
            "BilledCost": Reads.NUMBER,
            "EffectiveCost": Reads.NUMBER,
        },
        violation=uncommitted
        & ~correction()
        & ((usage & (billed != 0)) | (purchase & (billed != 0) & (effective != 0))).fill_null(False)
        & (billed != effective).fill_null(False),
        optional=frozenset({"CommitmentDiscountId", "PricingCategory"}),
    )
