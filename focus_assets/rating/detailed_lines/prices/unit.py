"""Unit prices: what the line used, at one price; usage of zero or less costs nothing.

Source: OpenMeter ``billing/rating/service/rate/unit.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.rating.detailed_lines.prices.component import component


def unit_lines(lines: pl.LazyFrame, tiers: pl.LazyFrame) -> pl.LazyFrame:
    """One component with the line's quantity."""
    used = lines.filter(pl.col("quantity") > 0)
    return component(used, pl.lit("unit-price-usage"), pl.col("quantity"), pl.col("amount"))
