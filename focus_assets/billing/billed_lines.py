"""Holding rows against imported invoices: each stated amount beside the rows that name it, and each invoice's total.

What belongs here: the comparison. What does not: what is stated (``stated_lines``) and that of periods that close by
themselves (``reconcile``). Adjustments that nothing explains do not count: without them rows are what usage, prices and
rounding come to, and what is then missing is the finding.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl

from focus_assets.billing.adjustment_reasons import LATE_USAGE, UNEXPLAINED, late_quantities
from focus_assets.billing.billed_rows import rows_of_bills
from focus_assets.billing.bills import Bill
from focus_assets.billing.credit_allocation import CREDIT_ALLOCATION, credit_elsewhere
from focus_assets.billing.reconcile import LINES
from focus_assets.billing.rounding import ROUNDING
from focus_assets.billing.stated_lines import StatedLine
from focus_assets.catalog.charges import ChargeSlice, midnight
from focus_assets.catalog.invoices import Invoice
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import minor_unit

TOTAL: Final = "total"
"""Stands for InvoiceDetailId where an invoice as a whole is wrong."""

_KEY: Final = ("x_OpenMeterInvoiceId", "InvoiceDetailId")
_ZERO: Final = Decimal(0)
_SECOND: Final = dt.timedelta(seconds=1)


def reconciled_with_invoices(
    rows: pl.LazyFrame, details: pl.LazyFrame, stated: Sequence[StatedLine]
) -> pl.DataFrame:
    """:data:`~focus_assets.billing.reconcile.LINES` of what issued invoices state, sorted.

    Args:
        rows: rows of Cost and Usage of all days of these lines; others may be among them.
        details: rows of Invoice Detail.

    ``reference`` is the invoice's own amount. Usage that came after its quantity was frozen is in ``note``.
    """
    issued = [each for each in stated if each.invoice.is_issued]
    if not issued:
        return pl.DataFrame(schema=LINES)
    reason = pl.col("x_AdjustmentReason")
    sums = (
        rows.filter(pl.col("x_OpenMeterInvoiceId").is_in(sorted({each.invoice.id for each in issued})))
        .group_by(_KEY)
        .agg(
            pl.col("BilledCost").sum().alias("charged"),
            *(
                pl.col("BilledCost").filter(reason == name).sum().alias(name)
                for name in (ROUNDING, LATE_USAGE, CREDIT_ALLOCATION, UNEXPLAINED)
            ),
        )
        .collect()
    )
    charged = {(row["x_OpenMeterInvoiceId"], row["InvoiceDetailId"]): row for row in sums.to_dicts()}
    said = details.select("InvoiceId", "InvoiceDetailId", "BilledCost").collect()
    told = {(number, detail): cost for number, detail, cost in said.iter_rows()}
    bills = {each.bill.line.id: each.bill for each in issued if each.bill is not None}
    late = _late(rows, list(bills.values()))
    found = [
        _line(
            each, charged.get((each.invoice.id, each.id), {}), told.get((each.invoice.number, each.id)), late
        )
        for each in issued
    ]
    return pl.DataFrame(found, schema=LINES, orient="row").sort("InvoiceId", "InvoiceDetailId")


def _line(
    stated: StatedLine, charged: dict[str, Any], told: Decimal | None, late: dict[str, str]
) -> dict[str, Any]:
    total = charged.get("charged", _ZERO)
    explained = total - charged.get(UNEXPLAINED, _ZERO)
    difference = explained - stated.amount
    finding = None
    if abs(difference) > minor_unit(stated.invoice.currency) / 2:
        finding = "usage and prices do not explain the line of OpenMeter's invoice"
    elif total != stated.amount:
        finding = "its rows do not add up to the line of OpenMeter's invoice"
    elif told != stated.amount:
        finding = "Invoice Detail does not state the line of OpenMeter's invoice"
    unbilled = -charged.get(LATE_USAGE, _ZERO)
    elsewhere = charged.get(CREDIT_ALLOCATION, _ZERO)
    note = None
    if elsewhere != 0:
        how = "less" if elsewhere > 0 else "more"
        note = f"{abs(elsewhere).normalize():f} {how} of the credit than here is allocated to it"
    bill = stated.bill
    if bill is not None and (unbilled != 0 or (bill.line.id in late and bill.details[0].id == stated.id)):
        much = late.get(bill.line.id, "usage")
        cost = f": {unbilled.normalize():f} not billed" if unbilled != 0 else " and are not billed"
        note = f"{much} came after the quantity was frozen{cost}"
        if unbilled < 0:
            note = f"{-unbilled.normalize():f} is for usage that came after an earlier line was frozen"
    return {
        "InvoiceId": stated.invoice.number,
        "InvoiceDetailId": stated.id,
        "BillingPeriodStart": stated.billing.start,
        "BillingCurrency": stated.invoice.currency,
        "reference": stated.amount,
        "stated": told if told is not None else _ZERO,
        "charged": total,
        "rounding": charged.get(ROUNDING, _ZERO),
        "difference": difference,
        "finding": finding,
        "note": note,
    }


def _late(rows: pl.LazyFrame, bills: Sequence[Bill]) -> dict[str, str]:
    """By line, how much came after its quantity was frozen, such as ``7 Requests``."""
    if not bills:
        return {}
    used = rows_of_bills(rows, bills).collect()
    late = late_quantities(bills, used)
    return {
        bill.line.id: f"{late[bill.line.id].normalize():f} {bill.last.charge.meter.unit}"
        for bill in bills
        if bill.line.id in late and isinstance(bill.last, ChargeSlice)
    }


def complete_on(invoice: Invoice) -> dt.date:
    """The day by which all rows of an invoice are there: its usage is over, its fees are due, it was made."""
    ends = [line.start if line.is_fee else line.end - _SECOND for line in invoice.lines if line.subscription]
    return max([invoice.created_at, *ends]).date()


def complete_invoices(catalog: Catalog, day: dt.date, start: dt.date) -> list[Invoice]:
    """Issued invoices whose last rows are those of ``day``; none that bills something before ``start``."""
    return [
        invoice
        for invoice in catalog.invoices
        if invoice.is_issued
        and complete_on(invoice) == day
        and all(line.start >= midnight(start) for line in invoice.lines)
    ]


def totals_that_differ(rows: pl.LazyFrame, invoices: Sequence[Invoice]) -> pl.DataFrame:
    """:data:`~focus_assets.billing.reconcile.LINES`, one for each invoice whose rows do not come to its total.

    Also where they only do because credit that the settings do not have, or have used up, stands on a line.
    """
    if not invoices:
        return pl.DataFrame(schema=LINES)
    ids = sorted(invoice.id for invoice in invoices)
    sums = (
        rows.filter(pl.col("x_OpenMeterInvoiceId").is_in(ids))
        .group_by("x_OpenMeterInvoiceId")
        .agg(pl.col("BilledCost").sum(), pl.col("BillingPeriodStart").min())
        .collect()
    )
    charged = {found: (cost, start) for found, cost, start in sums.iter_rows()}
    elsewhere = credit_elsewhere(rows.filter(pl.col("x_OpenMeterInvoiceId").is_in(ids)))
    credit = {found: (cost, lines) for found, cost, lines in elsewhere.iter_rows()}
    wrong = []
    for invoice in invoices:
        first = min((line.start for line in invoice.lines), default=invoice.created_at)
        cost, start = charged.get(invoice.id, (_ZERO, first))
        more, lines = credit.get(invoice.id, (_ZERO, 0))
        finding = None
        if cost != invoice.total:
            finding = "the rows of this InvoiceId do not add up to the total of OpenMeter's invoice"
        elif abs(more) > minor_unit(invoice.currency) * lines:
            finding = "the credit that its lines state in all is not what the settings pay of them"
        if finding is not None:
            wrong.append(
                {
                    "InvoiceId": invoice.number,
                    "InvoiceDetailId": TOTAL,
                    "BillingPeriodStart": start,
                    "BillingCurrency": invoice.currency,
                    "reference": invoice.total,
                    "stated": invoice.total,
                    "charged": cost,
                    "rounding": _ZERO,
                    "difference": cost - invoice.total or -more,
                    "finding": finding,
                    "note": None,
                }
            )
    return pl.DataFrame(wrong, schema=LINES, orient="row")
