"""A day's usage as it was when an invoice froze its quantity: without what came later.

What belongs here: which usage is taken for late. What does not: which lines are late and by how much, and what becomes
of late usage (``billing``).

Nobody says which events came late, only how much more was metered than was frozen. So what was used last is taken for
late: first of the day with which the line ends, then of the days before, whose rows cannot be changed any more from
there: that is taken back on the line's last day.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.decimals import METERED_QUANTITY, UTC_INSTANT

LATE: Final = pl.Schema(
    {
        "charge_id": pl.String(),
        "slice_from": UTC_INSTANT,
        "slice_to": UTC_INSTANT,
        "late": METERED_QUANTITY,
    }
)
"""The slice with which a line ends, one of each charge, and how much more was metered by then than was frozen."""

_COLUMNS: Final = ["charge_id", "slice_from", "slice_to", "window_from", "subject", "dimensions", "quantity"]
_OWN: Final = ["subject", "dimensions"]
_ZERO: Final = pl.lit(0, METERED_QUANTITY)


def frozen_usage(usage: pl.DataFrame, earlier: pl.DataFrame, late: pl.DataFrame) -> pl.DataFrame:
    """``usage`` less what is ``late``; more, where less was metered in the end than was frozen.

    Args:
        usage: the day's, as :func:`~focus_assets.usage.rateable.rateable_usage` gives it; other charges may be in it.
        earlier: windows of the earlier days of these lines: charge_id, window_from, subject, dimensions, quantity.
        late: :data:`LATE`.

    Returns:
        The columns of ``usage``. What is taken of earlier days is usage below zero at the start of the slice.
    """
    ends = late.drop("slice_to")
    own = usage.join(ends, on=["charge_id", "slice_from"], how="semi").with_columns(_today=pl.lit(True))
    before = earlier.join(late.drop("late"), on="charge_id").with_columns(_today=pl.lit(False))
    used = pl.col("quantity").clip(lower_bound=_ZERO)
    taken_before = (used.cum_sum() - used).over("charge_id")
    is_last = pl.int_range(pl.len()).over("charge_id") == 0
    taken = pl.concat([own.select(*_COLUMNS, "_today"), before.select(*_COLUMNS, "_today")]).join(
        ends, on=["charge_id", "slice_from"]
    )
    taken = taken.sort("charge_id", "window_from", *_OWN, descending=[False, True, True, True]).with_columns(
        pl.when(pl.col("late") > 0)
        .then(pl.min_horizontal(used, (pl.col("late") - taken_before).clip(lower_bound=_ZERO)))
        .when(is_last)
        .then("late")
        .otherwise(_ZERO)
        .cast(METERED_QUANTITY)
        .alias("_taken")
    )
    quantity = pl.when("_today").then("quantity").otherwise(_ZERO) - pl.col("_taken")
    trimmed = taken.filter(pl.col("_today") | (pl.col("_taken") != 0)).with_columns(
        quantity.alias("quantity"),
        pl.when("_today").then("window_from").otherwise("slice_from").alias("window_from"),
    )
    rest = (
        late.join(taken.group_by("charge_id").agg(pl.col("_taken").sum()), on="charge_id", how="left")
        .with_columns((pl.col("_taken").fill_null(_ZERO) - pl.col("late")).alias("quantity"))
        .filter(pl.col("quantity") != 0)
        .with_columns(
            window_from=pl.col("slice_from"), subject=pl.lit(None, pl.String), dimensions=pl.lit("{}")
        )
    )
    others = usage.join(ends, on=["charge_id", "slice_from"], how="anti")
    parts = [others, trimmed.filter((pl.col("quantity") != 0) | (pl.col("_taken") == 0)), rest]
    return pl.concat(
        part.select(pl.col(name).cast(dtype) for name, dtype in usage.schema.items()) for part in parts
    )
