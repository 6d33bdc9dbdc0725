"""The columns of a row that an invoice asks for and no charge explains.

What belongs here: such a row without its amounts. What does not: which rows there are (``billed_rows``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from focus_assets.catalog.invoices import Invoice, InvoiceLine
from focus_assets.catalog.models import Customer
from focus_assets.catalog.periods import Cadence, Period
from focus_assets.catalog.plans import billing_cadence
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.columns import own_columns
from focus_assets.focus.dimensions import Resolution, resolve
from focus_assets.focus.schema import internal_schema
from focus_assets.focus.settable import SETTABLE
from focus_assets.focus.tags import tags_of_customer
from focus_assets.focus.unpriced import OF_ONE_BUYER, PRICE_OF_SKU, WITHOUT_PRICE
from focus_assets.rating.lines import CREDIT_COMPONENT

INVOICE_LINE: Final = "invoice_line"
"""PriceComponent of what an invoice asks for and no charge explains."""

TAX: Final = "tax"
"""PriceComponent of tax."""

WITHOUT_SKU: Final = (*WITHOUT_PRICE, *PRICE_OF_SKU, "HostProviderName", "SkuId", "SkuMeter")

_MONTHLY: Final = Cadence.parse("P1M")
_BEGINNING: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


def base_row(invoice: Invoice, line: InvoiceLine | None, catalog: Catalog) -> dict[str, Any]:
    """What every such row says: the customer's columns, and of the vendor's those of what the customer buys."""
    schema = internal_schema()
    customer = catalog.customer.get(invoice.customer) or Customer(key=invoice.customer or invoice.id)
    period = line.period if line is not None else _one_second(invoice.created_at)
    billing = billing_of(invoice, line, catalog)
    row: dict[str, Any] = {**dict.fromkeys(schema), **_columns(customer, catalog)}
    for entry in own_columns():
        row[entry.id] = None
    return (
        row
        | dict.fromkeys(WITHOUT_SKU)
        | {
            "BillingAccountId": customer.account_id,
            "BillingAccountName": customer.title,
            "BillingAccountType": "Customer",
            "BillingCurrency": invoice.currency,
            "BillingPeriodStart": billing.start,
            "BillingPeriodEnd": billing.end,
            "ChargeFrequency": "One-Time",
            "ChargePeriodStart": period.start,
            "ChargePeriodEnd": max(period.end, period.start + dt.timedelta(seconds=1)),
            "InvoiceId": invoice.number,
            "InvoiceIssuerName": invoice.supplier or row["InvoiceIssuerName"],
            "PricingCurrency": invoice.currency,
            "Tags": tags_of_customer(customer, catalog.defaults),
            "x_ChargeId": line.id if line is not None else invoice.id,
            "x_CustomerKey": customer.key,
            "x_FeatureKey": line.feature if line is not None else None,
            "x_IsEstimated": False,
            "x_OpenMeterInvoiceId": invoice.id,
            "x_PriceComponent": INVOICE_LINE,
            "x_SubscriptionKey": line.subscription if line is not None else None,
        }
    )


def _one_second(instant: dt.datetime) -> Period:
    return Period(instant, instant + dt.timedelta(seconds=1))


def billing_of(invoice: Invoice, line: InvoiceLine | None, catalog: Catalog) -> Period:
    """The line's own, else that of the invoice's other lines, of the customer's subscription, the month."""
    if line is not None and line.billing is not None:
        return line.billing
    others = sorted((each.billing for each in invoice.lines if each.billing), key=lambda p: (p.start, p.end))
    if others:
        return others[0]
    instant = min(line.last_second, invoice.created_at) if line else invoice.created_at
    for subscription in sorted(catalog.subscriptions, key=lambda s: s.key):
        if subscription.customer == invoice.customer and subscription.is_active_at(instant):
            plan = catalog.plan[subscription.plan] if subscription.plan else None
            return billing_cadence(plan, subscription).period_at(subscription.anchor, instant)
    return _MONTHLY.period_at(_BEGINNING, instant)


def _columns(customer: Customer, catalog: Catalog) -> Mapping[str, str | None]:
    """Settable columns as the customer and the defaults say, else as the first thing that is sold says."""
    resolution = resolve(catalog)
    found: dict[str, str | None] = {}
    for column in SETTABLE:
        own = column in customer.dimensions
        found[column] = customer.dimensions[column] if own else _said(column, resolution)
    for column, settable in SETTABLE.items():
        if found[column] is None and settable.follows in found and column not in customer.dimensions:
            found[column] = found[str(settable.follows)]
        if settable.describes is not None and found[settable.describes] is None:
            found[column] = None
    return {**found, **dict.fromkeys(OF_ONE_BUYER)}


def _said(column: str, resolution: Resolution) -> str | None:
    texts = [answer.text for (_, name), answer in sorted(resolution.answers.items()) if name == column]
    texts += [fee[column].text for _, fee in sorted(resolution.fees.items(), key=lambda each: repr(each[0]))]
    return next((text for text in texts if text is not None), None)


def tax_text(detail: str, name: str) -> dict[str, Any]:
    """What a row of tax says of itself."""
    return {
        "ChargeCategory": "Tax",
        "ChargeDescription": f"Tax, {name}",
        "InvoiceDetailId": tax_id(detail),
        "x_PriceComponent": TAX,
    }


def credit_text(detail: str, name: str) -> dict[str, Any]:
    """What a row of the credits of a line says of itself."""
    return {
        "ChargeCategory": "Credit",
        "ChargeDescription": f"Credit, {name}",
        "InvoiceDetailId": credit_id(detail),
        "x_PriceComponent": CREDIT_COMPONENT,
    }


def tax_id(detail: str) -> str:
    """InvoiceDetailId of the tax of a line."""
    return f"{detail}/{TAX}"


def credit_id(detail: str) -> str:
    """InvoiceDetailId of the credits of a line."""
    return f"{detail}/{CREDIT_COMPONENT}"
