"""Dynamic prices: the quantity is money; its product with the multiplier is rounded and shown as one unit.

Source: OpenMeter ``billing/rating/service/rate/dynamic.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import multiply_to
from focus_assets.rating.detailed_lines.prices.component import component


def dynamic_lines(lines: pl.LazyFrame, tiers: pl.LazyFrame) -> pl.LazyFrame:
    """One component of quantity 1 at the rounded product; usage of zero or less costs nothing."""
    product = multiply_to(pl.col("quantity"), pl.col("amount"), pl.col("minor_unit"))
    return component(lines.filter(pl.col("quantity") > 0), pl.lit("usage"), pl.lit(1), product)
