"""Split periods: charges whose period is invoiced in parts, each rated by itself given what came before.

OpenMeter has two ways to invoice in the middle of a period. Charges book the difference between two ratings of the
quantity to date, which is what rating does where no split is given. Classic lines are split: each part rates its own
usage. Parts and whole differ only where the whole is more than its parts:

- limits count the gross amounts of earlier parts, before their percentage, so that 20 % off and a maximum of 100 make
  two parts of 80 cost 64 and 20;
- converted quantities are rounded in each part, counted from its start;
- unit prices look at their own part alone: usage taken back does not credit an earlier one.

Source: OpenMeter ``billing/rating/service/rate``, ``billing/rating/service/mutator``.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.decimals import COST, METERED_QUANTITY, PRICING_QUANTITY, UTC_INSTANT, multiply
from focus_assets.rating.conversions import with_priced
from focus_assets.rating.held import fee_owed_at, priced_part
from focus_assets.rating.lines import TIER_FEE_COMPONENT

SPLITS: Final = pl.Schema(
    {
        "charge_id": pl.String(),
        "split_from": UTC_INSTANT,
        "split_to": UTC_INSTANT,
        "split_start": METERED_QUANTITY,
        "split_end": METERED_QUANTITY,
        "split_late": METERED_QUANTITY,
    }
)
"""The parts in which invoices show a charge's period, from its start to the part that is rated, without gaps.

``split_start``, ``split_end``: the metered quantities to date that the part is billed from and to, as they were when
its line was made; a null end is the start of the next part. ``split_late``: how much more has been metered before
``split_from`` by now than ``split_start``.
"""

_NOT_SPLIT: Final = pl.Schema(
    {
        "split_from": UTC_INSTANT,
        "split_begins": pl.Boolean(),
        "split_start": METERED_QUANTITY,
        "split_late": METERED_QUANTITY,
    }
)


def with_splits(slices: pl.LazyFrame, splits: pl.LazyFrame | None) -> pl.LazyFrame:
    """``slices`` with the part each lies in: ``split_from``, ``split_start``, ``split_late``, and whether the charge
    begins with it (``split_begins``); null where not split.

    A slice of a split charge that lies in no part has a ``split_from`` and no ``split_start``.
    """
    if splits is None:
        return slices.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in _NOT_SPLIT.items())
    first = splits.group_by("charge_id").agg(pl.col("split_from").min().alias("_first"))
    within = (
        slices.join(splits.select(SPLITS.names()), on="charge_id")
        .filter(pl.col("split_from") <= pl.col("slice_from"), pl.col("slice_to") <= pl.col("split_to"))
        .select("charge_id", "slice_from", "split_from", "split_start", "split_late")
    )
    return (
        slices.join(within, on=["charge_id", "slice_from"], how="left")
        .join(first, on="charge_id", how="left")
        .with_columns(
            pl.coalesce("split_from", "_first").alias("split_from"),
            (pl.col("split_from") == pl.col("_first")).alias("split_begins"),
        )
        .drop("_first")
    )


def previously_billed(
    splits: pl.LazyFrame, prices: pl.LazyFrame, conversions: pl.LazyFrame | None
) -> pl.LazyFrame:
    """The gross amounts of the parts before each, as they were billed: charge_id, split_from, previously_billed.

    ``prices``: SEGMENTS without null prices. Before percentages and limits, and exact: what rounding each detailed
    line adds is no part of it.
    """
    following = pl.col("split_start").shift(-1).over("charge_id", order_by="split_from")
    first = pl.col("split_from") == pl.col("split_from").min().over("charge_id")
    parts = (
        splits.select(SPLITS.names())
        .with_columns(pl.coalesce("split_end", following).alias("_end"), first.alias("begins"))
        .filter(following.is_not_null())
    )
    both = {"split_start": "priced_split", "_end": "_priced_end"}
    start, stop = pl.col("priced_split"), pl.col("_priced_end")
    fee = fee_owed_at(stop).cast(pl.Int8) - (fee_owed_at(start) & ~pl.col("begins")).cast(pl.Int8)
    units = (
        pl.when(pl.col("component") == TIER_FEE_COMPONENT)
        .then(fee.cast(PRICING_QUANTITY))
        .otherwise(priced_part(start, stop))
    )
    gross = (
        with_priced(parts, conversions, both)
        .join(prices, on="charge_id")
        .with_columns(units.alias("_units"))
        .group_by("charge_id", "split_to")
        .agg(multiply(pl.col("_units"), pl.col("gross_unit_price")).sum().alias("_gross"))
    )
    # Parts follow each other, so that one begins where another ended.
    return gross.with_columns(pl.col("_gross").cum_sum().over("charge_id", order_by="split_to")).select(
        "charge_id", split_from="split_to", previously_billed=pl.col("_gross").cast(COST)
    )
