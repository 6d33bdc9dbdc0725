"""How far each slice moves its charge's quantity to date, and whether it can be rated at all."""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import METERED_QUANTITY, QUANTITY_LIMIT, may_exceed_cost
from focus_assets.errors import FocusAssetsError
from focus_assets.rating.conversions import with_priced
from focus_assets.rating.lines import BY_TOTAL, MARGINAL, TIER_FEE_COMPONENT
from focus_assets.rating.splits import with_splits
from focus_assets.rating.unbilled import with_unbilled

SLICE_KEY = ("charge_id", "slice_from")
_ZERO = pl.lit(0, METERED_QUANTITY)


class ChargeNotRated(FocusAssetsError):
    """Usage that no price applies to, or quantities and costs outside the supported range."""


def spans(
    usage: pl.LazyFrame,
    opening: pl.LazyFrame,
    slices: pl.LazyFrame,
    segments: pl.LazyFrame,
    conversions: pl.LazyFrame | None = None,
    splits: pl.LazyFrame | None = None,
    unbilled: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """One row per slice with the quantity to date around it; raises :class:`ChargeNotRated` when collected.

    Adds to SLICES how many ``windows`` of usage each has, ``before`` and ``after`` (quantity to date at its start and
    end; in a part of a split period as its invoice line counts it), ``lowest`` and ``highest``, which no order of its
    usage leaves, the first two also in priced units (``priced_before``, ``priced_after``), the part of a split period
    it lies in (see :mod:`~focus_assets.rating.splits`, also with ``priced_split``), and the ``method`` of the charge's
    prices. Nothing ``unbilled`` (UNBILLED) before a slice is in its quantities.
    ``usage`` needs the slice key and ``quantity``.
    """
    increase = pl.col("quantity").clip(lower_bound=_ZERO).sum().alias("increase")
    moved = usage.group_by(SLICE_KEY).agg(
        pl.col("quantity").sum(), increase, pl.len().cast(pl.Int64).alias("windows")
    )
    prices = segments.group_by("charge_id").agg(
        pl.col("refuses_negative").any(),
        pl.col("method").first(),
        pl.max_horizontal("contracted_unit_price", "list_unit_price")
        .filter(pl.col("component") != TIER_FEE_COMPONENT)
        .max()
        .alias("highest_price"),
    )
    slices = with_unbilled(with_splits(slices, splits), unbilled)
    limit = pl.lit(QUANTITY_LIMIT, METERED_QUANTITY)
    if conversions is None:
        prices = prices.with_columns(limit.alias("quantity_limit"))
    else:
        limits = conversions.select("charge_id", "quantity_limit")
        prices = prices.join(limits, on="charge_id", how="left").with_columns(
            pl.col("quantity_limit").fill_null(limit)
        )
    metered = pl.col("_opening") + pl.col("quantity").cum_sum().over("charge_id", order_by="slice_from")
    # What came late of an earlier part or billing period is that one's, and moves no later one.
    after = metered - pl.col("split_late").fill_null(_ZERO) - pl.col("unbilled").fill_null(_ZERO)
    known = (
        slices.join(moved, on=SLICE_KEY, how="full", coalesce=True)
        .join(opening.select("charge_id", _opening="quantity"), on="charge_id", how="left")
        .join(prices, on="charge_id", how="left")
        .with_columns(
            pl.col("quantity", "increase", "_opening").fill_null(_ZERO), pl.col("windows").fill_null(0)
        )
        .with_columns(after.alias("after"))
        .with_columns((pl.col("after") - pl.col("quantity")).alias("before"))
        .with_columns(
            (pl.col("before") + pl.col("increase")).alias("highest"),
            (pl.col("after") - pl.col("increase")).alias("lowest"),
        )
        .map_batches(_in_range, predicate_pushdown=False, projection_pushdown=False)
    )
    priced = {
        "before": "priced_before",
        "after": "priced_after",
        "lowest": "_lowest",
        "highest": "_highest",
        "_split": "priced_split",
    }
    return (
        with_priced(known.with_columns(pl.col("split_start").alias("_split")), conversions, priced)
        .map_batches(_affordable, predicate_pushdown=False, projection_pushdown=False)
        .select(
            *SLICE_KEY,
            "slice_to",
            "begins",
            "method",
            "windows",
            "before",
            "after",
            "lowest",
            "highest",
            "priced_before",
            "priced_after",
            "split_from",
            "split_start",
            "split_begins",
            pl.when(pl.col("split_start").is_not_null()).then("priced_split").alias("priced_split"),
        )
    )


def _in_range(found: pl.DataFrame) -> pl.DataFrame:
    """``found`` unchanged; a small table, so that an error can be a sentence that names the charge."""
    _refuse(found, pl.col("slice_to").is_null(), "has usage in a slice that is not among the day's slices")
    _refuse(found, pl.col("refuses_negative").is_null(), "has no price")
    split = pl.col("split_from").is_not_null()
    _refuse(
        found,
        split & pl.col("split_start").is_null(),
        "has an invoice for a part of its period, and this slice lies in none of the parts",
    )
    _refuse(
        found,
        split & (pl.col("method") == BY_TOTAL),
        "has an invoice for a part of its period, which volume tiers do not allow",
    )
    _refuse(
        found,
        pl.col("refuses_negative") & (pl.min_horizontal("before", "after") < 0),
        "has a negative quantity to date, which graduated tiers do not price",
    )
    _refuse(
        found,
        pl.max_horizontal(pl.col("before", "lowest", "highest").abs()) >= pl.col("quantity_limit"),
        "has a quantity to date outside the supported range, which ends below 10^16 units, also of those that its "
        "price is for",
    )
    return found


def _affordable(found: pl.DataFrame) -> pl.DataFrame:
    """``found`` unchanged. Conversions and totals are priced as a whole, which costs more than a slice does."""
    reach = pl.max_horizontal(pl.col("_lowest", "_highest").abs())
    moved = (
        pl.when(pl.col("method") == MARGINAL).then(pl.col("_highest") - pl.col("_lowest")).otherwise(reach)
    )
    _refuse(
        found,
        may_exceed_cost(moved, pl.col("highest_price")),
        "would cost more than the supported range, which ends below 10^19",
    )
    return found


def _refuse(found: pl.DataFrame, where: pl.Expr, what: str) -> None:
    bad = found.filter(where).sort(SLICE_KEY)
    if not bad.is_empty():
        row = bad.row(0, named=True)
        others = f" ({bad.height} such slices)" if bad.height > 1 else ""
        quantities = f"{row['before']:f} to {row['after']:f}"
        raise ChargeNotRated(
            f"charge {row['charge_id']} {what}{others}: slice from {row['slice_from']:%FT%TZ}, "
            f"quantity to date {quantities}. "
            "Mend the usage or the price; none of the day's lines was written."
        )
