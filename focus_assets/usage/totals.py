"""Normalized usage → what each charge used, and what no charge rates.

What belongs here: which window counts for which charge. What does not: prices.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import BUYERS, UNBILLED_USAGE, USAGE_TOTALS
from focus_assets.decimals import METERED_QUANTITY, UTC_INSTANT

_SLICE_SCHEMA: Final[Mapping[str, pl.DataType | type[pl.DataType]]] = {
    "charge_id": pl.String,
    "slice_from": UTC_INSTANT,
    "slice_to": UTC_INSTANT,
    "customer": pl.String,
    "subscription": pl.String,
    "feature": pl.String,
    "meter": pl.String,
    "unit": pl.String,
    "adds_up": pl.Boolean,
    "charge_from": UTC_INSTANT,
    "charge_to": UTC_INSTANT,
    "filters": pl.String,
    "by_total": pl.Boolean,
}


def slice_frame(slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """One row per slice.

    Columns: charge_id, slice_from, slice_to, customer, subscription, feature, meter, unit, adds_up, charge_from,
    charge_to (instants UTC), filters (the feature's, as JSON) and by_total (whether volume tiers price it).
    """
    rows = [
        (
            s.charge.charge_id,
            s.period.start,
            s.period.end,
            s.charge.customer.key,
            s.charge.subscription.key,
            s.charge.feature.key,
            s.charge.meter.slug,
            s.charge.meter.unit,
            s.charge.meter.aggregation.adds_up_over_time,
            s.charge.period.start,
            s.charge.period.end,
            json.dumps({k: list(v) for k, v in s.charge.feature.filters.items()}, sort_keys=True),
            s.charge.is_priced_by_total,
        )
        for s in slices
    ]
    return pl.LazyFrame(rows, schema=_SLICE_SCHEMA, orient="row")


def windows_of_charges(normalized: pl.LazyFrame, slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """Each window with every charge slice that counts it.

    Windows were cut at the slices' ends when they were metered, so each lies in a slice or outside it, never
    across. Returns the normalized columns and those of :func:`slice_frame`; a window that two features meter
    appears once for each.
    """
    by_slice = slice_frame(slices)
    joined = (
        normalized.filter(pl.col("kind") == "window", pl.col("customer").is_not_null())
        .drop("charge_id", "unit")
        .join(by_slice, on=["customer", "meter"], how="inner")
        .filter((pl.col("window_from") >= pl.col("slice_from")) & (pl.col("window_to") <= pl.col("slice_to")))
    )
    filtered = {name for s in slices for name in s.charge.feature.filters}
    if not filtered:
        return joined.drop("filters")
    # Features with filters are few, and so are the distinct values: match each pair once.
    matches = (
        joined.select("dimensions", "filters")
        .unique()
        .with_columns(
            matches=pl.struct("dimensions", "filters").map_elements(_matches, return_dtype=pl.Boolean)
        )
    )
    joined = joined.join(matches, on=["dimensions", "filters"], how="left").filter("matches")
    return joined.drop("filters", "matches")


def usage_totals(normalized: pl.LazyFrame, slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """The ``usage_totals`` rows of one day: one for every charge, also for those without usage.

    Meters that add up over time get ``quantity``, the others ``quantity_to_date``; charges that had usage before
    the first day get it there as ``opening_quantity``. Neither needs another day,
    so days can be totalled in any order and side by side. Charges with volume tiers also get whose the quantity was.
    """
    charges = slice_frame(slices).unique("charge_id", keep="first", maintain_order=True)
    windows = windows_of_charges(normalized, slices)
    metered = windows.group_by("charge_id").agg(pl.col("quantity").sum())
    to_date = (
        normalized.filter(pl.col("kind") == "to_date")
        .sort("window_to")
        .group_by("charge_id", maintain_order=True)
        .agg(pl.col("quantity").last().alias("quantity_to_date"))
    )
    opening = (
        normalized.filter(pl.col("kind") == "opening")
        .group_by("charge_id")
        .agg(pl.col("quantity").sum().alias("opening_quantity"))
    )
    zero = pl.lit(0).cast(METERED_QUANTITY)
    day = slices[0].period.start.date() if slices else None
    return (
        charges.join(metered, on="charge_id", how="left")
        .join(to_date, on="charge_id", how="left")
        .join(opening, on="charge_id", how="left")
        .join(_by_buyer(windows, slices), on="charge_id", how="left")
        .with_columns(
            charge_date=pl.lit(day, pl.Date),
            quantity=pl.when("adds_up").then(pl.col("quantity").fill_null(zero)),
            quantity_to_date=pl.when(~pl.col("adds_up")).then(pl.col("quantity_to_date").fill_null(zero)),
        )
        .select(USAGE_TOTALS.schema.names())
        .sort(USAGE_TOTALS.order)
    )


def _by_buyer(windows: pl.LazyFrame, slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """``usage_by_buyer`` of the charges that volume tiers price; quantities to date have no buyers."""
    if not any(s.charge.is_priced_by_total for s in slices):
        return pl.LazyFrame(schema={"charge_id": pl.String(), "usage_by_buyer": BUYERS})
    key = ["slice_from", "subject", "dimensions"]
    return (
        windows.filter("by_total", "adds_up")
        .group_by("charge_id", *key)
        .agg(pl.col("quantity").sum())
        .sort("charge_id", *key)
        .group_by("charge_id", maintain_order=True)
        .agg(pl.struct(*key, "quantity").alias("usage_by_buyer"))
    )


def unbilled_usage(normalized: pl.LazyFrame, slices: Sequence[ChargeSlice], catalog: Catalog) -> pl.LazyFrame:
    """The ``unbilled_usage`` rows of one day: windows that no charge counts, with the reason."""
    key = ["meter", "window_from", "window_to", "subject", "dimensions"]
    counted = windows_of_charges(normalized, slices).select(key).unique()
    has_customer = pl.col("subject").is_in(sorted(catalog.customer_of_subject))
    return (
        normalized.filter(pl.col("kind") == "window")
        .join(counted, on=key, how="anti", nulls_equal=True)
        .with_columns(
            reason=pl.when(has_customer)
            .then(pl.lit("outside_every_rate_card"))
            .otherwise(pl.lit("subject_without_customer"))
        )
        .select(UNBILLED_USAGE.schema.names())
        .sort(UNBILLED_USAGE.order)
    )


def _matches(pair: dict[str, str]) -> bool:
    values = json.loads(pair["dimensions"])
    return all(values.get(name) in allowed for name, allowed in json.loads(pair["filters"]).items())
