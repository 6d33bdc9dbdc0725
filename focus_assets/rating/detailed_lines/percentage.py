"""Percentage discounts: taken off every priced component, each rounded, also where nothing is left to take.

Source: OpenMeter ``billing/rating/service/mutator/discountpercentage.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import multiply_to


def with_percentage_discount(components: pl.LazyFrame) -> pl.LazyFrame:
    """Adds ``percentage_discount`` (null where none is agreed) and takes it off ``net``."""
    discount = multiply_to(pl.col("net"), pl.col("percentage"), pl.col("minor_unit"))
    return components.with_columns(discount.alias("percentage_discount")).with_columns(
        pl.when(discount.is_null()).then("net").otherwise(pl.col("net") - discount).alias("net")
    )
