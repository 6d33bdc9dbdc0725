"""Usage of charges whose whole quantity to date is priced by the tier that holds it.

A slice that stays in its tier has lines of its own usage. One that leaves it takes back, for every buyer (subject
and dimensions), what was charged at the old tier and charges it at the new one. Which of a buyer's usage was free
depends on the order of all usage: slices one after the other, within a slice buyers in their order.
"""

from __future__ import annotations

import datetime as dt

import polars as pl

from focus_assets.decimals import METERED_QUANTITY, PRICING_QUANTITY
from focus_assets.rating.conversions import with_priced
from focus_assets.rating.held import applies_at, metered_part, priced_part
from focus_assets.rating.lines import BY_TOTAL, EARLIER_USAGE, NO_DIMENSIONS
from focus_assets.rating.small import computed
from focus_assets.rating.spans import SLICE_KEY
from focus_assets.rating.unbilled import taken_off

_BUYER = ("subject", "dimensions")
_PRICES = ("component", "tier", "list_unit_price", "contracted_unit_price")
_BEFORE_ALL_SLICES = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
_PARTS = ("consumed_quantity", "pricing_quantity")


def repriced_usage(
    by_buyer: pl.LazyFrame,
    moved: pl.LazyFrame,
    bands: pl.LazyFrame,
    conversions: pl.LazyFrame | None,
    earlier: pl.LazyFrame,
    unbilled: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """Slice, buyer and price columns of :data:`~focus_assets.rating.lines.RATED_LINES`, summed.

    ``by_buyer``: usage by slice and buyer. ``earlier``: :func:`earlier_usage`. ``unbilled``: UNBILLED,
    which is not priced anew.
    """
    slices = moved.filter(pl.col("method") == BY_TOTAL)
    usage = by_buyer.select(EARLIER_USAGE.names())
    before, after = pl.col("priced_before"), pl.col("priced_after")
    turn = applies_at(after).cast(pl.Int8) - applies_at(before).cast(pl.Int8)
    turned = computed(
        slices.join(bands.filter(pl.col("method") == BY_TOTAL), on="charge_id")
        .with_columns(turn.alias("_turn"), applies_at(after).alias("_applies"))
        .filter(pl.col("_applies") | (pl.col("_turn") != 0))
    )
    own = (
        _steps(usage.join(slices.select(*SLICE_KEY, "before"), on=SLICE_KEY), conversions, SLICE_KEY)
        .join(turned.filter("_applies"), on=SLICE_KEY)
        .with_columns(_parts())
    )
    leaving = computed(turned.filter(pl.col("_turn") != 0))
    of_leaving = leaving.select("charge_id").unique()
    history = pl.concat([earlier, usage]).join(of_leaving, on="charge_id", how="semi")
    if unbilled is not None:
        never = unbilled.join(of_leaving, on="charge_id", how="semi")
        history = pl.concat([history, taken_off(history, never)])
    nothing = pl.lit(0, METERED_QUANTITY).alias("before")
    takes_back = pl.col("_turn") < 0
    repriced = (
        _steps(history.with_columns(nothing), conversions, ("charge_id",))
        .rename({"slice_from": "_used_in"})
        .join(leaving, on="charge_id")
        .filter(pl.col("_used_in") < pl.col("slice_from"))
        .with_columns(_parts())
        .with_columns(pl.when(takes_back).then(-pl.col(name)).otherwise(name).alias(name) for name in _PARTS)
    )
    columns = [*SLICE_KEY, "slice_to", *_BUYER, *_PRICES, *_PARTS]
    return (
        pl.concat([own.select(columns), repriced.select(columns)])
        .filter(pl.any_horizontal(pl.col(name) != 0 for name in _PARTS))
        .group_by(columns[:-2])
        .agg(pl.col("consumed_quantity").sum(), pl.col("pricing_quantity").sum().cast(PRICING_QUANTITY))
    )


def earlier_usage(opening: pl.LazyFrame, earlier: pl.LazyFrame | None) -> pl.LazyFrame:
    """``earlier`` (EARLIER_USAGE), and what the opening quantity holds beyond it as usage without a buyer."""
    known = pl.LazyFrame(schema=EARLIER_USAGE) if earlier is None else earlier.select(EARLIER_USAGE.names())
    sums = known.group_by("charge_id").agg(pl.col("quantity").sum().alias("_known"))
    unknown = (
        opening.join(sums, on="charge_id", how="left")
        .select(
            "charge_id",
            pl.lit(_BEFORE_ALL_SLICES, EARLIER_USAGE["slice_from"]).alias("slice_from"),
            pl.lit(None, pl.String).alias("subject"),
            pl.lit(NO_DIMENSIONS).alias("dimensions"),
            (pl.col("quantity") - pl.col("_known").fill_null(pl.lit(0, METERED_QUANTITY))).alias("quantity"),
        )
        .filter(pl.col("quantity") != 0)
    )
    return pl.concat([unknown.cast(EARLIER_USAGE), known.cast(EARLIER_USAGE)])


def _steps(usage: pl.LazyFrame, conversions: pl.LazyFrame | None, within: tuple[str, ...]) -> pl.LazyFrame:
    """Quantities to date around each buyer's usage, from ``before`` on: ``_start``, ``_end``, also in priced units."""
    order = ["slice_from", *_BUYER]
    end = pl.col("before") + pl.col("quantity").cum_sum().over(within, order_by=order)
    ends = usage.with_columns(end.alias("_end")).with_columns(
        (pl.col("_end") - pl.col("quantity")).alias("_start")
    )
    return with_priced(ends, conversions, {"_start": "_priced_start", "_end": "_priced_end"}).drop("before")


def _parts() -> list[pl.Expr]:
    return [
        metered_part(pl.col("_start"), pl.col("_end")).alias("consumed_quantity"),
        priced_part(pl.col("_priced_start"), pl.col("_priced_end")).alias("pricing_quantity"),
    ]
