"""Graduated tiers: each unit is priced by the tier it falls in; a tier's fee is due with its first unit.

Source: OpenMeter ``billing/rating/service/rate/tieredgraduated.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import PRICING_QUANTITY
from focus_assets.rating.detailed_lines.position import is_first
from focus_assets.rating.detailed_lines.prices.component import component
from focus_assets.rating.detailed_lines.tables import refuse

_ZERO = pl.lit(0, PRICING_QUANTITY)


def graduated_lines(lines: pl.LazyFrame, tiers: pl.LazyFrame) -> pl.LazyFrame:
    """For each tier touched the usage within it, also at price 0, then its fee if the line enters it.

    A period without usage counts as within its first tier, whose fee is due with the period's first line.
    """
    start, used = pl.col("before"), pl.col("quantity")
    end = start + used
    lines = refuse(
        lines,
        (start < 0) | (used < 0) | (end < 0),
        "has negative usage, which graduated tiers do not price",
    )
    lower, upper, number = pl.col("tier_from"), pl.col("tier_to"), pl.col("tier")
    within = pl.min_horizontal(end, upper) - pl.max_horizontal(start, lower)
    touched = (
        lines.with_columns(is_first().alias("_first"), end.alias("_end"))
        .join(tiers, on="line_id")
        .with_columns(within.alias("_within"))
        .filter((pl.col("_within") > 0) | ((pl.col("_end") == 0) & (number == 1)))
    )
    prefix = pl.lit("graduated-tiered-") + number.cast(pl.String)
    usage = component(
        touched.filter(pl.col("unit_price").is_not_null()),
        prefix + pl.lit("-price-usage"),
        pl.max_horizontal(pl.col("_within"), _ZERO),
        pl.col("unit_price"),
        position=2 * number,
        tier=number,
    )
    entered = (lower >= start) & ((number != 1) | pl.col("_first"))
    fees = component(
        touched.filter(pl.col("flat_price").is_not_null() & entered),
        prefix + pl.lit("-flat-price"),
        pl.lit(1),
        pl.col("flat_price"),
        position=2 * number + 1,
        tier=number,
    )
    return pl.concat([usage, fees])
