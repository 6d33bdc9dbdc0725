"""Imported invoices by the billing periods that they bill.

What belongs here: which periods an invoice of a day's catalog has rows of, and when those of an account are all
issued. What does not: the rows (``billed_rows``), and what that says of a day's own charges (``bills``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

from focus_assets.billing.bills import closed_periods
from focus_assets.billing.close import ClosedPeriod
from focus_assets.billing.invoice_rows import billing_of
from focus_assets.catalog.invoices import Invoice, InvoiceLine
from focus_assets.catalog.models import Customer
from focus_assets.catalog.periods import Period
from focus_assets.catalog.snapshot import Catalog


class PeriodInvoice(NamedTuple):
    """An invoice of OpenMeter in one of the billing periods that it bills: its id there, and its number."""

    period: ClosedPeriod
    id: str
    number: str


def issued_invoices(catalog: Catalog) -> list[PeriodInvoice]:
    """What is issued, sorted; what was voided since is not."""
    return _by_period((invoice for invoice in catalog.invoices if invoice.is_issued), catalog)


def voided_invoices(catalog: Catalog) -> list[PeriodInvoice]:
    """What nobody has to pay any more, sorted."""
    return _by_period((invoice for invoice in catalog.invoices if invoice.is_voided), catalog)


def lines_of(catalog: Catalog, period: ClosedPeriod) -> list[tuple[Invoice, InvoiceLine]]:
    """What invoices bill of an account's period in its currency; those that were voided bill nothing."""
    customers = {customer.key for customer in catalog.customers if customer.account_id == period.account}
    return [
        (invoice, line)
        for invoice in catalog.invoices
        if not invoice.is_voided and invoice.currency == period.currency and invoice.customer in customers
        for line in invoice.lines
        if line.billing == Period(period.start, period.end)
    ]


def closed_at(catalog: Catalog, period: ClosedPeriod, as_of: dt.datetime) -> dt.datetime | None:
    """When the last invoice of a period was issued; None while it has none, or one is missing or a draft."""
    invoices = [invoice for invoice, _ in lines_of(catalog, period)]
    closed = closed_periods(catalog, as_of) if invoices else set()
    if not invoices or any((each.customer, period.start, period.end) not in closed for each in invoices):
        return None
    return max(each.issued_at or each.created_at for each in invoices)


def _by_period(invoices: Iterable[Invoice], catalog: Catalog) -> list[PeriodInvoice]:
    found = set()
    for invoice in invoices:
        customer = catalog.customer.get(invoice.customer) or Customer(key=invoice.customer or invoice.id)
        for line in (*invoice.lines, None):
            billing = billing_of(invoice, line, catalog)
            period = ClosedPeriod(customer.account_id, billing.start, billing.end, invoice.currency)
            found.add(PeriodInvoice(period, invoice.id, invoice.number))
    return sorted(found)
