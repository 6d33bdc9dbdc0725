"""Maximum spend: what passes the limit is taken off, component by component in their order.

Source: OpenMeter ``billing/rating/service/mutator/maxcommitment.go``, ``detailedline.go`` AddDiscountForOverage.
"""

from __future__ import annotations

import polars as pl

from focus_assets.decimals import COST, round_to

_ZERO = pl.lit(0, COST)


def with_maximum_spend(components: pl.LazyFrame) -> pl.LazyFrame:
    """Adds ``maximum_discount`` (null where the limit is not passed) and takes it off ``net``.

    What is billed walks with each component's net and is pushed back at the limit: after component k it is
    ``billed + sum(net) - max(0, highest billed + sum(net) so far - limit)``, which needs no loop. Where more
    than the limit was billed before, components count only from the first that brings the sum back to it.
    """
    unit = pl.col("minor_unit")
    limit = round_to(pl.col("maximum_amount"), unit)
    start = round_to(pl.col("previously_billed"), unit)
    net = pl.col("net")

    def running(value: pl.Expr) -> pl.Expr:
        return value.over("line_id", order_by="position")

    counts = running(((start <= limit) | (start + net <= limit)).cum_max())
    counted = pl.when(pl.col("_counts")).then(net).otherwise(_ZERO)
    level = pl.col("_start") + pl.col("_sum")
    excess = pl.when(pl.col("_counts")).then(level - pl.col("_limit")).otherwise(_ZERO)
    pushed_back = pl.max_horizontal(running(excess.cum_max()), _ZERO)
    billed_before = running(pl.col("_billed").shift(1)).fill_null(pl.col("_start"))
    over = pl.col("_billed_before") + net - pl.col("_limit")
    discount = pl.when(over > 0).then(
        pl.when(pl.col("_billed_before") >= pl.col("_limit")).then(net).otherwise(over)
    )
    without = components.filter(pl.col("maximum_amount").is_null())
    with_limit = (
        components.filter(pl.col("maximum_amount").is_not_null())
        .with_columns(counts.alias("_counts"), limit.alias("_limit"), start.alias("_start"))
        .with_columns(running(counted.cum_sum()).alias("_sum"))
        .with_columns((level - pushed_back).alias("_billed"))
        .with_columns(billed_before.alias("_billed_before"))
        .with_columns(discount.alias("maximum_discount"))
        .with_columns((net - pl.col("maximum_discount").fill_null(_ZERO)).alias("net"))
        .drop("_counts", "_limit", "_start", "_sum", "_billed", "_billed_before")
    )
    return pl.concat([without.with_columns(pl.lit(None, COST).alias("maximum_discount")), with_limit])
