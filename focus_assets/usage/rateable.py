"""What the rating kernel is given for a day: usage of each slice and each charge's quantity before the day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.datasets import USAGE_TOTALS
from focus_assets.decimals import METERED_QUANTITY
from focus_assets.usage.totals import slice_frame, windows_of_charges

_RATEABLE = ["charge_id", "slice_from", "slice_to", "window_from", "subject", "dimensions", "quantity"]


_OPENING = ["charge_date", "charge_id", "quantity", "quantity_to_date", "opening_quantity"]


def earlier_days(slices: Sequence[ChargeSlice], day: dt.date, start: dt.date) -> list[dt.date]:
    """The days before ``day`` whose totals its charges need: from their earliest start, or the first day of all.

    Meters that do not add up over time need the day before only; their totals are to date.
    """
    needed: set[dt.date] = set()
    for s in slices:
        begun = max(s.charge.period.start.date(), start)
        if not s.charge.meter.aggregation.adds_up_over_time:
            begun = max(begun, day - dt.timedelta(days=1))
        needed.update(begun + dt.timedelta(days=n) for n in range((day - begun).days))
    return sorted(needed)


def opening_quantities(
    earlier_totals: pl.LazyFrame, totals_of_the_day: pl.LazyFrame | None = None
) -> pl.LazyFrame:
    """Each charge's quantity before the day: charge_id, quantity.

    Takes ``usage_totals`` of the days before: sums what adds up, and takes the latest of what does not. What
    charges had used before the first day stands in the totals of the first day, which may be the day itself.
    """
    nothing = pl.lit(None, METERED_QUANTITY)
    today = no_earlier_totals() if totals_of_the_day is None else totals_of_the_day
    begun = today.filter(pl.col("opening_quantity").is_not_null()).with_columns(
        quantity=nothing, quantity_to_date=nothing
    )
    return (
        pl.concat([frame.select(_OPENING) for frame in (earlier_totals, begun)])
        .sort("charge_date")
        .group_by("charge_id", maintain_order=True)
        .agg(
            (pl.col("quantity").sum() + pl.col("opening_quantity").sum()).alias("summed"),
            pl.col("quantity_to_date").drop_nulls().last().alias("latest"),
        )
        .select("charge_id", quantity=pl.coalesce("latest", "summed").cast(METERED_QUANTITY))
        .sort("charge_id")
    )


def earlier_usage(earlier_totals: pl.LazyFrame) -> pl.LazyFrame:
    """Whose the usage of the days before was, of charges with volume tiers.

    Columns: charge_id, slice_from, subject, dimensions, quantity.
    """
    return (
        earlier_totals.filter(pl.col("usage_by_buyer").list.len() > 0)
        .select("charge_id", "usage_by_buyer")
        .explode("usage_by_buyer")
        .unnest("usage_by_buyer")
    )


def rateable_usage(
    normalized: pl.LazyFrame, slices: Sequence[ChargeSlice], opening: pl.LazyFrame
) -> pl.LazyFrame:
    """The usage of a day, or of days that follow each other, as the kernel takes it.

    Columns: charge_id, slice_from, slice_to, window_from, subject, dimensions, quantity. Windows of
    meters that add up; of the others one row per slice, the change of the quantity to date, without subject or
    dimensions. ``opening``: what charges had used before the first of the days.
    """
    windows = windows_of_charges(normalized, slices).filter("adds_up").select(_RATEABLE)
    day = pl.col("slice_from").dt.date()
    changes = (
        slice_frame(slices)
        .filter(~pl.col("adds_up"))
        .join(
            normalized.filter(pl.col("kind") == "to_date").select(
                "charge_id", slice_to="window_to", to_date="quantity"
            ),
            # A customer that has nothing left, its only subject moved away, is at zero: a change, not an absence.
            on=["charge_id", "slice_to"],
            how="left",
        )
        .join(opening.rename({"quantity": "opening"}), on="charge_id", how="left")
        .filter(
            pl.col("to_date").is_not_null()
            | pl.col("opening").is_not_null()
            # On a later day of several, what was there on the one before is known, if it is nothing.
            | ((pl.col("slice_from") > pl.col("charge_from")) & (day > day.min()))
        )
        .with_columns(pl.col("to_date").fill_null(pl.lit(0).cast(METERED_QUANTITY)))
        .sort("charge_id", "slice_from")
        .with_columns(
            window_from=pl.col("slice_from"),
            subject=pl.lit(None, pl.String),
            dimensions=pl.lit("{}"),
            before=pl.col("to_date")
            .shift(1)
            .over("charge_id")
            .fill_null(pl.col("opening").fill_null(pl.lit(0).cast(METERED_QUANTITY))),
        )
        .with_columns(quantity=(pl.col("to_date") - pl.col("before")).cast(METERED_QUANTITY))
        .select(_RATEABLE)
    )
    return pl.concat([windows, changes])


def no_earlier_totals() -> pl.LazyFrame:
    """Totals of a charge's first day: none."""
    return USAGE_TOTALS.empty()
