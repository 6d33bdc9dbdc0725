"""Usage that nobody bills, because it came when what it belongs to was invoiced: it moves nothing of what follows.

What belongs here: taking it off quantities to date. What does not: how much it is, and what becomes of it.

Nobody says whose it was, only how much more was metered than was billed. Where that matters, because volume tiers price
everybody's usage anew, what was used last of the time is taken for it.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import polars as pl

from focus_assets.decimals import METERED_QUANTITY, UTC_INSTANT
from focus_assets.rating.lines import EARLIER_USAGE, NO_DIMENSIONS

UNBILLED: Final = pl.Schema(
    {
        "charge_id": pl.String(),
        "unbilled_from": UTC_INSTANT,
        "unbilled_to": UTC_INSTANT,
        "unbilled": METERED_QUANTITY,
    }
)
"""How much of what a charge used in a time nobody bills, below zero where more was billed than was used.

Slices that begin when the time ends or later go on without it; times do not overlap, and end where slices do.
"""

_ZERO: Final = pl.lit(0, METERED_QUANTITY)
_JUST_BEFORE: Final = dt.timedelta(microseconds=1)
_OWN: Final = ("slice_from", "subject", "dimensions")


def with_unbilled(slices: pl.LazyFrame, unbilled: pl.LazyFrame | None) -> pl.LazyFrame:
    """``slices`` of ``with_splits`` with ``unbilled``: how much of what was used before each is not to be counted.

    Of a split charge only what was used in the slice's own part: where that begins, earlier parts are not counted.
    """
    if unbilled is None:
        return slices.with_columns(_ZERO.alias("unbilled"))
    key = ["charge_id", "slice_from"]
    own = pl.col("split_from").is_null() | (pl.col("unbilled_to") > pl.col("split_from"))
    before = (
        slices.select(*key, "split_from")
        .join(unbilled, on="charge_id")
        .filter(pl.col("unbilled_to") <= pl.col("slice_from"), own)
        .group_by(key)
        .agg(pl.col("unbilled").sum())
    )
    return slices.join(before, on=key, how="left").with_columns(pl.col("unbilled").fill_null(_ZERO))


def taken_off(history: pl.LazyFrame, unbilled: pl.LazyFrame) -> pl.LazyFrame:
    """What to add to ``history`` (EARLIER_USAGE) so that it holds nothing ``unbilled``: less, when the time ends."""
    used = pl.col("quantity").clip(lower_bound=_ZERO)
    key = ("charge_id", "unbilled_to")
    later = (used.cum_sum() - used).over(key)
    is_last = pl.int_range(pl.len()).over(key) == 0
    taken = (
        history.join(unbilled, on="charge_id")
        .filter(pl.col("slice_from") >= pl.col("unbilled_from"), pl.col("slice_from") < pl.col("unbilled_to"))
        .sort("charge_id", *_OWN, descending=[False, True, True, True])
        .with_columns(
            pl.when(pl.col("unbilled") > 0)
            .then(pl.min_horizontal(used, (pl.col("unbilled") - later).clip(lower_bound=_ZERO)))
            .when(is_last)
            .then("unbilled")
            .otherwise(_ZERO)
            .cast(METERED_QUANTITY)
            .alias("_taken")
        )
    )
    sums = taken.group_by(key).agg(pl.col("_taken").sum())
    rest = unbilled.join(sums, on=key, how="left").select(
        *key,
        pl.lit(None, pl.String).alias("subject"),
        pl.lit(NO_DIMENSIONS).alias("dimensions"),
        (pl.col("unbilled") - pl.col("_taken").fill_null(_ZERO)).alias("_taken"),
    )
    both = pl.concat([taken.select(*key, "subject", "dimensions", "_taken"), rest])
    at_the_end = (pl.col("unbilled_to") - _JUST_BEFORE).alias("slice_from")
    return (
        both.filter(pl.col("_taken") != 0)
        .with_columns(at_the_end, (-pl.col("_taken")).alias("quantity"))
        .select(pl.col(name).cast(dtype) for name, dtype in EARLIER_USAGE.items())
    )
