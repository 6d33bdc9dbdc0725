"""Volume tiers: the tier that holds the period's quantity prices all of it; known when the period ends.

Source: OpenMeter ``billing/rating/service/rate/tieredvolume.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.rating.detailed_lines.position import is_last
from focus_assets.rating.detailed_lines.prices.component import component
from focus_assets.rating.detailed_lines.tables import refuse


def volume_lines(lines: pl.LazyFrame, tiers: pl.LazyFrame) -> pl.LazyFrame:
    """The tier's fee, also without usage, then all units at its price; only on a period's last line."""
    closing = refuse(
        lines.filter(is_last()),
        pl.col("before") != 0,
        "has volume tiers and usage before it; volume tiers cannot be billed in parts",
    )
    used, number = pl.col("quantity"), pl.col("tier")
    # Below zero the first tier prices: its lower bound is no bound downwards.
    above = (number == 1) | (used > pl.col("tier_from"))
    below = pl.col("tier_to").is_null() | (used <= pl.col("tier_to"))
    found = closing.join(tiers, on="line_id").filter(above & below)
    fees = component(
        found.filter(pl.col("flat_price").is_not_null()),
        pl.lit("volume-flat-price"),
        pl.lit(1),
        pl.col("flat_price"),
        tier=number,
    )
    usage = component(
        found.filter(pl.col("unit_price").is_not_null() & (used != 0)),
        pl.lit("volume-tiered-price"),
        used,
        pl.col("unit_price"),
        position=pl.lit(1),
        tier=number,
    )
    return pl.concat([fees, usage])
