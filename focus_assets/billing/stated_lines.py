"""What imported invoices state, line by line: rows of the dataset Invoice Detail, and what charges are held against.

What belongs here: the lines of a day, issued and voided. What does not: which charge a line bills (``bills``) and the
lines of periods that close by themselves (``invoices``).

A line is stated on the day that its rows are settled, tax and credits as lines of their own: what is stated adds up to
the invoice's total. A line that nothing explains, or that was voided, is stated on the day that it is booked on.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from focus_assets.billing.bills import Bill, unexplained_on
from focus_assets.billing.datasets import INVOICE_DETAILS
from focus_assets.billing.invoice_rows import base_row, billing_of, credit_id, tax_id
from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.invoices import Invoice, InvoiceLine
from focus_assets.catalog.periods import Period
from focus_assets.catalog.snapshot import Catalog
from focus_assets.settings import BillingSettings


@dataclass(frozen=True)
class StatedLine:
    """An amount that an invoice states: a detailed line, or the tax or credits of a line.

    ``bill``: what it bills, where a charge, fee or purchase of credit explains it.
    """

    invoice: Invoice
    line: InvoiceLine | None
    id: str
    description: str
    category: str
    amount: Decimal
    billing: Period
    bill: Bill | None = None


def stated_on(catalog: Catalog, bills: Sequence[Bill], day: dt.date, start: dt.date) -> list[StatedLine]:
    """Every amount that is stated on ``day``, by invoice and id."""
    found = [*_of_bills(bills, start), *_unexplained(catalog, day), *_voided(catalog, day)]
    return sorted(found, key=lambda each: (each.invoice.number, each.id))


def _of_bills(bills: Sequence[Bill], start: dt.date) -> Iterator[StatedLine]:
    for bill in bills:
        if bill.settles(start):
            category = "Usage" if isinstance(bill.last, ChargeSlice) else "Purchase"
            for detail in bill.details:
                name = detail.name or bill.line.name
                yield StatedLine(
                    bill.invoice, bill.line, detail.id, name, category, detail.net, bill.last.billing, bill
                )
            yield from _beside(bill.invoice, bill.line, bill.last.billing, bill)


def _unexplained(catalog: Catalog, day: dt.date) -> Iterator[StatedLine]:
    for invoice, line in unexplained_on(catalog, day):
        billing = billing_of(invoice, line, catalog)
        yield StatedLine(invoice, line, line.id, line.name, "Adjustment", line.net, billing)
        yield from _beside(invoice, line, billing)
    for invoice in catalog.invoices:
        if invoice.is_issued and invoice.created_at.date() == day:
            billing = billing_of(invoice, None, catalog)
            tax, rest = invoice.tax_beside_lines, invoice.rest_beside_lines
            if tax != 0:
                yield StatedLine(invoice, None, tax_id(invoice.id), "Tax", "Tax", tax, billing)
            if rest != 0:
                named = f"Invoice {invoice.number}, beside its lines"
                yield StatedLine(invoice, None, invoice.id, named, "Adjustment", rest, billing)


def _voided(catalog: Catalog, day: dt.date) -> Iterator[StatedLine]:
    for invoice in catalog.invoices:
        for line in invoice.lines if invoice.is_voided else ():
            if invoice.booked_on(line) == day:
                billing = billing_of(invoice, line, catalog)
                yield StatedLine(invoice, line, line.id, line.name, "Usage", line.net, billing)
                yield from _beside(invoice, line, billing)


def _beside(
    invoice: Invoice, line: InvoiceLine, billing: Period, bill: Bill | None = None
) -> Iterator[StatedLine]:
    if line.tax != 0:
        name = f"Tax, {line.name}"
        yield StatedLine(invoice, line, tax_id(line.id), name, "Tax", line.tax, billing, bill)
    if line.credits != 0:
        name = f"Credit, {line.name}"
        yield StatedLine(invoice, line, credit_id(line.id), name, "Credit", -line.credits, billing, bill)


def detail_rows(stated: Sequence[StatedLine], catalog: Catalog, terms: BillingSettings) -> pl.LazyFrame:
    """:data:`~focus_assets.billing.datasets.INVOICE_DETAILS` of ``stated``; ``terms``: what is said of payment."""
    rows = [_row(each, catalog, terms) for each in stated]
    return pl.LazyFrame(rows, schema=INVOICE_DETAILS.schema, orient="row").sort(INVOICE_DETAILS.order)


def _row(stated: StatedLine, catalog: Catalog, terms: BillingSettings) -> dict[str, Any]:
    invoice = stated.invoice
    base = base_row(invoice, stated.line, catalog)
    issued = invoice.issued_at or invoice.created_at
    days = terms.payment_days
    due = invoice.due_at or (None if days is None else issued + dt.timedelta(days=days))
    grain = json.dumps({"x_InvoiceDetailId": stated.id}, separators=(",", ":"), ensure_ascii=False)
    row: dict[str, Any] = {
        "BilledCost": stated.amount,
        "BillingAccountId": base["BillingAccountId"],
        "BillingCurrency": invoice.currency,
        "BillingPeriodEnd": stated.billing.end,
        "BillingPeriodStart": stated.billing.start,
        "ChargeCategory": stated.category,
        "InvoiceDetailCreated": issued,
        "InvoiceDetailDescription": stated.description,
        "InvoiceDetailGrain": grain,
        "InvoiceDetailId": stated.id,
        "InvoiceDetailLastUpdated": invoice.voided_at or issued,
        "InvoiceId": invoice.number,
        "InvoiceIssueDate": issued,
        "InvoiceIssueStatus": "Voided" if invoice.is_voided else "Issued",
        "InvoiceIssuerName": base["InvoiceIssuerName"],
        "PaymentCurrency": invoice.currency,
        "PaymentCurrencyBilledCost": stated.amount,
        "PaymentCurrencyInvoiceDetailId": stated.id,
        "PaymentDueDate": due,
        "PaymentTerms": terms.payment_terms,
        "PurchaseOrderNumber": None,
        "ReferenceInvoiceId": invoice.number,
        "x_CustomerKey": base["x_CustomerKey"],
    }
    return {name: row[name] for name in INVOICE_DETAILS.schema}
