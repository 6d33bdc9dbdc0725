"""Small tables, of slices or prices, within a plan over much usage."""

from __future__ import annotations

import polars as pl


def computed(table: pl.LazyFrame) -> pl.LazyFrame:
    """``table``, computed once: most steps join it, and in one plan each of them would compute it again."""
    return table.collect(engine="streaming").lazy()


def some(table: pl.LazyFrame) -> bool:
    """Whether ``table`` has a row."""
    return not table.limit(1).collect().is_empty()
