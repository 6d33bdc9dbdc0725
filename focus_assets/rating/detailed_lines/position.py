"""Where a line lies in its full period: whether it is the first, the last, both or neither."""

from __future__ import annotations

import polars as pl


def is_first() -> pl.Expr:
    """The line begins with its full period."""
    return pl.col("period_from") == pl.col("full_period_from")


def is_last() -> pl.Expr:
    """The line ends with its full period."""
    return pl.col("period_to") == pl.col("full_period_to")


def whole_lines_begin_at_zero(lines: pl.LazyFrame) -> pl.LazyFrame:
    """A line that is not split was billed nothing before, whatever it was given."""
    zero = pl.lit(0).cast(lines.collect_schema()["previously_billed"])
    return lines.with_columns(
        pl.when(is_first() & is_last()).then(zero).otherwise("previously_billed").alias("previously_billed")
    )
