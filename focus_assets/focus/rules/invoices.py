"""What an invoice's rows say together, and what the rows of a commitment add up to."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.focus.rules.model import (
    AnyRule,
    OneValueRule,
    Reads,
    TotalsRule,
    correction,
    one_of,
    since,
)

_HALF_A_CENT: Final = Decimal("0.005")


def rules() -> tuple[AnyRule, ...]:
    """One currency and one issuer per invoice; taxes of what is not discounted; commitments used up."""
    return (
        OneValueRule(
            id="invoices.InvoiceId_BillingCurrency",
            sentence="InvoiceId must have one BillingCurrency, that of the invoice.",
            section="Columns: BillingCurrency",
            versions=since("1.2"),
            key="InvoiceId",
            value="BillingCurrency",
        ),
        OneValueRule(
            id="invoices.InvoiceId_InvoiceIssuerName",
            sentence="InvoiceId should have one InvoiceIssuerName.",
            section="Columns: InvoiceId",
            versions=since("1.2"),
            blocking=False,
            key="InvoiceId",
            value="InvoiceIssuerName",
        ),
        *(_tax(cost) for cost in ("ListCost", "ContractedCost", "EffectiveCost")),
        _commitment(),
    )


def stated_totals(stated: Mapping[str, Decimal]) -> TotalsRule:
    """The rule that BilledCost adds up to each invoice's total; invoices not in ``stated`` do not count.

    Args:
        stated: InvoiceId to the sum of BilledCost in the dataset Invoice Detail.
    """
    totals = pl.col("InvoiceId").replace_strict(
        list(stated), list(stated.values()), default=None, return_dtype=pl.Decimal(38, 18)
    )
    return TotalsRule(
        id="invoices.BilledCost_of_InvoiceDetail",
        sentence="BilledCost must add up to what Invoice Detail states for the invoice.",
        section="Columns: BilledCost",
        keys=("InvoiceId",),
        reads={"InvoiceId": Reads.TEXT, "BilledCost": Reads.NUMBER},
        totals={"BilledCost": pl.col("BilledCost")},
        violation=((pl.col("BilledCost") - totals).abs() >= _HALF_A_CENT).fill_null(False),
    )


def _tax(cost: str) -> TotalsRule:
    tax = one_of("ChargeCategory", "Tax")
    differs = (pl.col(cost) != pl.col("BilledCost")).fill_null(False)
    return TotalsRule(
        id=f"invoices.{cost}_of_tax",
        sentence=(
            f"{cost} of a tax should equal its BilledCost where the two are equal on every other charge of the "
            "invoice: it is computed from the same bases."
        ),
        section=f"Columns: {cost}",
        versions=since("1.2"),
        blocking=False,
        keys=("InvoiceId",),
        reads={
            "InvoiceId": Reads.TEXT,
            "ChargeCategory": Reads.TEXT,
            "BilledCost": Reads.NUMBER,
            cost: Reads.NUMBER,
        },
        totals={
            "charges": (~tax).cast(pl.Int64),
            "charges_that_differ": (~tax & differs).cast(pl.Int64),
            "taxes_that_differ": (tax & differs).cast(pl.Int64),
        },
        violation=(pl.col("charges") > 0)
        & (pl.col("charges_that_differ") == 0)
        & (pl.col("taxes_that_differ") > 0),
    )


def _commitment() -> TotalsRule:
    """Decidable where the file holds the whole term: one-time purchases, and usage from their start to their end."""
    purchase, usage = one_of("ChargeCategory", "Purchase"), one_of("ChargeCategory", "Usage")
    once = purchase & one_of("ChargeFrequency", "One-Time") & ~correction()
    start, end = pl.col("ChargePeriodStart"), pl.col("ChargePeriodEnd")
    whole = (
        (pl.col("usage_from") <= pl.col("purchase_from")) & (pl.col("usage_to") >= pl.col("purchase_to"))
    ).fill_null(False)
    return TotalsRule(
        id="costs.EffectiveCost_of_commitment",
        sentence=(
            "EffectiveCost of a commitment's usage, used and unused, must add up to BilledCost of its purchase "
            "where the file holds its whole term."
        ),
        section="Columns: EffectiveCost",
        keys=("CommitmentDiscountId",),
        reads={
            "ChargeCategory": Reads.TEXT,
            "ChargeClass": Reads.TEXT,
            "ChargeFrequency": Reads.TEXT,
            "CommitmentDiscountId": Reads.TEXT,
            "BilledCost": Reads.NUMBER,
            "EffectiveCost": Reads.NUMBER,
            "ChargePeriodStart": Reads.INSTANT,
            "ChargePeriodEnd": Reads.INSTANT,
        },
        totals={
            "billed": pl.when(purchase).then(pl.col("BilledCost")),
            "effective": pl.when(usage).then(pl.col("EffectiveCost")),
            "other_purchases": (purchase & ~once).cast(pl.Int64),
        },
        lowest={"purchase_from": pl.when(once).then(start), "usage_from": pl.when(usage).then(start)},
        highest={"purchase_to": pl.when(once).then(end), "usage_to": pl.when(usage).then(end)},
        violation=whole
        & (pl.col("other_purchases") == 0)
        & ((pl.col("billed") - pl.col("effective")).abs() >= _HALF_A_CENT).fill_null(False),
    )
