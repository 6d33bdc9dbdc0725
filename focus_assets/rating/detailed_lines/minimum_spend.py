"""Minimum spend: what a period is short of it is one more component of the period's last line.

Source: OpenMeter ``billing/rating/service/mutator/mincommitment.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import COST, PRICING_QUANTITY, UNIT_PRICE, round_to
from focus_assets.rating.detailed_lines.position import is_last
from focus_assets.rating.detailed_lines.prices.component import IN_ARREARS
from focus_assets.rating.detailed_lines.tables import MIN_SPEND

_LAST = 2**31 - 1


def minimum_spend_components(lines: pl.LazyFrame, components: pl.LazyFrame) -> pl.LazyFrame:
    """The top-ups: columns as ``components`` have them, category ``commitment``, over the full period.

    Compared without rounding, after discounts and before credits; neither the percentage nor the maximum applies.
    """
    billed = components.group_by("line_id").agg(pl.col("net").sum().alias("_net"))
    have = pl.col("previously_billed") + pl.col("_net").fill_null(pl.lit(0, COST))
    applies = pl.col("minimum_amount").is_not_null() & is_last() & ~pl.col("ignores_minimum")
    short = round_to(pl.col("minimum_amount") - have, pl.col("minor_unit"))
    return (
        lines.filter(applies & ~pl.col("price").is_in(["flat", "free"]))
        .join(billed, on="line_id", how="left")
        .filter(have < pl.col("minimum_amount"))
        .select(
            "line_id",
            pl.lit(_LAST, pl.Int32).alias("position"),
            pl.lit(MIN_SPEND).alias("ref"),
            pl.lit(None, pl.Int32).alias("tier"),
            pl.lit("commitment").alias("category"),
            pl.lit(IN_ARREARS).alias("payment_term"),
            pl.col("full_period_from").alias("period_from"),
            pl.col("full_period_to").alias("period_to"),
            pl.lit(1, PRICING_QUANTITY).alias("quantity"),
            short.cast(UNIT_PRICE).alias("per_unit_amount"),
            short.alias("gross"),
            pl.lit(None, COST).alias("percentage_discount"),
            pl.lit(None, COST).alias("maximum_discount"),
            short.alias("net"),
        )
    )
