"""Rating: what the usage of some slices of charges costs, given what the charges had used before.

Rating is cumulative: a slice costs the rating of the quantity to date at its end minus that at its start, so
days add up to a rating of the whole period, in whatever order they are computed. Rating a whole period is the
same with one slice. Within a slice usage fills tiers in the order (window_from, subject, dimensions).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from focus_assets.decimals import METERED_QUANTITY, PRICING_QUANTITY, UNIT_PRICE
from focus_assets.rating.chunks import WINDOWS_AT_ONCE, ChargeRange, charge_ranges, one_after_the_other
from focus_assets.rating.converted_usage import converted_usage
from focus_assets.rating.costs import with_costs
from focus_assets.rating.held import fee_owed_at, lowest_metered, lowest_priced
from focus_assets.rating.lines import (
    BY_TOTAL,
    CONVERTED,
    LINE_KEY,
    MARGINAL,
    NO_DIMENSIONS,
    RATED_LINES,
    TIER_FEE_COMPONENT,
    USAGE,
)
from focus_assets.rating.repriced_usage import earlier_usage, repriced_usage
from focus_assets.rating.small import computed, some
from focus_assets.rating.spans import SLICE_KEY, spans
from focus_assets.rating.spend_limits import limited

_BUYER = ("subject", "dimensions")
_PRICES = ("component", "tier", "list_unit_price", "contracted_unit_price")


def rate(
    usage: pl.LazyFrame,
    opening: pl.LazyFrame,
    slices: pl.LazyFrame,
    segments: pl.LazyFrame,
    limits: pl.LazyFrame | None = None,
    conversions: pl.LazyFrame | None = None,
    earlier: pl.LazyFrame | None = None,
    splits: pl.LazyFrame | None = None,
    fees: pl.LazyFrame | None = None,
    unbilled: pl.LazyFrame | None = None,
    at_once: int = WINDOWS_AT_ONCE,
) -> pl.LazyFrame:
    """Rate ``usage`` (USAGE) of ``slices`` (SLICES) after ``opening`` (OPENINGS) at ``segments`` (SEGMENTS).

    Returns :data:`~focus_assets.rating.lines.RATED_LINES` in the order of their key: costs exact, in the
    charge's currency. A line whose quantities are both zero is left out. ``limits``
    (:data:`~focus_assets.rating.charge_limits.LIMITS`): what of their cost some charges pay. ``conversions``
    (:data:`~focus_assets.rating.lines.CONVERSIONS`): in which units some charges are priced. ``earlier``
    (:data:`~focus_assets.rating.lines.EARLIER_USAGE`): whose the usage was that volume tiers price anew. ``splits``
    (:data:`~focus_assets.rating.splits.SPLITS`): in which parts invoices bill some charges; the others are rated by the
    quantity to date. ``fees``: lines of flat fees that are to stand among the others.
    ``unbilled`` (:data:`~focus_assets.rating.unbilled.UNBILLED`): usage that moves nothing of what follows it.

    - ``consumed_quantity`` sums to the usage's quantity per charge and slice, in metered units and whatever is
      billed of it: a tier without unit price has usage lines at price 0, and where the quantity to date is below
      zero, which only packages and volume tiers price, the ``pricing_quantity`` stays behind the consumed one.
    - A tier's fee has quantity 1 when the quantity to date passes the tier's lower bound and -1 when it falls
      back; the first tier's is due in the slice the charge begins with, also without usage.
    - Where a bound of volume tiers is passed, each buyer's quantity to date has a negative line in the tier that
      was left and a positive one in the tier entered, and so have their fees.

    What is known of slices is computed at once, so that ``usage`` is read twice; lines when they are collected. Where
    there are more windows than ``at_once``, lines are computed by chunks of charges, and ``usage`` is read for each.
    Raises :class:`~focus_assets.rating.spans.ChargeNotRated`, naming the charge, for usage outside
    the slices, without a price, below zero where tiers are graduated, or outside the supported range.
    """
    usage = usage.select(USAGE.names()).with_columns(pl.col("quantity").cast(METERED_QUANTITY))
    # Planning steps that no charge needs costs more than rating a small day.
    conversions = conversions if conversions is not None and some(conversions) else None
    prices = segments.with_columns(
        pl.col("list_unit_price", "contracted_unit_price").fill_null(pl.lit(0, UNIT_PRICE))
    )
    splits = splits if splits is not None and some(splits) else None
    unbilled = unbilled if unbilled is not None and some(unbilled) else None
    moved = computed(spans(usage, opening, slices, segments, conversions, splits, unbilled))
    earlier = _earlier_usage(segments, opening, earlier)
    tables = _Tables(usage, moved, prices, limits, conversions, splits, earlier, fees, unbilled)
    ranges = charge_ranges(moved, at_once)
    if len(ranges) < 2:
        return _rated(tables)
    return one_after_the_other(ranges, lambda charges: _rated(tables.of(charges)))


@dataclass(frozen=True)
class _Tables:
    """What lines are computed from. ``earlier`` is None where no charge is priced by the total."""

    usage: pl.LazyFrame
    moved: pl.LazyFrame
    prices: pl.LazyFrame
    limits: pl.LazyFrame | None
    conversions: pl.LazyFrame | None
    splits: pl.LazyFrame | None
    earlier: pl.LazyFrame | None
    fees: pl.LazyFrame | None
    unbilled: pl.LazyFrame | None

    def of(self, charges: ChargeRange) -> _Tables:
        """The same of some charges."""

        def theirs(table: pl.LazyFrame | None) -> pl.LazyFrame | None:
            return None if table is None else charges.of(table)

        return _Tables(
            charges.of(self.usage),
            charges.of(self.moved),
            charges.of(self.prices),
            theirs(self.limits),
            theirs(self.conversions),
            theirs(self.splits),
            theirs(self.earlier),
            theirs(self.fees),
            theirs(self.unbilled),
        )


def _rated(tables: _Tables) -> pl.LazyFrame:
    """Lines after limits, in the order of their key."""
    usage, moved, prices, limits = tables.usage, tables.moved, tables.prices, tables.limits
    conversions, earlier, unbilled = tables.conversions, tables.earlier, tables.unbilled
    fees = [] if tables.fees is None else [tables.fees]
    if limits is None or not some(limits):
        return pl.concat([_lines(usage, moved, prices, conversions, earlier, unbilled), *fees]).sort(LINE_KEY)
    # Apart from the first step on: a plan that divides lines computes each of them for either part.
    with_limits = limits.select("charge_id")
    free_of_limits, touched = (
        _lines(
            usage.join(with_limits, on="charge_id", how=how),
            computed(moved.join(with_limits, on="charge_id", how=how)),
            prices,
            conversions,
            earlier,
            unbilled,
        )
        for how in ("anti", "semi")
    )
    paid = limited(computed(touched), moved, prices, limits, conversions, tables.splits)
    return pl.concat([free_of_limits, paid, *fees]).sort(LINE_KEY)


def _earlier_usage(
    segments: pl.LazyFrame, opening: pl.LazyFrame, earlier: pl.LazyFrame | None
) -> pl.LazyFrame | None:
    """Whose the usage before was, of charges priced by the total; None where there are none."""
    by_total = segments.filter(pl.col("method") == BY_TOTAL).select("charge_id").unique()
    return (
        computed(earlier_usage(opening.join(by_total, on="charge_id", how="semi"), earlier))
        if some(by_total)
        else None
    )


def _lines(
    usage: pl.LazyFrame,
    moved: pl.LazyFrame,
    prices: pl.LazyFrame,
    conversions: pl.LazyFrame | None,
    earlier: pl.LazyFrame | None,
    unbilled: pl.LazyFrame | None,
) -> pl.LazyFrame:
    """Lines before limits, unsorted. ``earlier`` is None where no charge is priced by the total."""
    bands = prices.filter(pl.col("component") != TIER_FEE_COMPONENT).drop("refuses_negative")
    marginal = moved.filter(pl.col("method") == MARGINAL, pl.col("lowest") < pl.col("highest"))
    within = computed(_within_one_segment(marginal, bands))
    crossing = computed(marginal.join(within, on=SLICE_KEY, how="anti"))
    others = moved.filter(pl.col("method") != MARGINAL)
    within_usage = usage if not some(others) else usage.join(within, on=SLICE_KEY, how="semi")
    quantities = [
        _usage_within(_by_buyer(within_usage), within),
        _usage_across(usage, crossing, bands),
        _fees(moved, prices.filter(pl.col("component") == TIER_FEE_COMPONENT)),
    ]
    if conversions is not None and some(others.filter(pl.col("method") == CONVERTED)):
        quantities.append(converted_usage(usage, moved, bands, conversions))
    if earlier is not None and some(others.filter(pl.col("method") == BY_TOTAL)):
        of_totals = others.filter(pl.col("method") == BY_TOTAL)
        by_buyer = _by_buyer(usage.join(of_totals, on=SLICE_KEY, how="semi"))
        quantities.append(repriced_usage(by_buyer, moved, bands, conversions, earlier, unbilled))
    lines = pl.concat(quantities).filter(
        (pl.col("consumed_quantity") != 0) | (pl.col("pricing_quantity") != 0)
    )
    return with_costs(lines).select(RATED_LINES.names())


def _by_buyer(usage: pl.LazyFrame) -> pl.LazyFrame:
    return usage.group_by(*SLICE_KEY, *_BUYER).agg(pl.col("quantity").sum())


def _within_one_segment(marginal: pl.LazyFrame, bands: pl.LazyFrame) -> pl.LazyFrame:
    """Slices that stay in one segment in whatever order their usage came, with that segment: nearly all."""
    return (
        marginal.join(bands, on="charge_id")
        .filter(
            pl.max_horizontal("segment_from", "split_start") <= pl.col("lowest"),
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
    lowest_price = lowest_priced().cast(METERED_QUANTITY)

    def part(lower_bound: pl.Expr) -> pl.Expr:
        return end.clip(lower_bound, upper) - start.clip(lower_bound, upper)

    return (
        usage.drop("slice_to")
        .join(crossing.select(*SLICE_KEY, "slice_to", "before", "priced_split"), on=SLICE_KEY)
        .with_columns((pl.col("before") + running).alias("_end"))
        .with_columns((pl.col("_end") - pl.col("quantity")).alias("_start"))
        .join(bands, on="charge_id")
        .with_columns(part(lowest).alias("consumed_quantity"), part(lowest_price).alias("pricing_quantity"))
        .filter(pl.col("consumed_quantity") != 0)
        .group_by(*SLICE_KEY, "slice_to", *_BUYER, *_PRICES)
        .agg(pl.col("consumed_quantity").sum(), pl.col("pricing_quantity").sum().cast(PRICING_QUANTITY))
    )


def _fees(moved: pl.LazyFrame, fees: pl.LazyFrame) -> pl.LazyFrame:
    owed_before = ~pl.col("begins") & fee_owed_at(pl.col("priced_before"))
    due = fee_owed_at(pl.col("priced_after")).cast(pl.Int8) - owed_before.cast(pl.Int8)
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
