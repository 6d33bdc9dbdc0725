"""Holding corrections of closed lines against what they should be.

What belongs here: how far lines have moved since they were closed, and the lines that corrections are on, as
``reconcile`` shows them. What does not: rating a charge at once; a line as it would be now is compared with that there.
"""

from __future__ import annotations

import polars as pl

from focus_assets.billing.correction_signs import CORRECTED_LINE, is_correction
from focus_assets.billing.reconcile import LINES, MOVED
from focus_assets.decimals import COST, minor_unit

_KEY = "InvoiceDetailId"


def moved_lines(fresh: pl.LazyFrame, kept: pl.LazyFrame) -> pl.DataFrame:
    """:data:`~focus_assets.billing.reconcile.MOVED` of rows as they would be now, and as they are kept."""

    def sums(rows: pl.LazyFrame, name: str) -> pl.LazyFrame:
        return rows.drop_nulls(_KEY).group_by(_KEY).agg(pl.col("BilledCost").sum().alias(name))

    now, then = (pl.col(name).fill_null(pl.lit(0, COST)) for name in ("now", "then"))
    return (
        sums(fresh, "now")
        .join(sums(kept, "then"), on=_KEY, how="full", coalesce=True)
        .select(_KEY, (now - then).alias("moved"))
        .filter(pl.col("moved") != 0)
        .select(pl.col(name).cast(dtype) for name, dtype in MOVED.items())
        .collect()
    )


def lost(kept: pl.LazyFrame, details: pl.LazyFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """:data:`~focus_assets.billing.reconcile.LINES` of issued lines whose charge the catalog does not know any more.

    Nothing rates them again: their kept rows are held against what Invoice Detail states. ``lines``: the others.
    """
    charged = kept.drop_nulls(_KEY).group_by(_KEY).agg(pl.col("BilledCost").sum().alias("charged"))
    zero = pl.lit(0, COST)
    return (
        details.filter(~pl.col(_KEY).str.contains(CORRECTED_LINE, literal=True))
        .join(lines.lazy(), on=_KEY, how="anti")
        .join(charged, on=_KEY, how="left")
        .filter(pl.any_horizontal(pl.col("BilledCost", "charged") != 0))
        .with_columns(
            pl.col("charged").fill_null(zero).alias("charged"),
            pl.col("charged").fill_null(zero).alias("reference"),
            pl.col("BilledCost").alias("stated"),
            zero.alias("rounding"),
            zero.alias("difference"),
        )
        .with_columns(
            pl.when(pl.col("charged") != pl.col("stated"))
            .then(pl.lit("its rows do not add up to what Invoice Detail states"))
            .alias("finding"),
            pl.lit(None, pl.String).alias("note"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in LINES.items())
        .sort("InvoiceId", _KEY)
        .collect()
    )


def corrected(rows: pl.LazyFrame, details: pl.LazyFrame, moved: pl.DataFrame) -> pl.DataFrame:
    """:data:`~focus_assets.billing.reconcile.LINES` of the corrections that are on an issued invoice, sorted.

    Args:
        rows: Cost and Usage of all days of the lines in ``details``.
        details: rows of Invoice Detail.
        moved: what the corrections of each line have to come to. Where several invoices share it, or a part is on
            none, yet or for good, each is only held against what Invoice Detail states.
    """
    line = pl.col(_KEY).str.split(CORRECTED_LINE)
    stated = (
        details.filter(pl.col(_KEY).str.contains(CORRECTED_LINE, literal=True))
        .group_by(_KEY)
        .agg(pl.col("BilledCost").sum().alias("stated"))
    )
    corrections = rows.filter(is_correction())
    pending = corrections.filter(pl.col(_KEY).is_null()).select("x_ChargeId").unique()
    charged = (
        corrections.drop_nulls(_KEY)
        .group_by(_KEY, "InvoiceId", "BillingPeriodStart", "BillingCurrency")
        .agg(pl.col("BilledCost").sum().alias("charged"), pl.col("x_ChargeId").first())
        .join(stated, on=_KEY, how="inner")
        .join(pending.with_columns(pl.lit(True).alias("_pending")), on="x_ChargeId", how="left")
        .with_columns(line.list.first().alias("_line"))
        .join(moved.lazy().rename({_KEY: "_line"}), on="_line", how="left")
        .collect()
    )
    # Of a charge that nobody knows any more each day has a line of its own: other days' are not here.
    of_a_day = line.list.last().str.contains("/", literal=True)
    alone = (pl.len().over("_line") == 1) & pl.col("_pending").is_null() & ~of_a_day
    zero = pl.lit(0, COST)
    found = charged.with_columns(
        pl.when(alone).then(pl.col("moved").fill_null(zero)).otherwise("charged").alias("reference"),
        zero.alias("rounding"),
    ).with_columns((pl.col("charged") - pl.col("reference")).alias("difference"))
    half = pl.col("BillingCurrency").map_elements(lambda code: minor_unit(code) / 2, return_dtype=COST)
    finding = (
        pl.when(pl.col("difference").abs() > half)
        .then(pl.lit("its corrections do not add up to what changed since it was closed"))
        .when(pl.col("charged") != pl.col("stated"))
        .then(pl.lit("its rows do not add up to what Invoice Detail states"))
    )
    return (
        found.with_columns(finding.alias("finding"), pl.lit(None, pl.String).alias("note"))
        .select(pl.col(name).cast(dtype) for name, dtype in LINES.items())
        .sort("InvoiceId", _KEY)
    )
