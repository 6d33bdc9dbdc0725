"""Booking differences: what a run of a charge adds to, or takes back from, what earlier runs booked.

Every run rates the quantity since the charge began; totals are subtracted, not computed anew from quantities,
because each was rounded. Source: OpenMeter ``billing/charges/usagebased/service/rating/delta``.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.decimals import COST, PRICING_QUANTITY, UTC_INSTANT
from focus_assets.rating.detailed_lines.tables import DETAILED_LINES, TOTALS, refuse

RUNS: Final = pl.Schema({"line_id": pl.String(), "run_from": UTC_INSTANT, "run_to": UTC_INSTANT})
"""The run of each charge that books now."""

BOOKED: Final = pl.Schema(
    {
        **DETAILED_LINES,
        "pricer_ref": pl.String(),
        "detailed_line_id": pl.String(),
        "booked_to": UTC_INSTANT,
        "voided": pl.Boolean(),
    }
)
"""A detailed line that an earlier run of the charge booked.

``pricer_ref``: the ref its price gave it, also on a correction. ``booked_to``: the end of the run that booked it;
null where it is known to be earlier.
"""

BOOKINGS: Final = pl.Schema({**DETAILED_LINES, "pricer_ref": pl.String()})

_ZERO = pl.lit(0, COST)
_NUMBERS = ("quantity", *TOTALS)
_KEY = ("line_id", "pricer_ref", "category", "payment_term", "per_unit_amount")


def earlier(booked: pl.LazyFrame, runs: pl.LazyFrame) -> pl.LazyFrame:
    """What of ``booked`` counts: not voided, and booked by a run that ended before the current one does."""
    before = pl.col("booked_to").is_null() | (pl.col("booked_to") < pl.col("run_to"))
    return (
        booked.join(runs.select("line_id", "run_to"), on="line_id")
        .filter(before & ~pl.col("voided"))
        .select(BOOKED.names())
    )


def book_difference(current: pl.LazyFrame, booked: pl.LazyFrame, runs: pl.LazyFrame) -> pl.LazyFrame:
    """What the runs (RUNS) book: ``current`` (DETAILED_LINES of the quantity to date) less ``booked`` (BOOKED).

    Components match by ref, category, payment term and amount per unit. What only was booked is taken back under
    a correction's ref, with a negative quantity. Returns :data:`BOOKINGS` without credits, sorted; a component
    whose totals are all zero is left out, whatever its quantity.

    Collecting raises LineNotRated for a correction of a line without id, and for two lines of one ref.
    """
    now = _summed(current.with_columns(pl.col("ref").alias("pricer_ref")), ["index"])
    past = _summed(earlier(booked, runs), ["booked_to", "index"])
    both = now.join(past, on=_KEY, how="full", coalesce=True, suffix="_past", nulls_equal=True)
    unknown = pl.col("ref").is_null()
    both = refuse(
        both,
        unknown & pl.col("detailed_line_id").is_null(),
        "takes back a detailed line that has no id",
    )
    correction = pl.col("pricer_ref") + "#correction:detailed_line_id=" + pl.col("detailed_line_id")
    difference = [
        (pl.col(name).fill_null(_zero(name)) - pl.col(f"{name}_past").fill_null(_zero(name))).alias(name)
        for name in _NUMBERS
    ]
    kept = [
        pl.when(unknown).then(f"{name}_past").otherwise(name).alias(name)
        for name in ("index", "tier", "amount_discounts")
    ]
    found = (
        both.with_columns(*kept, *difference, pl.when(unknown).then(correction).otherwise("ref").alias("ref"))
        .filter(pl.any_horizontal(pl.col(name) != 0 for name in TOTALS))
        .join(runs, on="line_id")
        .with_columns(
            pl.struct("index", "ref").rank("ordinal").over("line_id").alias("_place"),
            pl.col("run_from").alias("period_from"),
            pl.col("run_to").alias("period_to"),
            pl.lit([], DETAILED_LINES["credits_applied"]).alias("credits_applied"),
        )
        .with_columns((pl.col("_place") - 1).cast(pl.Int32).alias("index"))
    )
    found = refuse(found, pl.struct("line_id", "ref").is_duplicated(), "would book two lines of one ref")
    return found.select(BOOKINGS.names()).sort("line_id", "index")


def _zero(name: str) -> pl.Expr:
    return pl.lit(0, PRICING_QUANTITY) if name == "quantity" else _ZERO


def _summed(lines: pl.LazyFrame, order: list[str]) -> pl.LazyFrame:
    """One row per key: numbers summed without credits, everything else of the first."""
    names = lines.collect_schema().names()
    first = [name for name in names if name not in _KEY and name not in _NUMBERS]
    return (
        lines.with_columns(
            _ZERO.alias("credits_total"),
            (pl.col("amount") + pl.col("charges_total") - pl.col("discounts_total")).alias("total"),
        )
        .sort("line_id", *order)
        .group_by(_KEY, maintain_order=True)
        .agg(pl.col(_NUMBERS).sum(), pl.col(first).first())
    )
