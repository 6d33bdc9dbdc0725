"""The steps in OpenMeter's order: conversion, free units, price, percentage, maximum, minimum, credits, totals.

Source: OpenMeter ``billing/rating/service/detailedline.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import COST, multiply_to
from focus_assets.rating.detailed_lines.credits import credits_applied
from focus_assets.rating.detailed_lines.maximum_spend import with_maximum_spend
from focus_assets.rating.detailed_lines.minimum_spend import minimum_spend_components
from focus_assets.rating.detailed_lines.percentage import with_percentage_discount
from focus_assets.rating.detailed_lines.position import whole_lines_begin_at_zero
from focus_assets.rating.detailed_lines.prices import priced
from focus_assets.rating.detailed_lines.tables import refuse
from focus_assets.rating.detailed_lines.totals import detailed
from focus_assets.rating.detailed_lines.unit_config import with_billed_units
from focus_assets.rating.detailed_lines.usage_discount import without_free_units

_TERMS = ("minor_unit", "percentage", "percentage_id", "maximum_amount", "previously_billed", "price")


def detailed_lines(
    lines: pl.LazyFrame,
    tiers: pl.LazyFrame,
    credits: pl.LazyFrame,
    *,
    unit_config_enabled: bool = True,
) -> pl.LazyFrame:
    """Rate lines of invoices (LINES, TIERS, CREDITS of :mod:`tables`) as OpenMeter does.

    Returns :data:`~focus_assets.rating.detailed_lines.tables.DETAILED_LINES`, sorted. Each component's money is
    rounded to the currency's smallest amount, then summed; never summed and then rounded. Of flat fees only the
    percentage discount and credits apply.

    Raises :class:`~focus_assets.rating.detailed_lines.tables.LineNotRated`, naming the line.
    """
    metered = whole_lines_begin_at_zero(lines)
    billed = with_billed_units(metered, enabled=unit_config_enabled)
    billable = _computed(without_free_units(billed))
    gross = multiply_to(pl.col("quantity"), pl.col("per_unit_amount"), pl.col("minor_unit"))
    components = (
        require_valid_components(_computed(priced(billable, tiers)))
        .join(billable.select("line_id", "period_from", "period_to", *_TERMS), on="line_id")
        .with_columns(pl.lit("regular").alias("category"), gross.alias("gross"))
        .with_columns(
            pl.col("gross").alias("net"),
            pl.when(pl.col("price") == "flat")
            .then(pl.lit(None, COST))
            .otherwise("maximum_amount")
            .alias("maximum_amount"),
        )
    )
    limited = _computed(with_maximum_spend(_computed(with_percentage_discount(_computed(components)))))
    top_ups = minimum_spend_components(billable, limited).join(
        billable.select("line_id", *_TERMS), on="line_id"
    )
    rated = _computed(pl.concat([limited.select(top_ups.collect_schema().names()), top_ups]))
    wanted = lines.filter(~pl.col("ignores_credits")).select("line_id")
    applied = credits_applied(rated, credits.join(wanted, on="line_id", how="semi"))
    return detailed(rated, applied)


def _computed(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The frame's rows. Every price reads the lines and every step joins them: as one plan, each step would hold
    the plans of all before it many times over (43 MB of plan for one line), and invoices have few lines."""
    return frame.collect().lazy()


def require_valid_components(components: pl.LazyFrame) -> pl.LazyFrame:
    """``components`` unchanged; a quantity may be negative, the amount of one unit may not."""
    return refuse(components, pl.col("per_unit_amount") < 0, "has a negative amount per unit")
