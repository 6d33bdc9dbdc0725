"""Charge periods and billing periods: their order and how one lies in the other."""

from __future__ import annotations

import polars as pl

from focus_assets.focus.rules.model import CHARGE_COLUMNS, AnyRule, Reads, RowRule, correction, one_of


def rules() -> tuple[AnyRule, ...]:
    """Starts before ends, and usage inside the period it is billed in."""
    return (_ordered("ChargePeriod"), _ordered("BillingPeriod"), _usage_inside_billing_period())


def _ordered(period: str) -> RowRule:
    start, end = f"{period}Start", f"{period}End"
    return RowRule(
        id=f"periods.{period}_order",
        sentence=f"{start}, inclusive, must be before {end}, exclusive.",
        section=f"Columns: {end}",
        reads={start: Reads.INSTANT, end: Reads.INSTANT},
        violation=(pl.col(start) >= pl.col(end)).fill_null(False),
    )


def _usage_inside_billing_period() -> RowRule:
    periods = ("ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart", "BillingPeriodEnd")
    before = pl.col("ChargePeriodStart") < pl.col("BillingPeriodStart")
    after = pl.col("ChargePeriodEnd") > pl.col("BillingPeriodEnd")
    return RowRule(
        id="periods.usage_inside_billing_period",
        sentence="The charge period of usage must lie in its billing period, unless it is a correction.",
        section="Columns: ChargePeriodStart; Columns: ChargeClass",
        reads={**CHARGE_COLUMNS, **dict.fromkeys(periods, Reads.INSTANT)},
        violation=one_of("ChargeCategory", "Usage") & ~correction() & (before | after).fill_null(False),
    )
