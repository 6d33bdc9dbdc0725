"""Imported invoices and a day's charges: which line bills what, and which lines nothing explains.

What belongs here: matching. What does not: what rows say then (``billed_rows``) and how invoices are read.

A line bills the charge of its subscription's item that its period lies in, the fee that begins with it, or credit that
was bought (``purchase_lines``). Its
detailed lines are known by what the kernel makes of the quantity that was frozen for the line: the component of the
same category, quantity and amount per unit. Where they do not pair one to one, all of it is the line's own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, TypeVar

from focus_assets.billing.frozen_quantities import details_of
from focus_assets.billing.purchase_lines import asks_for_credit, purchase_lines
from focus_assets.billing.whole_periods import detailed_line_name, is_limited
from focus_assets.catalog.charges import ChargeSlice, midnight, slices_on
from focus_assets.catalog.credit_charges import Charged, CreditCharge
from focus_assets.catalog.fees import Fee, fees_on
from focus_assets.catalog.invoices import Invoice, InvoiceDetail, InvoiceLine
from focus_assets.catalog.periods import Period
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import minor_unit
from focus_assets.rating.detailed_lines import Line
from focus_assets.rating.lines import FLAT_FEE_COMPONENT

BilledTime = tuple[str, dt.datetime, dt.datetime]
"""A charge, and from when to when an imported invoice bills it."""

Billable = TypeVar("Billable", ChargeSlice, Fee)

_SECOND: Final = dt.timedelta(seconds=1)
_ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Bill:
    """A line of an invoice and what it bills of a day: the slices of a charge, a fee, or a purchase of credit.

    ``details``: what its rows are summed up by, each with the number of roundings in it. ``detail_of``: the id of the
    detail that each of our own lines is (``focus.invoice_lines``); others are on the first one. ``prepaid``: what of
    its credits bought credit pays, taken off the details (``paid_in_advance``).
    """

    invoice: Invoice
    line: InvoiceLine
    charged: tuple[Charged, ...]
    details: tuple[InvoiceDetail, ...]
    roundings: Mapping[str, int] = field(default_factory=dict)
    detail_of: Mapping[str, str] = field(default_factory=dict)
    prepaid: Decimal = _ZERO

    @property
    def last(self) -> Charged:
        """What it bills last of the day."""
        return self.charged[-1]

    @property
    def period(self) -> Period:
        """What its rows are for."""
        last = self.last
        if isinstance(last, CreditCharge):
            return last.service
        whole = last.service if isinstance(last, Fee) else last.charge.period
        return self.line.period.clip(whole.start, whole.end)

    @property
    def ends(self) -> bool:
        """Whether the day holds the end of what it bills, so that its rows can be added up."""
        last = self.last
        return not isinstance(last, ChargeSlice) or last.period.end == self.period.end

    def settles(self, start: dt.date) -> bool:
        """Whether the day adds up its rows: it was issued, ends, and nothing of it lies before the first day."""
        begun = isinstance(self.last, ChargeSlice) and self.period.start < midnight(start)
        return self.invoice.is_issued and self.ends and not begun


def bills_on(catalog: Catalog, charged: Sequence[Charged]) -> list[Bill]:
    """The lines that bill something of a day, by id; lines of voided invoices bill nothing."""
    found: dict[str, tuple[Invoice, InvoiceLine, list[Charged]]] = {}
    for each in charged:
        match = _line_of(catalog, each)
        if match is not None:
            found.setdefault(match[1].id, (*match, []))[2].append(each)
    rated = _rated({key: (line, of[-1]) for key, (_, line, of) in found.items()})
    return [
        _bill(invoice, line, tuple(of), rated.get(key, []), _rounded_before(catalog, line, of[-1]))
        for key, (invoice, line, of) in sorted(found.items())
    ]


def billed_here(catalog: Catalog, charged: Iterable[Billable]) -> list[Billable]:
    """Those of ``charged`` that no imported invoice bills, so that the platform's own may."""
    return [each for each in charged if _line_of(catalog, each) is None]


def billed_times(catalog: Catalog, charged: Iterable[Charged]) -> list[BilledTime]:
    """When imported invoices bill the slices among ``charged``, those that are drafts too; sorted."""
    found = set()
    for each in charged:
        if isinstance(each, ChargeSlice):
            for part in catalog.billed_parts.get((each.subscription.key, each.rate_card.key), ()):
                if not part.line.is_fee:
                    found.add((each.charge_id, part.line.start, part.line.end))
    return sorted(found)


