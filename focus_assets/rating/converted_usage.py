"""Usage of charges whose prices are for other units than metered ones: packages, or those of a ``unit_config``."""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import PRICING_QUANTITY
from focus_assets.rating.conversions import with_priced
from focus_assets.rating.held import metered_part, priced_part
from focus_assets.rating.lines import CONVERTED
from focus_assets.rating.spans import SLICE_KEY

_BUYER = ("subject", "dimensions")


def converted_usage(
    usage: pl.LazyFrame, moved: pl.LazyFrame, bands: pl.LazyFrame, conversions: pl.LazyFrame
) -> pl.LazyFrame:
    """Each window's part in each segment it touches, in metered units and in those that it adds to the priced ones.

    A window that opens no package is consumed and costs nothing. Returns slice, buyer and price columns of
    :data:`~focus_assets.rating.lines.RATED_LINES`, summed over windows.
    """
    order = ["window_from", *_BUYER]
    running = pl.col("quantity").cum_sum().over(SLICE_KEY, order_by=order)
    slices = moved.filter(pl.col("method") == CONVERTED, pl.col("lowest") < pl.col("highest"))
    steps = (
        usage.drop("slice_to")
        .join(
            slices.select(*SLICE_KEY, "slice_to", "before", "priced_before", "split_start", "priced_split"),
            on=SLICE_KEY,
        )
        .with_columns((pl.col("before") + running).alias("_end"))
        .with_columns((pl.col("_end") - pl.col("quantity")).alias("_start"))
    )
    earlier = pl.col("_priced_end").shift(1).over(SLICE_KEY, order_by=order)
    prices = ["component", "tier", "list_unit_price", "contracted_unit_price"]
    return (
        with_priced(steps, conversions, {"_end": "_priced_end"})
        .with_columns(earlier.fill_null(pl.col("priced_before")).alias("_priced_start"))
        .join(bands, on="charge_id")
        .with_columns(
            metered_part(pl.col("_start"), pl.col("_end")).alias("consumed_quantity"),
            priced_part(pl.col("_priced_start"), pl.col("_priced_end")).alias("pricing_quantity"),
        )
        .filter((pl.col("consumed_quantity") != 0) | (pl.col("pricing_quantity") != 0))
        .group_by(*SLICE_KEY, "slice_to", *_BUYER, *prices)
        .agg(pl.col("consumed_quantity").sum(), pl.col("pricing_quantity").sum().cast(PRICING_QUANTITY))
    )
