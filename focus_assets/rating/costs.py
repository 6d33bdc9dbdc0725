"""From quantities and unit prices to the four costs of a line.

List and contracted cost are exact products. Billed and effective cost equal the contracted one until
discounts, spend limits or credits change them; each of those is a step of its own after this one.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import multiply


def with_costs(lines: pl.LazyFrame) -> pl.LazyFrame:
    """``lines`` with ``list_cost``, ``contracted_cost``, ``billed_cost``, ``effective_cost``.

    Needs ``pricing_quantity``, ``list_unit_price`` and ``contracted_unit_price``.
    """
    quantity = pl.col("pricing_quantity")
    return lines.with_columns(
        multiply(quantity, pl.col("list_unit_price")).alias("list_cost"),
        multiply(quantity, pl.col("contracted_unit_price")).alias("contracted_cost"),
    ).with_columns(
        pl.col("contracted_cost").alias("billed_cost"),
        pl.col("contracted_cost").alias("effective_cost"),
    )
