"""Second step: free units. Earlier usage of the period eats the allowance first.

Source: OpenMeter ``billing/rating/service/mutator/discountusage.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import PRICING_QUANTITY

_ZERO = pl.lit(0, PRICING_QUANTITY)


def without_free_units(lines: pl.LazyFrame) -> pl.LazyFrame:
    """``before`` and ``quantity`` without what is free; adds ``free_before`` and ``free_now``.

    Negative usage gives the allowance back, as OpenMeter does. Flat prices use no quantity and pass.
    """
    applies = pl.col("free_units").is_not_null() & ~pl.col("price").is_in(["flat", "free"])
    allowance = pl.when(applies).then("free_units").otherwise(_ZERO)
    before, now = pl.col("before"), pl.col("quantity")
    return (
        lines.with_columns(
            pl.when(applies).then(pl.min_horizontal(allowance, before)).otherwise(_ZERO).alias("free_before")
        )
        .with_columns(
            pl.when(applies)
            .then(pl.min_horizontal(allowance - pl.col("free_before"), now))
            .otherwise(_ZERO)
            .alias("free_now")
        )
        .with_columns(
            (before - pl.col("free_before")).alias("before"), (now - pl.col("free_now")).alias("quantity")
        )
    )


def usage_discounts(lines: pl.LazyFrame) -> pl.LazyFrame:
    """The free units of each line that has some: line_id, reason, ref, quantity, and what earlier lines had."""
    return lines.filter(pl.col("free_now") != 0).select(
        "line_id",
        pl.lit("ratecard_usage").alias("reason"),
        (pl.lit("rateCardDiscount/correlationID=") + pl.col("free_units_id")).alias("ref"),
        pl.col("free_now").alias("quantity"),
        pl.col("free_before").alias("pre_line_period"),
    )
