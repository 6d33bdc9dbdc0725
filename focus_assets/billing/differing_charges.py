"""Rows of the charges of a day that are others now than when they closed: mostly few of many.

What belongs here: finding them. What does not: what becomes of the difference (``corrections``).
"""

from __future__ import annotations

import polars as pl


def that_differ(fresh: pl.LazyFrame, closed: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Rows of the charges (``x_ChargeId``) whose rows are others in ``fresh`` than in ``closed``.

    Both have the same columns, in any order of rows, and so has what is returned, in theirs. All of it is computed,
    for whoever asks reads it several times. Where every charge differs, it is every row.
    """
    theirs = pl.col("x_ChargeId").is_in(_charges(fresh, closed))
    now, then = pl.collect_all([fresh.filter(theirs), closed.filter(theirs)], engine="streaming")
    return now.lazy(), then.lazy()


def _charges(fresh: pl.LazyFrame, closed: pl.LazyFrame) -> list[str]:
    digest = pl.struct(pl.all()).hash(seed=0).sum().alias("digest")
    now, then = (rows.group_by("x_ChargeId").agg(pl.len().alias("rows"), digest) for rows in (fresh, closed))
    both = now.join(then, on="x_ChargeId", how="full", coalesce=True, suffix="_then")
    differs = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(f"{name}_then")) for name in ("rows", "digest")
    )
    return both.filter(differs).select("x_ChargeId").collect(engine="streaming").to_series().to_list()
