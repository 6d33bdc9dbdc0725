"""Slices of a day with everything that rating them takes.

What belongs here: asking the kernel for slices and fees of a catalog. What does not: which usage there is
(``usage.rateable``) and what becomes of rated lines (``focus``).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.fees import Fee
from focus_assets.rating import conversion_table, fee_lines, limit_table, price_table, rate, slice_table
from focus_assets.usage.rateable import earlier_usage


def rated_day(
    usage: pl.LazyFrame,
    opening: pl.LazyFrame,
    before: pl.LazyFrame,
    slices: Sequence[ChargeSlice],
    fees: Sequence[Fee] = (),
    splits: pl.LazyFrame | None = None,
    unbilled: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """The rated lines of some slices of a day, and of its fees.

    Args:
        usage: of these slices, as :func:`~focus_assets.usage.rateable.rateable_usage` gives it.
        opening: what charges had used before the day.
        before: ``usage_totals`` of the earlier days of these charges.
        slices: the slices.
        fees: the fees.
        splits: parts in which invoices bill charges.
        unbilled: how much of earlier parts and billing periods nobody bills.
    """
    return rate(
        usage,
        opening,
        slice_table(slices),
        price_table(slices),
        limit_table(slices),
        conversion_table(slices),
        earlier_usage(before),
        splits,
        fees=fee_lines(fees) if fees else None,
        unbilled=unbilled,
    )
