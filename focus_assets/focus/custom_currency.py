"""Prices in a custom currency: what they are in the currency of the invoice.

What belongs here: conversion of lines that are about to be rows. What does not: rates (``catalog.currencies``).
FOCUS keeps both: unit prices and costs in the billing currency, and PricingCurrency columns beside them.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import UNIT_PRICE, convert, multiply
from focus_assets.decimals import round_half_away as rounded

_ONE = pl.lit(1, UNIT_PRICE)


def priced(lines: pl.LazyFrame, *, converts: bool) -> pl.LazyFrame:
    """Adds ``_pricing_list``, ``_pricing_contracted`` (unit prices) and ``_pricing_effective``: as priced.

    Where it ``converts``, unit prices and costs of lines with a ``_rate`` then are in the billing currency: unit
    prices to twelve places, list and contracted cost their product with the quantity.
    """
    kept = lines.with_columns(
        pl.col("list_unit_price").alias("_pricing_list"),
        pl.col("contracted_unit_price").alias("_pricing_contracted"),
        pl.col("effective_cost").alias("_pricing_effective"),
    )
    if not converts:
        return kept
    rate = pl.col("_rate").fill_null(_ONE)
    quantity, before = pl.col("pricing_quantity"), pl.col("_contracted_before")
    unpaid = [
        # What was agreed for the product is paid of the product; anything else at the rate.
        pl.when(pl.col(name) == before).then(pl.col("contracted_cost")).otherwise(convert(pl.col(name), rate))
        for name in ("billed_cost", "effective_cost")
    ]
    names = ("billed_cost", "effective_cost")
    return (
        kept.with_columns(
            pl.col("contracted_cost").alias("_contracted_before"),
            *(
                rounded(multiply(pl.col(name), rate), 12).cast(UNIT_PRICE).alias(name)
                for name in ("list_unit_price", "contracted_unit_price")
            ),
        )
        .with_columns(
            multiply(quantity, pl.col("list_unit_price")).alias("list_cost"),
            multiply(quantity, pl.col("contracted_unit_price")).alias("contracted_cost"),
        )
        .with_columns(value.alias(name) for name, value in zip(names, unpaid, strict=True))
    )
