"""Packages: a line pays for the packages that its usage opened.

Source: OpenMeter ``billing/rating/service/rate/package.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import PRICING_QUANTITY
from focus_assets.rating.detailed_lines.position import is_first
from focus_assets.rating.detailed_lines.prices.component import component

_ONE = pl.lit(1, PRICING_QUANTITY)
_ZERO = pl.lit(0, PRICING_QUANTITY)


def packages(quantity: pl.Expr, size: pl.Expr) -> pl.Expr:
    """How many packages of ``size`` hold ``quantity``: rounded up, also below zero, and 0 of 0."""
    amount = quantity.abs()
    full = amount // size
    started = pl.when((amount % size != 0) & (quantity > 0)).then(_ONE).otherwise(_ZERO)
    return pl.when(quantity < 0).then(-full).otherwise(full + started)


def package_lines(lines: pl.LazyFrame, tiers: pl.LazyFrame) -> pl.LazyFrame:
    """One component with the packages opened within the line; what fell back closes packages again."""
    size = pl.col("package_size")
    opened_before = pl.when(is_first()).then(_ZERO).otherwise(packages(pl.col("before"), size))
    opened = packages(pl.col("before") + pl.col("quantity"), size) - opened_before
    some = lines.with_columns(opened.alias("_opened")).filter(pl.col("_opened") != 0)
    return component(some, pl.lit("usage"), pl.col("_opened"), pl.col("amount"))