def invoiced(charged: Iterable[Billable], bills: Sequence[Bill]) -> list[Billable]:
    """All of ``charged``, those that a line bills with the number of its invoice."""
    numbers = {
        _key(each): bill.invoice.number
        for bill in bills
        for each in bill.charged
        if not isinstance(each, CreditCharge)
    }
    return [replace(each, invoice=numbers.get(_key(each), each.invoice)) for each in charged]


def closed_by_invoices(
    catalog: Catalog, charged: Charged, as_of: dt.datetime | None = None
) -> dt.datetime | None:
    """When the last invoice of a billing period that is over was issued; None while one is missing or a draft.

    None too where usage is invoiced in parts and the last one is not. A period without invoices of usage is over at
    ``as_of``; where that is not given it never is.
    """
    billing, found = charged.billing, _of_period(catalog, charged)
    if not found or not all(invoice.is_issued for invoice, _ in found):
        return None
    usage = [line.end for _, line in found if not line.is_fee]
    if max(usage) < billed_until(charged) if usage else as_of is None or billing.end > as_of:
        return None
    return max(invoice.issued_at or invoice.created_at for invoice, _ in found)


def billed_until(charged: Charged) -> dt.datetime:
    """When the last invoice of its billing period ends: with that, or with the subscription where it ends before."""
    subscribed = charged.subscription.active_to if charged.subscription is not None else None
    return charged.billing.end if subscribed is None else min(charged.billing.end, subscribed)


def supplier_of(catalog: Catalog, charged: Charged) -> str | None:
    """Who issues the invoices of a billing period, where they say so."""
    suppliers = (invoice.supplier for invoice, _ in _of_period(catalog, charged))
    return next((supplier for supplier in suppliers if supplier is not None), None)


def _of_period(catalog: Catalog, charged: Charged) -> list[tuple[Invoice, InvoiceLine]]:
    """Lines of the customer's invoices in the billing period, those of voided ones aside."""
    return [
        (invoice, line)
        for invoice in catalog.invoices_of.get(charged.customer.key, ())
        if not invoice.is_voided
        for line in invoice.lines
        if line.billing == charged.billing
    ]


def closed_periods(catalog: Catalog, as_of: dt.datetime) -> set[tuple[str, dt.datetime, dt.datetime]]:
    """Billing periods whose invoices are all issued: customer, start and end. Their rows are no estimates any more."""
    ends = {subscription.key: subscription.active_to for subscription in catalog.subscriptions}
    found: dict[tuple[str, Period], list[tuple[Invoice, InvoiceLine]]] = {}
    for invoice in catalog.invoices:
        for line in () if invoice.is_voided else invoice.lines:
            if line.billing is not None:
                found.setdefault((invoice.customer, line.billing), []).append((invoice, line))
    closed = set()
    for (customer, billing), lines in found.items():
        usage = [line for _, line in lines if not line.is_fee]
        last = [min(billing.end, ends.get(line.subscription or "") or billing.end) for line in usage]
        is_over = max(line.end for line in usage) >= max(last) if usage else billing.end <= as_of
        if is_over and all(invoice.is_issued for invoice, _ in lines):
            closed.add((customer, billing.start, billing.end))
    return closed


def unexplained_on(catalog: Catalog, day: dt.date) -> Iterator[tuple[Invoice, InvoiceLine]]:
    """Lines of issued invoices that no charge of the catalog explains, on the day that they are booked on."""
    charges: dict[dt.date, _ByItem] = {}
    for invoice in catalog.invoices:
        for line in invoice.lines if invoice.is_issued else ():
            if (
                invoice.booked_on(line) == day
                and not _is_explained(catalog, line, charges)
                and not asks_for_credit(catalog, invoice, line)
            ):
                yield invoice, line


_ByItem = dict[tuple[str, str], list[ChargeSlice | Fee]]


def _key(charged: ChargeSlice | Fee) -> tuple[str, dt.datetime]:
    return charged.charge_id, charged.service.start if isinstance(charged, Fee) else charged.period.start


def _line_of(catalog: Catalog, charged: Charged) -> tuple[Invoice, InvoiceLine] | None:
    """The first line, by the time its invoice was made, that bills it; nothing bills credit that expires."""
    if isinstance(charged, CreditCharge):
        asked = {} if charged.expires else purchase_lines(catalog, charged.customer.key)
        return asked.get(charged.charge_id)
    key = (charged.subscription.key, charged.rate_card.key)
    found = [part for part in catalog.billed_parts.get(key, ()) if _bills(part.line, charged)]
    if not found:
        return None
    first = min(found, key=lambda part: (part.invoice.created_at, part.line.id))
    return first.invoice, first.line


