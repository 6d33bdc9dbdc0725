"""What a charge's category, frequency and pricing category say together."""

from __future__ import annotations

import polars as pl

from focus_assets.focus.rules.model import AnyRule, NoDuplicatesRule, Reads, RowRule, one_of


def rules() -> tuple[AnyRule, ...]:
    """Purchases, commitments, and no row twice."""
    return (
        RowRule(
            id="charges.purchase_usage_based",
            sentence="A purchase must not have the ChargeFrequency Usage-Based.",
            section="Columns: ChargeFrequency",
            reads={"ChargeCategory": Reads.TEXT, "ChargeFrequency": Reads.TEXT},
            violation=one_of("ChargeCategory", "Purchase") & one_of("ChargeFrequency", "Usage-Based"),
        ),
        RowRule(
            id="charges.committed_without_commitment",
            sentence="A row with the PricingCategory Committed must name its commitment discount.",
            section="Columns: PricingCategory",
            reads={"PricingCategory": Reads.TEXT, "CommitmentDiscountId": Reads.ANY},
            optional=frozenset({"CommitmentDiscountId"}),
            violation=one_of("PricingCategory", "Committed") & pl.col("CommitmentDiscountId").is_null(),
        ),
        NoDuplicatesRule(
            id="charges.duplicate",
            sentence="No two rows may be equal in all columns: the charge would count twice.",
            section="Columns: BilledCost",
        ),
    )
