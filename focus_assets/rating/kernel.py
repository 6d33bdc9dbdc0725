"""Rating: what the usage of some slices of charges costs, given what the charges had used before.

Rating is cumulative: a slice costs the rating of the quantity to date at its end minus that at its start, so
days add up to a rating of the whole period, in whatever order they are computed. Rating a whole period is the
same with one slice. Within a slice usage fills tiers in the order (window_from, subject, dimensions).
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import METERED_QUANTITY, PRICING_QUANTITY, UNIT_PRICE
from focus_assets.rating.converted_usage import converted_usage
from focus_assets.rating.costs import with_costs
from focus_assets.rating.held import lowest_metered, lowest_priced
from focus_assets.rating.lines import (
    LINE_KEY,
    MARGINAL,
    NO_DIMENSIONS,
    RATED_LINES,
    TIER_FEE_COMPONENT,
    USAGE,
)
from focus_assets.rating.spans import SLICE_KEY, spans
from focus_assets.rating.spend_limits import limited

_ZERO = pl.lit(0, METERED_QUANTITY)
_BUYER = ("subject", "dimensions")
_PRICES = ("component", "tier", "list_unit_price", "contracted_unit_price")


def rate(
    usage: pl.LazyFrame,
    opening: pl.LazyFrame,
    slices: pl.LazyFrame,
    segments: pl.LazyFrame,
    limits: pl.LazyFrame | None = None,
    conversions: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """Rate ``usage`` (USAGE) of ``slices`` (SLICES) after ``opening`` (OPENINGS) at ``segments`` (SEGMENTS).

    Returns :data:`~focus_assets.rating.lines.RATED_LINES` in the order of their key: costs exact, in the
    charge's currency. A line whose quantities are both zero is left out. ``limits``
    (:data:`~focus_assets.rating.charge_limits.LIMITS`): what of their cost some charges pay. ``conversions``
    (:data:`~focus_assets.rating.lines.CONVERSIONS`): in which units some charges are priced.

    - ``consumed_quantity`` sums to the usage's quantity per charge and slice, in metered units and whatever is
      billed of it: a tier without unit price has usage lines at price 0, and where the quantity to date is below
      zero, which only packages and volume tiers price, the ``pricing_quantity`` stays behind the consumed one.
    - A tier's fee has quantity 1 when the quantity to date passes the tier's lower bound and -1 when it falls
      back; the first tier's is due in the slice the charge begins with, also without usage.

    Collecting raises :class:`~focus_assets.rating.spans.ChargeNotRated`, naming the charge, for usage outside
    the slices, without a price, below zero where tiers are graduated, or outside the supported range.
    """
    usage = usage.select(USAGE.names()).with_columns(pl.col("quantity").cast(METERED_QUANTITY))
    if conversions is not None and conversions.limit(1).collect().is_empty():
        # Planning what no charge needs costs more than rating a small day.
        conversions = None
    prices = segments.with_columns(
        pl.col("list_unit_price", "contracted_unit_price").fill_null(pl.lit(0, UNIT_PRICE))
    )
    by_buyer = usage.group_by(*SLICE_KEY, *_BUYER).agg(
        pl.col("quantity").sum(), pl.col("quantity").clip(lower_bound=_ZERO).sum().alias("increase")
    )
    moved = spans(by_buyer, opening, slices, segments, conversions)
    bands = prices.filter(pl.col("component") != TIER_FEE_COMPONENT).drop("refuses_negative")
    marginal = moved.filter(pl.col("method") == MARGINAL, pl.col("lowest") < pl.col("highest"))
    within = _within_one_segment(marginal, bands)
    crossing = marginal.join(within, on=SLICE_KEY, how="anti")
    quantities = [
        _usage_within(by_buyer, within),
        _usage_across(usage, crossing, bands),
        _fees(moved, prices.filter(pl.col("component") == TIER_FEE_COMPONENT)),
    ]
    if conversions is not None:
        quantities.append(converted_usage(usage, moved, bands, conversions))
    lines = pl.concat(quantities).filter(
        (pl.col("consumed_quantity") != 0) | (pl.col("pricing_quantity") != 0)
    )
    rated = with_costs(lines).select(RATED_LINES.names())
    if limits is not None:
        rated = limited(rated, moved, prices, limits)
    return rated.sort(LINE_KEY)


def _within_one_segment(marginal: pl.LazyFrame, bands: pl.LazyFrame) -> pl.LazyFrame:
    """Slices that stay in one segment in whatever order their usage came, with that segment: nearly all."""
    return (
        marginal.join(bands, on="charge_id")
        .filter(
            pl.col("segment_from") <= pl.col("lowest"),
            pl.col("segment_to").is_null() | (pl.col("highest") <= pl.col("segment_to")),
        )
        .select(*SLICE_KEY, "slice_to", *_PRICES)
    )


def _usage_within(by_buyer: pl.LazyFrame, within: pl.LazyFrame) -> pl.LazyFrame:
    return by_buyer.join(within, on=SLICE_KEY).select(
        *SLICE_KEY,
        "slice_to",
        *_BUYER,
        *_PRICES,
        pl.col("quantity").alias("consumed_quantity"),
        pl.col("quantity").cast(PRICING_QUANTITY).alias("pricing_quantity"),
    )


def _usage_across(usage: pl.LazyFrame, crossing: pl.LazyFrame, bands: pl.LazyFrame) -> pl.LazyFrame:
    """Usage of slices that leave a segment: each window's part in each segment it touches.

    The first segment also takes what lies below zero: consumed, but not priced.
    """
    running = pl.col("quantity").cum_sum().over(SLICE_KEY, order_by=["window_from", *_BUYER])
    start, end, upper = pl.col("_start"), pl.col("_end"), pl.col("segment_to")
    lowest = lowest_metered()
    lowest_price = lowest_priced()

    def part(lower_bound: pl.Expr) -> pl.Expr:
        return end.clip(lower_bound, upper) - start.clip(lower_bound, upper)

    return (
        usage.drop("slice_to")
        .join(crossing.select(*SLICE_KEY, "slice_to", "before"), on=SLICE_KEY)
        .with_columns((pl.col("before") + running).alias("_end"))
        .with_columns((pl.col("_end") - pl.col("quantity")).alias("_start"))
        .join(bands, on="charge_id")
        .with_columns(part(lowest).alias("consumed_quantity"), part(lowest_price).alias("pricing_quantity"))
        .filter(pl.col("consumed_quantity") != 0)
        .group_by(*SLICE_KEY, "slice_to", *_BUYER, *_PRICES)
        .agg(pl.col("consumed_quantity").sum(), pl.col("pricing_quantity").sum().cast(PRICING_QUANTITY))
    )


def _fees(moved: pl.LazyFrame, fees: pl.LazyFrame) -> pl.LazyFrame:
    bound = pl.col("segment_from")
    before, after = pl.col("priced_before"), pl.col("priced_after")
    entered = (after > bound).cast(pl.Int8) - (before > bound).cast(pl.Int8)
    due = pl.when(bound == 0).then(pl.col("begins").cast(pl.Int8)).otherwise(entered)
    return (
        moved.join(fees, on="charge_id")
        .with_columns(due.alias("_due"))
        .filter(pl.col("_due") != 0)
        .select(
            *SLICE_KEY,
            "slice_to",
            pl.lit(None, pl.String).alias("subject"),
            pl.lit(NO_DIMENSIONS).alias("dimensions"),
            *_PRICES,
            pl.lit(None, METERED_QUANTITY).alias("consumed_quantity"),
            pl.col("_due").cast(PRICING_QUANTITY).alias("pricing_quantity"),
        )
    )
