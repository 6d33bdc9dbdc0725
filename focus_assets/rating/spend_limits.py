"""Percentage, maximum and minimum: what of the contracted cost is paid, and what is paid beside it.

All count from the charge's start: a day pays what the limit leaves of the cost to the day's end, less what it left
of the cost to the day's start. Order and rules are OpenMeter's (``billing/rating/service/mutator``), but exact: what
rounding each detailed line adds is no part of a day.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import COST, METERED_QUANTITY, PRICING_QUANTITY, UNIT_PRICE, multiply, share_of
from focus_assets.rating.costs import with_costs
from focus_assets.rating.held import fee_owed_at, held_at
from focus_assets.rating.lines import (
    LINE_KEY,
    MINIMUM_COMPONENT,
    NO_DIMENSIONS,
    RATED_LINES,
    TIER_FEE_COMPONENT,
)
from focus_assets.rating.small import computed
from focus_assets.rating.spans import SLICE_KEY
from focus_assets.rating.splits import previously_billed

_ZERO = pl.lit(0, COST)
_NOTHING = pl.lit(0, PRICING_QUANTITY)
_PAID = pl.col("billed_cost")
_ORDER = LINE_KEY[2:]


def limited(
    lines: pl.LazyFrame,
    moved: pl.LazyFrame,
    prices: pl.LazyFrame,
    limits: pl.LazyFrame,
    conversions: pl.LazyFrame | None = None,
    splits: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """``lines`` (RATED_LINES) as ``limits`` (LIMITS) leave them, with the top-ups to a minimum; unsorted.

    ``lines`` are those of the charges in ``limits``.
    ``moved``: :func:`~focus_assets.rating.spans.spans`; ``prices``: SEGMENTS without null prices.
    """
    slices = moved.join(limits, on="charge_id")
    if splits is None:
        slices = slices.with_columns(_ZERO.alias("previously_billed"))
    else:
        earlier = previously_billed(splits, prices, conversions)
        slices = slices.join(earlier, on=["charge_id", "split_from"], how="left").with_columns(
            pl.col("previously_billed").fill_null(_ZERO)
        )
    before = computed(_paid_before(slices, prices))
    terms = before.select(*SLICE_KEY, "paid_share", "maximum_amount", "_before")
    touched = lines.join(terms, on=SLICE_KEY).with_columns(
        share_of(_PAID, pl.col("paid_share")).alias("billed_cost")
    )
    capped = _capped(touched)
    top_ups = _top_ups(before, capped)
    paid = capped.with_columns(_PAID.alias("effective_cost")).select(RATED_LINES.names())
    return pl.concat([paid, top_ups])


def _paid_before(slices: pl.LazyFrame, prices: pl.LazyFrame) -> pl.LazyFrame:
    """Adds ``_before``: what the charge came to before the slice, after the percentage and without limits.

    Of a split period: what was billed for earlier parts, and what this part came to before the slice.
    """
    position, split = pl.col("priced_before"), pl.col("priced_split")
    is_fee = pl.col("component") == TIER_FEE_COMPONENT
    of_earlier_part = pl.when(split.is_not_null() & ~pl.col("split_begins")).then(fee_owed_at(split))
    owed = (~pl.col("begins") & fee_owed_at(position)).cast(pl.Int8) - of_earlier_part.fill_null(
        value=False
    ).cast(pl.Int8)
    held = held_at(position) - pl.when(split.is_not_null()).then(held_at(split)).otherwise(_NOTHING)
    units = pl.when(is_fee).then(owed.cast(PRICING_QUANTITY)).otherwise(held)
    costs = (
        slices.select(*SLICE_KEY, "begins", "priced_before", "priced_split", "split_begins")
        .join(prices, on="charge_id")
        .with_columns(units.alias("_units"))
        .group_by(SLICE_KEY)
        .agg(multiply(pl.col("_units"), pl.col("contracted_unit_price")).sum().alias("_cost"))
    )
    return slices.join(costs, on=SLICE_KEY, how="left").with_columns(
        (
            pl.col("previously_billed") + share_of(pl.col("_cost").fill_null(_ZERO), pl.col("paid_share"))
        ).alias("_before")
    )


def _up_to(level: pl.Expr) -> pl.Expr:
    """``level``, or the maximum where it is lower; there may be none."""
    return pl.min_horizontal(level, pl.col("maximum_amount"))


def _capped(lines: pl.LazyFrame) -> pl.LazyFrame:
    """Each line pays what it lifts the sum to date below the maximum; in the order of their key."""
    level = _up_to(pl.col("_before") + _PAID.cum_sum().over(SLICE_KEY, order_by=_ORDER))
    earlier = pl.col("_level").shift(1).over(SLICE_KEY, order_by=_ORDER).fill_null(_up_to(pl.col("_before")))
    return lines.with_columns(level.alias("_level")).with_columns(
        pl.when(pl.col("maximum_amount").is_null())
        .then(_PAID)
        .otherwise(pl.col("_level") - earlier)
        .alias("billed_cost")
    )


def _top_ups(slices: pl.LazyFrame, paid: pl.LazyFrame) -> pl.LazyFrame:
    """What a charge is short of its minimum when it ends, also without usage."""
    of_slice = paid.group_by(SLICE_KEY).agg(_PAID.sum().alias("_paid"))
    earlier = pl.col("previously_billed")
    have = earlier + _up_to(pl.col("_before")) - _up_to(earlier) + pl.col("_paid").fill_null(_ZERO)
    short = (pl.col("minimum_amount") - have).round(16, mode="half_away_from_zero").cast(PRICING_QUANTITY)
    one = pl.lit(1, UNIT_PRICE)
    found = (
        slices.filter(pl.col("minimum_amount").is_not_null() & (pl.col("slice_to") == pl.col("charge_to")))
        .join(of_slice, on=SLICE_KEY, how="left")
        .select(
            *SLICE_KEY,
            "slice_to",
            pl.lit(MINIMUM_COMPONENT).alias("component"),
            pl.lit(None, pl.Int32).alias("tier"),
            pl.lit(None, pl.String).alias("subject"),
            pl.lit(NO_DIMENSIONS).alias("dimensions"),
            pl.lit(None, METERED_QUANTITY).alias("consumed_quantity"),
            short.alias("pricing_quantity"),
            one.alias("list_unit_price"),
            one.alias("contracted_unit_price"),
        )
        .filter(pl.col("pricing_quantity") > 0)
    )
    return with_costs(found).select(RATED_LINES.names())
