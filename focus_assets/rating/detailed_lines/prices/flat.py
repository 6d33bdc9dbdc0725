"""Flat fees: once, with the period's first line in advance, with its last in arrears.

Source: OpenMeter ``billing/rating/service/rate/flat.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.rating.detailed_lines.position import is_first, is_last
from focus_assets.rating.detailed_lines.prices.component import component


def flat_lines(lines: pl.LazyFrame, tiers: pl.LazyFrame) -> pl.LazyFrame:
    """One component of quantity 1, whatever was used."""
    in_arrears = pl.col("payment_term") == "in_arrears"
    return component(
        lines.filter(pl.when(in_arrears).then(is_last()).otherwise(is_first())),
        pl.lit("flat-price"),
        pl.lit(1),
        pl.col("amount"),
        payment_term=pl.col("payment_term"),
    )
