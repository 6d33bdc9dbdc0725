"""What a day of FOCUS rows holds of each billing month, and the texts of amounts.

What belongs here: sums that are stored beside data. What does not: comparing them with the data (``verify``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import polars as pl

from focus_assets.errors import FocusAssetsError

BILLING_MONTHS: Final = "billing_months"
INVOICED: Final = "invoiced"
UNTIL: Final = "until"


class BillingMonthUnknown(FocusAssetsError):
    """A FOCUS row without BillingPeriodStart belongs to no billing month, so it could never be delivered."""


def billing_month_of_row() -> pl.Expr:
    """The billing month, such as ``2026-08``, of each row: the UTC month of its BillingPeriodStart."""
    return pl.col("BillingPeriodStart").dt.convert_time_zone("UTC").dt.strftime("%Y-%m")


def billing_month_facts(frame: pl.LazyFrame) -> dict[str, Any]:
    """Rows and billed cost of each billing month in ``frame``, for the facts of a lake partition.

    ``frame`` needs BillingPeriodStart and BillingPeriodEnd (UTC instants), BillingCurrency, BilledCost and
    x_IsEstimated. The result is ``{"billing_months": {"2026-08": {"rows": 3, "billed_cost": {"USD": "1.5"}}}}``,
    sorted by month and currency; with ``"invoiced": 2`` where so many of the rows are no estimates any more, and
    ``"until": "2026-09-14"`` where a billing period of theirs goes on after the calendar month, until the end of that
    day. Raises :class:`BillingMonthUnknown` where a row has no BillingPeriodStart.
    """
    sums = (
        frame.group_by(billing_month_of_row().alias("month"), pl.col("BillingCurrency").alias("currency"))
        .agg(
            pl.len().alias("rows"),
            pl.col("BilledCost").sum().alias("cost"),
            pl.col("x_IsEstimated").eq_missing(False).sum().alias(INVOICED),
            _last_day(pl.col("BillingPeriodEnd").max()).alias(UNTIL),
        )
        .sort("month", "currency")
        .collect(engine="streaming")
    )
    months: dict[str, Any] = {}
    for month, currency, rows, cost, invoiced, until in sums.iter_rows():
        if month is None:
            raise BillingMonthUnknown(
                f"{rows} rows have no BillingPeriodStart, so they belong to no billing month; "
                "every FOCUS row needs one. The day was not recorded."
            )
        entry = months.setdefault(month, {"rows": 0, "billed_cost": {}})
        entry["rows"] += rows
        if invoiced:
            entry[INVOICED] = entry.get(INVOICED, 0) + invoiced
        if until is not None and f"{until:%Y-%m}" > month:
            entry[UNTIL] = max(entry.get(UNTIL, ""), f"{until:%F}")
        entry["billed_cost"][str(currency)] = decimal_text(cost)
    return {BILLING_MONTHS: months}


def until_of(entry: Mapping[str, Any]) -> dt.date | None:
    """The last day of billing periods that go on after their calendar month, by what a day says of that month."""
    said = entry.get(UNTIL)
    return None if said is None else dt.date.fromisoformat(said)


def _last_day(end: pl.Expr) -> pl.Expr:
    return end.dt.convert_time_zone("UTC").dt.offset_by("-1us").dt.date()


def decimal_text(value: Decimal) -> str:
    """``value`` in plain notation without trailing zeros, such as ``-0.5``; equal values have equal texts."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
