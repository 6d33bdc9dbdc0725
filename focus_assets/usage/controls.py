"""Control totals: what goes into a stage comes out of it, row for row and unit for unit.

Each function compares two stages of one day and returns a frame of differences, empty when they agree. They
read what was written, not what was about to be, so they hold for files that somebody else put there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.fees import Fee
from focus_assets.decimals import METERED_QUANTITY, round_half_away
from focus_assets.usage.totals import windows_of_charges

FLAT_FEE: Final = "flat_fee"
"""The x_PriceComponent of flat fees."""

_ZERO = pl.lit(0).cast(METERED_QUANTITY)
_DUE = pl.Schema({"charge_id": pl.String(), "due": pl.UInt32()})
_OWNERS = pl.Schema({"charge_id": pl.String(), "customer": pl.String()})


def raw_against_normalized(raw: pl.LazyFrame, normalized: pl.LazyFrame) -> pl.DataFrame:
    """Differences in rows or quantity: meter, kind, raw_rows, normalized_rows, raw_quantity, normalized_quantity."""
    rounded = round_half_away(pl.col("value"), 9).cast(METERED_QUANTITY)
    key = ["meter", "kind"]
    return _differing(
        raw.group_by(key).agg(raw_rows=pl.len(), raw_quantity=rounded.sum()),
        normalized.group_by(key).agg(normalized_rows=pl.len(), normalized_quantity=pl.col("quantity").sum()),
        key,
        [("raw_rows", "normalized_rows"), ("raw_quantity", "normalized_quantity")],
    )


def normalized_against_totals(
    normalized: pl.LazyFrame, totals: pl.LazyFrame, slices: Sequence[ChargeSlice]
) -> pl.DataFrame:
    """Charges whose total is not the sum of their windows, or not their quantity to date, or not there once.

    Columns: charge_id, charges (1 where the day has a slice of it), totals, usage_quantity, total_quantity.
    """
    adds_up = {s.charge.charge_id: s.charge.meter.aggregation.adds_up_over_time for s in slices}
    charges = pl.LazyFrame(
        sorted(adds_up.items()), schema={"charge_id": pl.String, "adds_up": pl.Boolean}, orient="row"
    )
    summed = windows_of_charges(normalized, slices).filter("adds_up").group_by("charge_id")
    to_date = normalized.filter(pl.col("kind") == "to_date").group_by("charge_id")
    usage = pl.concat(
        [
            summed.agg(usage_quantity=pl.col("quantity").sum()),
            to_date.agg(usage_quantity=pl.col("quantity").sort_by("window_to").last()),
        ]
    )
    return _differing(
        charges.select("charge_id", charges=pl.lit(1, pl.UInt32)).join(
            usage, on="charge_id", how="full", coalesce=True
        ),
        totals.group_by("charge_id").agg(
            totals=pl.len(), total_quantity=pl.coalesce("quantity", "quantity_to_date").sum()
        ),
        ["charge_id"],
        [("charges", "totals"), ("usage_quantity", "total_quantity")],
    )


def normalized_against_unbilled(
    normalized: pl.LazyFrame, unbilled: pl.LazyFrame, slices: Sequence[ChargeSlice]
) -> pl.DataFrame:
    """Meters of which a window is neither rated nor listed as unbilled, or both.

    Columns: meter, usage_rows, accounted_rows, usage_quantity, accounted_quantity.
    """
    # By position: two windows may be alike in everything, where '' and 'null' both said that a value is absent.
    numbered = windows_of_charges(normalized.with_row_index("row"), slices)
    rated = numbered.unique("row").select("meter", "quantity")
    accounted = pl.concat([rated, unbilled.select("meter", "quantity")])
    return _differing(
        normalized.filter(pl.col("kind") == "window")
        .group_by("meter")
        .agg(usage_rows=pl.len(), usage_quantity=pl.col("quantity").sum()),
        accounted.group_by("meter").agg(accounted_rows=pl.len(), accounted_quantity=pl.col("quantity").sum()),
        ["meter"],
        [("usage_rows", "accounted_rows"), ("usage_quantity", "accounted_quantity")],
    )


def totals_against_focus(totals: pl.LazyFrame, opening: pl.LazyFrame, focus: pl.LazyFrame) -> pl.DataFrame:
    """Charges whose FOCUS rows do not consume the day's quantity.

    Columns: charge_id, used_quantity, consumed_quantity.
    """
    used = totals.join(opening.rename({"quantity": "before"}), on="charge_id", how="left").select(
        "charge_id",
        used_quantity=pl.coalesce("quantity", pl.col("quantity_to_date") - pl.col("before").fill_null(_ZERO)),
    )
    consumed = (
        focus.filter(pl.col("ChargeCategory") == "Usage")
        .group_by(charge_id=pl.col("x_ChargeId"))
        .agg(consumed_quantity=pl.col("ConsumedQuantity").sum())
    )
    return _differing(used, consumed, ["charge_id"], [("used_quantity", "consumed_quantity")])


def fees_against_focus(fees: Sequence[Fee], focus: pl.LazyFrame) -> pl.DataFrame:
    """Flat fees of a day that are not one FOCUS row, and such rows that are no fee of the day.

    Parts of a fee that credit paid for count with the part that is left, or as one where none is.
    Columns: charge_id, due (1 where the fee is due that day), rows.
    """
    due = pl.LazyFrame([(fee.charge_id, 1) for fee in fees], schema=_DUE, orient="row")
    rows = focus.filter(pl.col("x_PriceComponent") == FLAT_FEE).group_by(charge_id=pl.col("x_ChargeId"))
    unpaid = pl.col("x_CreditGrantId").is_null().sum()
    counted = rows.agg(rows=pl.when(unpaid > 0).then(unpaid).otherwise(1))
    return _differing(due, counted, ["charge_id"], [("due", "rows")])


def focus_against_customers(
    totals: pl.LazyFrame,
    fees: Sequence[Fee],
    grants: Sequence[CreditGrant],
    focus: pl.LazyFrame,
    invoiced: Sequence[tuple[str, str]] = (),
) -> pl.DataFrame:
    """Charges with FOCUS rows of another customer than theirs: such rows would reach another's bucket.

    Columns: charge_id, customer, row_customer, rows. ``invoiced``: other ids that rows may be of, with their customers.
    """
    others = [(fee.charge_id, fee.customer.key) for fee in fees]
    others += [(grant.grant_id, grant.customer) for grant in grants]
    others += invoiced
    of_others = pl.LazyFrame(others, schema=_OWNERS, orient="row")
    owners = pl.concat([totals.select("charge_id", "customer"), of_others]).unique()
    return (
        focus.group_by(charge_id=pl.col("x_ChargeId"), row_customer=pl.col("x_CustomerKey"))
        .agg(rows=pl.len())
        .join(owners, on="charge_id", how="left")
        .filter(pl.col("customer").ne_missing(pl.col("row_customer")))
        .select("charge_id", "customer", "row_customer", "rows")
        .sort("charge_id", "row_customer")
        .collect()
    )


def _differing(
    left: pl.LazyFrame, right: pl.LazyFrame, key: list[str], pairs: list[tuple[str, str]]
) -> pl.DataFrame:
    """Rows of a full join in which a pair differs; a side that has no such row counts as zero."""
    unequal = pl.any_horizontal(pl.col(a).fill_null(0) != pl.col(b).fill_null(0) for a, b in pairs)
    return (
        left.join(right, on=key, how="full", coalesce=True)
        .filter(unequal)
        .select(*key, *(name for pair in pairs for name in pair))
        .sort(key)
        .collect()
    )
