"""Why a row that an imported invoice adds is there: x_AdjustmentReason, and how a line's is told.

What belongs here: the reasons, and which of them a line has whose rows differ by more than rounding. What does not: the
rows (``billed_rows``) and what is an error (``billed_lines``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.billing.bills import Bill
from focus_assets.billing.credit_allocation import CREDIT_ALLOCATION, allocated_otherwise
from focus_assets.billing.rounding import ROUNDING
from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.credit_charges import CreditCharge

INCLUDED_TAX: Final = "included_tax"
LATE_USAGE: Final = "late_usage"
ADDED_BY_HAND: Final = "added_by_hand"
EDITED_BY_HAND: Final = "edited_by_hand"
UNEXPLAINED: Final = "unexplained"

TOLD: Final = {
    ROUNDING: "Rounding of the invoice line, ",
    INCLUDED_TAX: "Tax included in the price, ",
    LATE_USAGE: "Usage that came too late to be billed, ",
    EDITED_BY_HAND: "Invoice line edited by hand, ",
    CREDIT_ALLOCATION: "Credit that the invoice allocates otherwise, ",
    UNEXPLAINED: "Difference to the invoice line, ",
}
"""What stands before the line's own description."""


def reasons_of(bills: Sequence[Bill], used: pl.DataFrame, start: dt.date) -> dict[str, str]:
    """By line, why it may differ by more than rounding."""
    late, others = late_quantities(bills, used), allocated_otherwise(bills, used, start)
    return {bill.line.id: _reason(bill, late, others) for bill in bills}


def _reason(bill: Bill, late: Mapping[str, Decimal], others: Collection[str]) -> str:
    if bill.line.id in others:
        return CREDIT_ALLOCATION
    if bill.line.id in late:
        return LATE_USAGE
    if isinstance(bill.last, CreditCharge):
        # Credit is bought by hand, and nobody can edit a line of it.
        return UNEXPLAINED
    return EDITED_BY_HAND if bill.line.by_hand else UNEXPLAINED


def late_quantities(bills: Sequence[Bill], used: pl.DataFrame) -> dict[str, Decimal]:
    """By line, how much more was metered than was frozen for it; lines that say nothing of it are left out."""
    sums = used.group_by("_line").agg(pl.col("ConsumedQuantity").sum())
    consumed = dict(sums.iter_rows())
    found = {}
    for bill in bills:
        frozen = bill.line.metered
        if frozen is not None and isinstance(bill.last, ChargeSlice):
            late = Decimal(consumed.get(bill.line.id) or 0) - frozen
            if late != 0:
                found[bill.line.id] = late
    return found
