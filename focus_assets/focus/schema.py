"""Which columns a FOCUS file has, in which order and of which types.

What belongs here: schemas. What does not: the columns themselves (``columns``) and turning one shape into
another (``project``).

Order: FOCUS columns alphabetically, as the specification lists them, then our own ``x_`` columns
(FOCUS attribute Column Naming and Ordering: custom columns come after FOCUS columns).
"""

from __future__ import annotations

from functools import cache

import polars as pl

from focus_assets.focus.columns import COST_AND_USAGE, columns, own_columns


def internal_schema(dataset: str = COST_AND_USAGE) -> pl.Schema:
    """The stored shape: the columns of every version, then our own."""
    return pl.Schema(
        {column.id: column.dtype for column in (*columns(dataset=dataset), *own_columns(dataset))}
    )


@cache
def version_schema(version: str, dataset: str = COST_AND_USAGE) -> pl.Schema:
    """The shape of one version: exactly its columns, then our own; one schema for all who ask.

    Raises:
        UnknownColumnError: no such version.
    """
    return pl.Schema(
        {column.id: column.dtype for column in (*columns(version, dataset), *own_columns(dataset))}
    )
