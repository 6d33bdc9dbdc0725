"""The form in which a price states a component of a line."""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import PRICING_QUANTITY, UNIT_PRICE
from focus_assets.rating.detailed_lines.tables import PRICED

IN_ARREARS = "in_arrears"


def component(
    lines: pl.LazyFrame,
    ref: pl.Expr,
    quantity: pl.Expr,
    per_unit_amount: pl.Expr,
    *,
    position: pl.Expr | None = None,
    tier: pl.Expr | None = None,
    payment_term: pl.Expr | None = None,
) -> pl.LazyFrame:
    """PRICED rows of ``lines``; in arrears, first in its line and without tier unless said otherwise."""
    return lines.select(
        "line_id",
        (pl.lit(0) if position is None else position).cast(pl.Int32).alias("position"),
        ref.alias("ref"),
        (pl.lit(None) if tier is None else tier).cast(pl.Int32).alias("tier"),
        (pl.lit(IN_ARREARS) if payment_term is None else payment_term).alias("payment_term"),
        quantity.cast(PRICING_QUANTITY).alias("quantity"),
        per_unit_amount.cast(UNIT_PRICE).alias("per_unit_amount"),
    ).cast(PRICED)
