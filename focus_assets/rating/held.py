"""What a segment holds of a quantity to date, and whether it prices anything at that quantity."""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import METERED_QUANTITY, PRICING_QUANTITY

_NOTHING = pl.lit(0, PRICING_QUANTITY)


def lowest_priced() -> pl.Expr:
    """Where a segment begins, in priced units; null where it also prices what lies below zero.

    In a part of a split period (``priced_split`` is its start, else null) a price that leaves what lies below zero
    free leaves free what lies below the part's start: all of a segment that ends before it.
    """
    lower, split = pl.col("segment_from"), pl.col("priced_split")
    begins = pl.when(lower == 0).then(split).otherwise(pl.max_horizontal(split, lower))
    # clip() between bounds in the wrong order answers with either of them.
    of_part = pl.min_horizontal(begins, pl.col("segment_to"))
    return (
        pl.when(pl.col("prices_negative") & (lower == 0))
        .then(None)
        .when(split.is_not_null() & ~pl.col("prices_negative"))
        .then(of_part)
        .otherwise(lower.cast(PRICING_QUANTITY))
    )


def lowest_metered() -> pl.Expr:
    """Where a segment begins, in metered units; the first also takes what lies below zero."""
    lower = pl.col("metered_from")
    return pl.when(pl.col("segment_from") == 0).then(None).otherwise(lower)


def applies_at(position: pl.Expr) -> pl.Expr:
    """Whether the segment prices anything when the quantity to date, in priced units, is ``position``."""
    above = pl.col("applies_from").is_null() | (position > pl.col("applies_from"))
    return above & (pl.col("applies_to").is_null() | (position <= pl.col("applies_to")))


def fee_owed_at(position: pl.Expr) -> pl.Expr:
    """Whether a tier's fee is owed when the quantity to date is ``position``; the first tier's always is."""
    lower = pl.col("segment_from")
    return ((lower == 0) | (position > lower)) & applies_at(position)


def held_at(position: pl.Expr) -> pl.Expr:
    """What the segment prices of a quantity to date, in priced units; PRICING_QUANTITY."""
    lower, upper = _priced(lowest_priced()), _priced(pl.col("segment_to"))
    part = _priced(position).clip(lower, upper) - pl.coalesce(lower, _priced(pl.col("segment_from")))
    return pl.when(applies_at(position)).then(part).otherwise(_NOTHING)


def priced_part(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    """What lies in the segment of a move from ``start`` to ``end``, in priced units."""
    lower, upper = _priced(lowest_priced()), _priced(pl.col("segment_to"))
    return end.clip(lower, upper) - start.clip(lower, upper)


def metered_part(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    """What lies in the segment of a move from ``start`` to ``end``, in metered units; METERED_QUANTITY."""
    lower, upper = lowest_metered().cast(METERED_QUANTITY), pl.col("metered_to")
    return end.clip(lower, upper) - start.clip(lower, upper)


def _priced(value: pl.Expr) -> pl.Expr:
    return value.cast(PRICING_QUANTITY)
