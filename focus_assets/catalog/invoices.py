"""Invoices as they stand in a day's catalog: what somebody else asked for, and the charges that it was asked for.

What belongs here: the model that a source of invoices fills, which days an invoice concerns, and the parts in which
invoices bill a charge. What does not: how invoices are read (``openmeter``) and what becomes of rows (``billing``).

Amounts are in the invoice's currency and may be negative. Of a line ``net`` is what is asked for before taxes and
credits, so that net + tax - credits is its total; ``tax_included`` is the part of the tax that is part of its price.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from focus_assets.catalog.entry import Entry, decimal_text
from focus_assets.catalog.models import Instant
from focus_assets.catalog.periods import Period

Money = Annotated[Decimal, BeforeValidator(decimal_text), Field(max_digits=38, decimal_places=18)]
"""An amount as an invoice states it; below zero where it gives something back."""

VOIDED: Final = "voided"
ISSUED: Final = frozenset({"issued", "payment_processing", "overdue", "paid", "uncollectible"})
"""Statuses of invoices that will not change any more, but for being voided."""

COMMITMENT: Final = "commitment"
"""The category of what a minimum spend adds."""

_SECOND: Final = dt.timedelta(seconds=1)


class InvoiceDetail(Entry):
    """A detailed line: one component of a line's price, such as a tier, as the invoice shows it."""

    id: str
    name: str = ""
    category: str = "regular"
    quantity: Money | None = None
    unit_price: Money | None = None
    net: Money
    tax: Money = Decimal(0)
    tax_included: Money = Decimal(0)
    credits: Money = Decimal(0)


class InvoiceLine(Entry):
    """A line of an invoice.

    ``subscription`` and ``item`` are keys of the catalog, null on a line that no subscription caused; ``item_id`` is
    the server's id of the item's version. ``metered`` is the quantity that was frozen for the line,
    ``metered_before`` what was used before its period, where the invoice says so: of a charge that is billed in parts.
    """

    id: str
    name: str = ""
    by_hand: bool = False
    start: Instant
    end: Instant
    billing_start: Instant | None = None
    billing_end: Instant | None = None
    subscription: str | None = None
    item_id: str | None = None
    item: str | None = None
    feature: str | None = None
    is_fee: bool = False
    metered: Money | None = None
    metered_before: Money | None = None
    net: Money
    tax: Money = Decimal(0)
    tax_included: Money = Decimal(0)
    credits: Money = Decimal(0)
    details: tuple[InvoiceDetail, ...] = ()

    @property
    def period(self) -> Period:
        """What the line is for."""
        return Period(self.start, self.end)

    @property
    def last_second(self) -> dt.datetime:
        """The last instant that it is for: credit that is bought has an empty period, the instant itself."""
        return max(self.end - _SECOND, self.start)

    @property
    def billing(self) -> Period | None:
        """The subscription's billing period that it is billed in."""
        if self.billing_start is None or self.billing_end is None:
            return None
        return Period(self.billing_start, self.billing_end)


class Invoice(Entry):
    """An invoice. ``number`` is provisional until it is issued; ``supplier`` names who issues it.

    ``total`` and ``tax`` are of the whole invoice, which lines usually add up to.
    """

    id: str
    number: str
    status: str
    currency: str
    customer: str
    supplier: str | None = None
    total: Money
    tax: Money = Decimal(0)
    created_at: Instant
    issued_at: Instant | None = None
    due_at: Instant | None = None
    voided_at: Instant | None = None
    lines: tuple[InvoiceLine, ...] = ()

    @property
    def is_voided(self) -> bool:
        """Whether nobody has to pay it any more."""
        return self.status == VOIDED

    @property
    def is_issued(self) -> bool:
        """Whether its number and amounts are final."""
        return self.status in ISSUED

    def booked_on(self, line: InvoiceLine) -> dt.date:
        """The day of a line that no charge explains: when its period ends, but not after the invoice was made."""
        return min(line.last_second, self.created_at).date()

    @property
    def tax_beside_lines(self) -> Money:
        """Tax that the invoice states as a whole and no line does."""
        return self.tax - sum((line.tax for line in self.lines), Decimal(0))

    @property
    def rest_beside_lines(self) -> Money:
        """What is left of the total when all lines and all taxes are taken off."""
        return self.total - self.tax - sum((line.net - line.credits for line in self.lines), Decimal(0))

    def concerns(self, day: dt.date) -> bool:
        """Whether a line of it is for the day, or lies in a billing period that holds the day."""
        midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
        end = midnight + dt.timedelta(days=1)
        return self.created_at.date() == day or any(
            line.period.overlaps(midnight, end)
            or (line.billing is not None and line.billing.overlaps(midnight, end))
            or self.booked_on(line) == day
            for line in self.lines
        )


@dataclass(frozen=True)
class BilledPart:
    """A line of an invoice that bills a part of a charge, or all of it."""

    invoice: Invoice
    line: InvoiceLine

    @property
    def period(self) -> Period:
        """The part."""
        return self.line.period


BilledParts = Mapping[tuple[str, str], tuple[BilledPart, ...]]
"""Lines by subscription and item, in the order of their periods; those of voided invoices are not among them."""


def billed_parts(invoices: Iterable[Invoice]) -> BilledParts:
    """The lines of ``invoices`` that belong to an item of a subscription."""
    found: dict[tuple[str, str], list[BilledPart]] = {}
    for invoice in invoices:
        if invoice.is_voided:
            continue
        for line in invoice.lines:
            if line.subscription is not None and line.item is not None:
                found.setdefault((line.subscription, line.item), []).append(BilledPart(invoice, line))
    return {
        key: tuple(sorted(parts, key=lambda p: (p.line.start, p.line.end, p.line.id)))
        for key, parts in found.items()
    }


def divided(period: Period, parts: Iterable[BilledPart]) -> list[Period]:
    """``period`` of a charge in the parts that invoices bill it in; the whole where none begins or ends within it."""
    inside = {
        instant
        for part in parts
        if part.period.overlaps(period.start, period.end)
        for instant in (part.period.start, part.period.end)
        if period.start < instant < period.end
    }
    return cut_at(period, inside)


def cut_at(period: Period, instants: Iterable[dt.datetime]) -> list[Period]:
    """``period`` in the parts between those of ``instants`` that lie within it."""
    bounds = sorted({instant for instant in instants if period.start < instant < period.end})
    begins = [period.start, *bounds]
    return [Period(begin, end) for begin, end in zip(begins, [*bounds, period.end], strict=True)]
