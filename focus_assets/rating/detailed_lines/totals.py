"""Last step: the totals of each component, and its discounts and credits as lists.

Source: OpenMeter ``billing/rating/service/detailedline.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import COST
from focus_assets.rating.detailed_lines.tables import (
    CREDIT_APPLIED,
    DETAILED_LINES,
    DISCOUNT,
    LINE_MAXIMUM_SPEND,
)

_ZERO = pl.lit(0, COST)
_KEY = ("line_id", "position")


def detailed(components: pl.LazyFrame, applied: pl.LazyFrame) -> pl.LazyFrame:
    """DETAILED_LINES of rated components and the credits that pay them, sorted by line and index."""
    credits = applied.group_by(_KEY).agg(
        pl.col("amount").sum().alias("_credits"),
        pl.struct("credit_index", "amount").sort_by("credit_index").alias("credits_applied"),
    )
    commitment = pl.col("category") == "commitment"
    taken_off = pl.col("percentage_discount").fill_null(_ZERO) + pl.col("maximum_discount").fill_null(_ZERO)
    paid = pl.col("_credits").fill_null(_ZERO)
    gross = pl.col("gross")
    return (
        components.join(credits, on=_KEY, how="left")
        .with_columns(
            (pl.col("position").rank("ordinal").over("line_id") - 1).cast(pl.Int32).alias("index"),
            _discounts().alias("amount_discounts"),
            pl.col("credits_applied").fill_null(pl.lit([], pl.List(CREDIT_APPLIED))),
            pl.when(commitment).then(_ZERO).otherwise(gross).alias("amount"),
            pl.when(commitment).then(gross).otherwise(_ZERO).alias("charges_total"),
            taken_off.alias("discounts_total"),
            paid.alias("credits_total"),
            (gross - taken_off - paid).alias("total"),
        )
        .select(DETAILED_LINES.names())
        .sort("line_id", "index")
    )


def _discounts() -> pl.Expr:
    percentage = _discount(
        "ratecard_percentage",
        pl.lit("rateCardDiscount/correlationID=") + pl.col("percentage_id").fill_null(""),
        pl.col("percentage_discount"),
    )
    maximum = _discount("maximum_spend", pl.lit(LINE_MAXIMUM_SPEND), pl.col("maximum_discount"))
    return pl.concat_list(percentage, maximum).list.drop_nulls().cast(pl.List(DISCOUNT))


def _discount(reason: str, ref: pl.Expr, amount: pl.Expr) -> pl.Expr:
    entry = pl.struct(pl.lit(reason).alias("reason"), ref.alias("ref"), amount.alias("amount"))
    return pl.when(amount.is_not_null()).then(entry)
