"""Credit of the settings that an imported invoice spreads otherwise over its lines than it is used day by day.

What belongs here: which lines that is, and whether it comes to nothing over the whole invoice. What does not: the rows
(``billed_rows``). Here credit pays for what is used first; OpenMeter pays one line after the other. The customer is
asked for the same, so it is no error; that credit was used that the settings do not know, or not used, is one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.billing.bills import Bill
from focus_assets.billing.paid_in_advance import IS_COVERED
from focus_assets.catalog.charges import midnight
from focus_assets.catalog.credit_charges import money_for_one
from focus_assets.catalog.invoices import Invoice
from focus_assets.decimals import EXACT, minor_unit

CREDIT_ALLOCATION: Final = "credit_allocation"


def allocated_otherwise(bills: Sequence[Bill], used: pl.DataFrame, start: dt.date) -> set[str]:
    """Lines that differ from their rows in nothing but how much credit pays for them.

    Only lines of invoices that have others, which are all known here: what is more on one line has to be less on
    others, and ``billed_lines`` holds the whole of each such invoice against it.
    """
    found = set()
    for bill in bills:
        own = used.filter(pl.col("_line") == bill.line.id, pl.col("ChargeCategory") != "Adjustment")
        paid = _credit_of(own, money_for_one(bill.last))
        if _credits_add_up(bill.invoice, start) and (paid != 0 or bill.line.credits + bill.prepaid != 0):
            billed = sum(own["BilledCost"].to_list(), Decimal(0))
            rounding = minor_unit(bill.invoice.currency) / 2 * (sum(bill.roundings.values()) + 1)
            if abs(bill.line.net + bill.prepaid - billed - paid) <= rounding:
                found.add(bill.line.id)
    return found


def _credit_of(rows: pl.DataFrame, rate: Decimal) -> Decimal:
    """What credit of the settings pays of ``rows``; ``rate``: the money for one of what prices are in."""
    covered = rows.filter(IS_COVERED)
    money = covered.filter(pl.col("PricingCurrency") == pl.col("BillingCurrency"))["EffectiveCost"]
    priced = covered.filter(pl.col("PricingCurrency") != pl.col("BillingCurrency"))
    given = rows.filter(pl.col("ChargeCategory") == "Credit")["BilledCost"]
    amounts = [*money.to_list(), *(-each for each in given.to_list())]
    amounts += [EXACT.multiply(each, rate) for each in priced["PricingCurrencyEffectiveCost"].to_list()]
    return sum(amounts, Decimal(0))


def _credits_add_up(invoice: Invoice, start: dt.date) -> bool:
    """Whether credit may stand on other lines of ``invoice`` than here, because all of them are compared."""
    asked = [line for line in invoice.lines if line.net != 0]
    return len(asked) > 1 and all(line.start >= midnight(start) for line in invoice.lines)


def credit_elsewhere(rows: pl.LazyFrame) -> pl.DataFrame:
    """By x_OpenMeterInvoiceId, what lines state otherwise than the settings in all (``elsewhere``), and ``lines``.

    Invoices of which no line is :data:`CREDIT_ALLOCATION` are left out. Of a line that the settings do not pay at all
    the credit that it states counts.
    """
    moved = pl.col("x_AdjustmentReason") == CREDIT_ALLOCATION
    stated = (pl.col("ChargeCategory") == "Credit") & pl.col("x_CreditGrantId").is_null()
    return (
        rows.filter(moved | stated)
        .group_by("x_OpenMeterInvoiceId")
        .agg(
            pl.col("BilledCost").sum().alias("elsewhere"),
            pl.len().alias("lines"),
            moved.any().alias("_moved"),
        )
        .filter("_moved")
        .drop("_moved")
        .collect()
    )
