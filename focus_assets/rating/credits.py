"""Drawing credits down: which grant pays how much of which line of a day.

What belongs here: the arithmetic, frames in and frame out. What does not: grants and their order
(``catalog.credits``), and the rows that come of it (``focus.credits``).

Grants pay in their order, each what it still has, lines in theirs. Days add up: a charge is never paid more than it
has come to so far, so where a day's usage takes cost back, what was billed of the charge is taken back first, then
what was paid by credit, the grant that was used last first, also where that grant has ended. Source: OpenMeter
``billing/rating/service/mutator/credits.go`` (order and amounts of a whole period), ``ledger/collector/correct.go``
(giving back).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.decimals import COST

PAYABLE: Final = pl.Schema(
    {
        "line": pl.UInt32(),
        "customer": pl.String(),
        "currency": pl.String(),
        "charge_id": pl.String(),
        "feature": pl.String(),
        "cost": COST,
    }
)
"""A line of a day in the order of payment by ``line``, with what it would cost without credits."""

GRANTS: Final = pl.Schema(
    {
        "grant": pl.String(),
        "customer": pl.String(),
        "currency": pl.String(),
        "rank": pl.Int32(),
        "amount": COST,
        "features": pl.List(pl.String()),
        "usable": pl.Boolean(),
    }
)
"""A grant; ``rank`` from 0 among those of its customer; no ``features``: all. Not ``usable``: it only takes back."""

USED: Final = pl.Schema({"grant": pl.String(), "charge_id": pl.String(), "used": COST})
"""What a grant has paid of a charge before the day."""

BILLED: Final = pl.Schema({"charge_id": pl.String(), "billed": COST})
"""What was billed of a charge before the day, since its start and credits taken off; only those that fall need it."""

PAID: Final = pl.Schema({"line": pl.UInt32(), "grant": pl.String(), "rank": pl.Int32(), "amount": COST})
"""What a grant pays of a line; below zero where it is given back."""

_ZERO = pl.lit(0, COST)


def draw_down(
    lines: pl.DataFrame, grants: pl.DataFrame, used: pl.DataFrame, billed: pl.DataFrame
) -> pl.DataFrame:
    """:data:`PAID` of ``lines`` (:data:`PAYABLE`), in order of line and rank; amounts are not zero."""
    returned = _given_back(lines, grants, used, billed)
    spent = pl.concat([used.select("grant", "used"), returned.select("grant", used="amount")])
    left = (
        grants.join(spent.group_by("grant").agg(pl.col("used").sum()), on="grant", how="left")
        .with_columns((pl.col("amount") - pl.col("used").fill_null(_ZERO)).alias("left"))
        .filter(pl.col("usable"), pl.col("left") > 0)
    )
    unpaid = _to_pay(lines)
    found = [returned]
    for rank in sorted(set(left["rank"])):
        paid = _paid_by(unpaid, left.filter(pl.col("rank") == rank))
        unpaid = (
            unpaid.join(paid.select("line", "amount"), on="line", how="left")
            .with_columns((pl.col("cost") - pl.col("amount").fill_null(_ZERO)).alias("cost"))
            .drop("amount")
        )
        found.append(paid)
    return pl.concat(found).filter(pl.col("amount") != 0).sort("line", "rank", "grant")


def _to_pay(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines above zero, each no further than the charge's cost of the day reaches."""
    of_charge = pl.col("cost").sum().over("charge_id")
    return (
        lines.lazy()
        .with_columns(of_charge.alias("_day"))
        .filter(pl.col("cost") > 0)
        .with_columns(pl.col("cost").cum_sum().over("charge_id", order_by="line").alias("_to"))
        .with_columns(
            (
                pl.min_horizontal("_to", "_day") - pl.min_horizontal(pl.col("_to") - pl.col("cost"), "_day")
            ).alias("cost")
        )
        .filter(pl.col("_day") > 0)
        .select(PAYABLE.names())
        .collect()
    )


def _paid_by(unpaid: pl.DataFrame, grants: pl.DataFrame) -> pl.DataFrame:
    """What grants pay that are alone with their rank at their customer."""
    allowed = (pl.col("features").list.len() == 0) | pl.col("features").list.contains(pl.col("feature"))
    before = pl.col("_to") - pl.col("cost")
    return (
        unpaid.lazy()
        .filter(pl.col("cost") > 0)
        .join(grants.lazy().drop("amount", "usable"), on=["customer", "currency"])
        .filter(allowed.fill_null(False))
        .with_columns(pl.col("cost").cum_sum().over("grant", order_by="line").alias("_to"))
        .with_columns((pl.min_horizontal("_to", "left") - pl.min_horizontal(before, "left")).alias("amount"))
        .filter(pl.col("amount") > 0)
        .select(PAID.names())
        .collect()
    )


def _given_back(
    lines: pl.DataFrame, grants: pl.DataFrame, used: pl.DataFrame, billed: pl.DataFrame
) -> pl.DataFrame:
    """What falls back to grants where a charge costs less than before; amounts below zero.

    The charge's lines below zero and what it has been paid by, billed first and then grants from the last, are laid
    end to end; they meet where they overlap.
    """
    falling = lines.with_columns(pl.col("cost").sum().over("charge_id").alias("_day")).filter(
        (pl.col("_day") < 0) & (pl.col("cost") < 0)
    )
    if falling.is_empty() or used.is_empty():
        return PAID.to_frame()
    owed = (
        falling.join(billed, on="charge_id", how="left")
        .with_columns((-pl.col("cost")).alias("_size"))
        .with_columns(pl.col("_size").cum_sum().over("charge_id", order_by="line").alias("_to"))
        .with_columns(
            pl.min_horizontal("_to", -pl.col("_day")).alias("_line_to"),
            pl.min_horizontal(pl.col("_to") - pl.col("_size"), -pl.col("_day")).alias("_line_from"),
            pl.max_horizontal(pl.col("billed").fill_null(_ZERO), _ZERO).alias("_billed"),
        )
    )
    spent = (
        used.join(grants.select("grant", "rank"), on="grant")
        .sort("charge_id", pl.col("rank"), "grant", descending=[False, True, True])
        .with_columns(pl.col("used").cum_sum().over("charge_id").alias("_used_to"))
    )
    start = pl.max_horizontal("_line_from", pl.col("_billed") + pl.col("_used_to") - pl.col("used"))
    end = pl.min_horizontal("_line_to", pl.col("_billed") + pl.col("_used_to"))
    return (
        owed.join(spent, on="charge_id")
        .with_columns((start - end).alias("amount"))
        .filter(pl.col("amount") < 0)
        .select(PAID.names())
    )