def _bills(line: InvoiceLine, charged: ChargeSlice | Fee) -> bool:
    if isinstance(charged, Fee):
        return line.start == charged.service.start
    return not line.is_fee and line.start <= charged.period.start and charged.period.end <= line.end


def _is_explained(catalog: Catalog, line: InvoiceLine, charges: dict[dt.date, _ByItem]) -> bool:
    if line.subscription is None or line.item is None or line.end <= line.start:
        return False
    key = (line.subscription, line.item)
    for day in {line.start.date(), (line.end - _SECOND).date()}:
        if day not in charges:
            found = charges[day] = {}
            charged: list[ChargeSlice | Fee] = [*slices_on(catalog, day), *fees_on(catalog, day)]
            for each in charged:
                found.setdefault((each.subscription.key, each.rate_card.key), []).append(each)
        for each in charges[day].get(key, ()):
            if _bills(line, each):
                match = _line_of(catalog, each)
                if match is not None and match[1].id == line.id:
                    return True
    return False


def _rated(lines: Mapping[str, tuple[InvoiceLine, Charged]]) -> dict[str, list[dict[str, Any]]]:
    """By line of usage, the detailed lines that its frozen quantity comes to."""
    asked = [
        Line(
            line_id=key,
            price=charged.rate_card.price,
            minor_unit=minor_unit(charged.currency),
            period=line.period.clip(charged.charge.period.start, charged.charge.period.end),
            full_period=charged.charge.period,
            quantity=line.metered,
            before=line.metered_before or _ZERO,
            discounts=charged.rate_card.discounts,
            unit_config=charged.rate_card.unit_config,
        )
        for key, (line, charged) in sorted(lines.items())
        if isinstance(charged, ChargeSlice) and line.metered is not None and line.metered >= 0
    ]
    return details_of(asked)


def _rounded_before(catalog: Catalog, line: InvoiceLine, charged: Charged) -> int:
    """How many rounded amounts of earlier lines of its charge a line rests on.

    Limits count them, and a line that does not say what was metered before books the difference to them.
    """
    if not isinstance(charged, ChargeSlice) or line.start <= charged.charge.period.start:
        return 0
    if line.metered_before is not None and not is_limited(charged.rate_card.price):
        return 0
    parts = catalog.billed_parts.get((charged.subscription.key, charged.rate_card.key), ())
    begins = charged.charge.period.start
    earlier = [part.line for part in parts if begins <= part.line.start < line.start and not part.line.is_fee]
    return sum(max(len(each.details), 1) for each in earlier)


def _bill(
    invoice: Invoice,
    line: InvoiceLine,
    charged: tuple[Charged, ...],
    rated: list[dict[str, Any]],
    before: int,
) -> Bill:
    last = charged[-1]
    if sum((detail.net for detail in line.details), _ZERO) == line.net:
        if not isinstance(last, ChargeSlice) and len(line.details) == 1:
            only = line.details[0]
            if isinstance(last, CreditCharge):
                return Bill(invoice, line, charged, line.details, {only.id: 1})
            return Bill(invoice, line, charged, line.details, {only.id: 2}, {FLAT_FEE_COMPONENT: only.id})
        paired = _paired(line.details, rated)
        names = {detailed_line_name(last, row): d.id for d, row in paired or ()}
        if paired is not None and len(names) == len(paired):
            roundings = {detail.id: _roundings(row) + before for detail, row in paired}
            return Bill(invoice, line, charged, line.details, roundings, names)
    whole = InvoiceDetail(id=line.id, name=line.name, net=line.net, tax_included=line.tax_included)
    count = max(sum(map(_roundings, rated)), len(line.details), 1) + before
    return Bill(invoice, line, charged, (whole,), {line.id: count})


def _roundings(row: Mapping[str, Any]) -> int:
    return 2 if row["amount_discounts"] else 1


def _paired(
    details: Sequence[InvoiceDetail], rated: Sequence[dict[str, Any]]
) -> list[tuple[InvoiceDetail, dict[str, Any]]] | None:
    """Each detail with the component that it is; None where one has no counterpart."""
    if not details or len(details) != len(rated):
        return None
    left = list(rated)
    pairs = []
    for detail in details:
        row = next((row for row in left if _is(detail, row)), None)
        if row is None:
            return None
        left.remove(row)
        pairs.append((detail, row))
    return pairs


def _is(detail: InvoiceDetail, row: Mapping[str, Any]) -> bool:
    """Of a minimum spend the amount depends on what was billed, so its category alone tells it."""
    if detail.category != row["category"]:
        return False
    return detail.category != "regular" or (
        detail.quantity in (None, row["quantity"]) and detail.unit_price in (None, row["per_unit_amount"])
    )
