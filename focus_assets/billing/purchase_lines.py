"""Lines of imported invoices that ask for credit that was bought, and the grants of the settings that they are for.

What belongs here: matching. What does not: what rows and lines then say (``billed_rows``, ``stated_lines``).

OpenMeter puts credit with the funding method ``invoice`` on the invoice of the moment at which it takes effect: a fee
of no subscription whose period is empty. Lines do not name the grant. So a line is that of a grant of the same
customer, currency and instant; where there are several, of one that costs as much.
Source: OpenMeter ``billing/creditgrant/service``, ``charges/creditpurchase/service/create.go``.
"""

from __future__ import annotations

from collections.abc import Iterator

from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.invoices import Invoice, InvoiceLine
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import minor_unit, round_amount

INVOICED = "invoice"
"""The funding method of credit that is on an invoice; ``external`` was paid elsewhere and is on none."""

Asked = tuple[Invoice, InvoiceLine]


def purchase_lines(catalog: Catalog, customer: str) -> dict[str, Asked]:
    """By grant id, the line that asks for what a customer bought; those of voided invoices ask for nothing."""
    found: dict[str, Asked] = {}
    grants = [g for g in catalog.credits if g.customer == customer and g.funding_method == INVOICED]
    lines = sorted(_lines(catalog, customer), key=lambda asked: (asked[0].created_at, asked[1].id))
    for of_equal_cost in (True, False):
        for grant in sorted(grants, key=lambda grant: grant.key):
            for asked in lines if grant.grant_id not in found else ():
                if _is_for(grant, asked, catalog) and (_costs(grant, asked) or not of_equal_cost):
                    found[grant.grant_id] = asked
                    lines.remove(asked)
                    break
    return found


def asks_for_credit(catalog: Catalog, invoice: Invoice, line: InvoiceLine) -> bool:
    """Whether a line is for credit of the settings."""
    if not _is_purchase(line) or invoice.customer not in catalog.customer:
        return False
    return any(each.id == line.id for _, each in purchase_lines(catalog, invoice.customer).values())


def _lines(catalog: Catalog, customer: str) -> Iterator[Asked]:
    for invoice in catalog.invoices_of.get(customer, ()):
        for line in () if invoice.is_voided else invoice.lines:
            if _is_purchase(line):
                yield invoice, line


def _is_purchase(line: InvoiceLine) -> bool:
    return line.is_fee and line.subscription is None and line.start == line.end


def _is_for(grant: CreditGrant, asked: Asked, catalog: Catalog) -> bool:
    invoice, line = asked
    currency = grant.paid_in or catalog.defaults.currency
    return line.start == grant.effective_at and invoice.currency == currency


def _costs(grant: CreditGrant, asked: Asked) -> bool:
    invoice, line = asked
    return line.net == round_amount(grant.price, minor_unit(invoice.currency))
