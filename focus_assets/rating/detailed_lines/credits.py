"""Credits: each pays components in their order until it is used up.

Source: OpenMeter ``billing/rating/service/mutator/credits.go``.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import COST, round_to
from focus_assets.rating.detailed_lines.tables import refuse

_ZERO = pl.lit(0, COST)


def credits_applied(components: pl.LazyFrame, credits: pl.LazyFrame) -> pl.LazyFrame:
    """What each credit pays of each component: line_id, position, credit_index, amount.

    ``components`` need line_id, position, net and minor_unit; a net of zero or less takes no credit. Credits
    and nets laid end to end pay one another where they overlap. Collecting raises LineNotRated where a credit
    is not used up.
    """
    unit = components.group_by("line_id").agg(pl.col("minor_unit").first())
    to_pay = pl.max_horizontal(pl.col("net"), _ZERO)
    nets = components.select("line_id", "position", to_pay.alias("_net")).with_columns(
        pl.col("_net").cum_sum().over("line_id", order_by="position").alias("_net_to")
    )
    given = (
        credits.join(unit, on="line_id", how="left")
        .with_columns(
            pl.when(pl.col("minor_unit").is_null())
            .then("amount")
            .otherwise(round_to(pl.col("amount"), pl.col("minor_unit").fill_null(pl.lit(1, COST))))
            .alias("_credit")
        )
        .with_columns(
            pl.col("_credit").cum_sum().over("line_id", order_by="credit_index").alias("_credit_to")
        )
    )
    left = (
        given.group_by("line_id")
        .agg(pl.col("_credit").sum())
        .join(nets.group_by("line_id").agg(pl.col("_net").sum()), on="line_id", how="left")
    )
    fits = refuse(
        left,
        pl.col("_credit") > pl.col("_net").fill_null(_ZERO),
        "has credits that its components do not use up",
    ).select("line_id")
    overlap = pl.min_horizontal("_credit_to", "_net_to") - pl.max_horizontal(
        pl.col("_credit_to") - pl.col("_credit"), pl.col("_net_to") - pl.col("_net")
    )
    return (
        given.join(fits, on="line_id", how="semi")
        .join(nets, on="line_id")
        .select("line_id", "position", "credit_index", overlap.alias("amount"))
        .filter(pl.col("amount") > 0)
        .sort("line_id", "position", "credit_index")
    )
