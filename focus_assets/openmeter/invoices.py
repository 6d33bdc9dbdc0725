"""OpenMeter's invoices as entries of a catalog.

What belongs here: reading them, and which item of which subscription each line is for. What does not: what rows of the
lake say about them (``billing``).

Gathering invoices are not asked for: they are what has been used so far, computed anew by the server for each line and
question, and rows of the lake say that already. Numbers of drafts are provisional and are kept as they are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from focus_assets.catalog.invoices import Invoice, InvoiceDetail, InvoiceLine
from focus_assets.openmeter import wire_invoices_v1 as wire
from focus_assets.openmeter import wire_v1, wire_v3
from focus_assets.openmeter.errors import MalformedResponse, UnsupportedInvoice
from focus_assets.openmeter.only_v3 import subscriptions_now
from focus_assets.openmeter.server import Server
from focus_assets.openmeter.v1 import V1

BEFORE: Final = dt.timedelta(days=400)
"""How much earlier than a day an invoice may have been made that concerns it: a year's fee in advance, and a month."""

_MANUAL: Final = "manual"
_STANDARD: Final = "standard"

Items = Mapping[str, str]
"""Keys of subscription items by the id of each of their versions."""


async def invoices_now(
    server: Server,
    first_day: dt.date,
    *,
    subscriptions: Iterable[wire_v1.Subscription] = (),
    customers: Iterable[wire_v3.Customer | wire_v1.Customer] | None = None,
    linked: bool = True,
) -> tuple[Invoice, ...]:
    """Every invoice that may concern ``first_day`` or a later day, drafts and voided ones too, sorted by id.

    ``subscriptions`` and ``customers`` are those that are known already; others are asked for, but not where invoices
    need not be ``linked`` to customers and items (:func:`unlinked`). Raises OpenMeterError.
    """
    if server.v1 is None:
        raise UnsupportedInvoice(
            f"{server.transport.url} offers v3 only, and invoices are in v1. Set source.openmeter.invoices: own to let "
            "billing periods close by themselves. Nothing was written."
        )
    found = await server.v1.invoices(
        dt.datetime.combine(first_day, dt.time(), dt.UTC) - BEFORE,
    )
    keys: dict[str, str] = {}
    items: dict[str, Items] = {}
    if linked:
        if customers is None:
            customers = await server.api.customers()
        keys = {customer.id: customer.key or customer.id for customer in customers}
        items = await _items(server, server.v1, found, subscriptions)
    made = (_entry(each, keys, items) for each in found if each.deleted_at is None)
    return tuple(sorted(made, key=lambda invoice: invoice.id))


def unlinked(invoice: Invoice) -> Invoice:
    """The invoice without what other documents of the server say of it: equal where it did not change itself."""
    lines = tuple(line.model_copy(update={"item": None}) for line in invoice.lines)
    return invoice.model_copy(update={"customer": "", "lines": lines})


def _entry(invoice: wire.Invoice, customers: Mapping[str, str], items: Mapping[str, Items]) -> Invoice:
    try:
        return _invoice(invoice, customers, items)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems[:3])
        raise UnsupportedInvoice(
            f"invoice {invoice.number} ({invoice.id}) cannot be represented here: {told}. Nothing was written."
        ) from None


async def _items(
    server: Server, v1: V1, invoices: Sequence[wire.Invoice], known: Iterable[wire_v1.Subscription]
) -> dict[str, Items]:
    """By subscription, the items that lines refer to."""
    read = {each.id: each for each in known}
    named = {
        line.subscription.subscription.id
        for invoice in invoices
        for line in invoice.lines or ()
        if line.subscription is not None
    }
    missing = sorted(named - read.keys())
    for each in await subscriptions_now(server, v1, missing, {}):
        read[each.id] = each
    return {
        each.id: {
            item.id: item.key
            for phase in each.phases
            for versions in phase.item_timelines.values()
            for item in versions
            if item.id is not None
        }
        for each in read.values()
    }


def _invoice(invoice: wire.Invoice, customers: Mapping[str, str], items: Mapping[str, Items]) -> Invoice:
    place = f"invoice {invoice.number} ({invoice.id})"
    if invoice.type != _STANDARD:
        raise UnsupportedInvoice(
            f"{place} is a {invoice.type}; only invoices of type {_STANDARD} can be read yet. Set "
            "source.openmeter.invoices: own to go on without invoices. Nothing was written."
        )
    if invoice.lines is None:
        raise MalformedResponse(
            f"{place} came without lines although they were asked for. Nothing was written."
        )
    lines = [_line(line, items) for line in invoice.lines if line.deleted_at is None]
    customer = invoice.customer
    return Invoice(
        id=invoice.id,
        number=invoice.number,
        status=invoice.status,
        currency=invoice.currency,
        customer=customers.get(customer.id or "", customer.key or customer.id or ""),
        supplier=invoice.supplier.name or None,
        total=invoice.totals.total,
        tax=invoice.totals.taxes_total,
        created_at=_whole_second(invoice.created_at),
        issued_at=invoice.issued_at and _whole_second(invoice.issued_at),
        due_at=invoice.due_at and _whole_second(invoice.due_at),
        voided_at=invoice.voided_at and _whole_second(invoice.voided_at),
        lines=tuple(sorted(lines, key=lambda line: line.id)),
    )


def _line(line: wire.Line, items: Mapping[str, Items]) -> InvoiceLine:
    source, card = line.subscription, line.rate_card
    details = [_detail(each) for each in line.children or () if each.deleted_at is None]
    price = (card.price if card is not None else None) or line.price or {}
    described: dict[str, Any] = _amounts(line.totals)
    if source is not None:
        described["subscription"] = source.subscription.id
        described["item_id"] = source.item.id
        described["item"] = items.get(source.subscription.id, {}).get(source.item.id)
        described["billing_start"] = _whole_second(source.billing_period.start)
        described["billing_end"] = _whole_second(source.billing_period.end)
    return InvoiceLine(
        id=line.id,
        name=line.name,
        by_hand=line.managed_by == _MANUAL,
        start=_whole_second(line.period.start),
        end=_whole_second(line.period.end),
        feature=(card.feature_key if card is not None else None) or line.feature_key,
        is_fee=price.get("type") == "flat",
        metered=line.metered_quantity,
        metered_before=line.metered_pre_line_period_quantity,
        # In the order of the price's components, which is that of the server.
        details=tuple(details),
        **described,
    )


def _detail(detail: wire.DetailedLine) -> InvoiceDetail:
    card = detail.rate_card
    price = (card.price if card is not None else None) or {}
    stated = price.get("amount")
    return InvoiceDetail(
        id=detail.id,
        name=detail.name,
        category=detail.category,
        quantity=detail.quantity if card is None or card.quantity is None else card.quantity,
        unit_price=detail.per_unit_amount if stated is None else stated,
        **_amounts(detail.totals),
    )


def _amounts(totals: wire.Totals) -> dict[str, Decimal]:
    return {
        "net": totals.total - totals.taxes_total + totals.credits_total,
        "tax": totals.taxes_total,
        "tax_included": totals.taxes_inclusive_total,
        "credits": totals.credits_total,
    }


def _whole_second(instant: dt.datetime) -> dt.datetime:
    """OpenMeter cuts the bounds of periods to the second."""
    return instant.replace(microsecond=0)
