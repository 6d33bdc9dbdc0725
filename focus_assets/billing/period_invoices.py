"""Imported invoices by the billing periods that they bill.

What belongs here: which periods an invoice of a day's catalog has rows of. What does not: the rows (``billed_rows``)
and when a period closes (``bills``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from focus_assets.billing.close import ClosedPeriod
from focus_assets.billing.invoice_rows import billing_of
from focus_assets.catalog.invoices import Invoice
from focus_assets.catalog.models import Customer
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


def _by_period(invoices: Iterable[Invoice], catalog: Catalog) -> list[PeriodInvoice]:
    found = set()
    for invoice in invoices:
        customer = catalog.customer.get(invoice.customer) or Customer(key=invoice.customer or invoice.id)
        for line in (*invoice.lines, None):
            billing = billing_of(invoice, line, catalog)
            period = ClosedPeriod(customer.account_id, billing.start, billing.end, invoice.currency)
            found.add(PeriodInvoice(period, invoice.id, invoice.number))
    return sorted(found)
