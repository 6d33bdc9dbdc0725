"""When a billing period closes, and which invoice it then is.

What belongs here: the close as a function of the catalog, the settings and the instant that counts as now. What does
not: rows, and what rounding adds (``rounding``).

Where no invoices are imported, a period closes some days after its end and is one invoice for each customer, period
and currency, and one more for each instant in its middle at which the subscription's usage is invoiced
(``progressive_billing``). Ids are made of these, so computing them again gives the same.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeVar

from focus_assets.catalog.charges import ChargeSlice, midnight
from focus_assets.catalog.credit_charges import Charged, CreditCharge
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.periods import Period

Kind = TypeVar("Kind", ChargeSlice, Fee, CreditCharge)
"""What a billing period holds: usage of a charge on a day, a flat fee, or credit."""

CLOSED_PERIODS = "billing/closed_periods"
"""The entry in the record of a day's FOCUS rows that says which of its billing periods had closed."""


ISSUED_WHILE_OPEN: Final = "issued_while_open"
"""Fact of a day of ``focus_cost_and_usage``: open periods of rows that are on an issued invoice already."""


class ClosedPeriod(NamedTuple):
    """A billing period of an account in one currency: what closes as a whole, and is one invoice for each issuer."""

    account: str
    start: dt.datetime
    end: dt.datetime
    currency: str

    @classmethod
    def of(cls, charged: Charged) -> ClosedPeriod:
        """The period that a slice of a charge, a fee or credit is billed in."""
        billing = charged.billing
        return cls(charged.customer.account_id, billing.start, billing.end, charged.currency)

    @classmethod
    def parse(cls, text: str) -> ClosedPeriod:
        """Read :meth:`__str__` back."""
        account, start, end, currency = json.loads(text)
        return cls(account, dt.datetime.fromisoformat(start), dt.datetime.fromisoformat(end), currency)

    def __str__(self) -> str:
        return json.dumps([self.account, self.start.isoformat(), self.end.isoformat(), self.currency])


class IssuedPart(NamedTuple):
    """An invoice that a billing period has in its middle, by its name without issuer."""

    invoice: str
    period: ClosedPeriod


@dataclass(frozen=True)
class PeriodClose:
    """What closes at ``as_of``: periods that ended ``after_days`` ago or earlier; none where that is ``None``.

    ``start`` is the first day of all. A period whose charges began before it has rows missing and never closes.
    Periods that are ``kept`` have closed and ``kept_invoices`` in the middle of open ones are issued, whatever
    ``as_of`` and ``after_days`` say now. Where invoices are imported, a period that takes corrections and has none
    closes ``without_invoice_after_days``.
    """

    as_of: dt.datetime
    after_days: int | None
    start: dt.date
    kept: frozenset[ClosedPeriod] = frozenset()
    kept_invoices: frozenset[str] = frozenset()
    without_invoice_after_days: int | None = None

    def closes_at(self, billing: Period) -> dt.datetime | None:
        """The instant at which a billing period closes and its invoice is issued."""
        return None if self.after_days is None else billing.end + dt.timedelta(days=self.after_days)

    def issues_at(self, charged: Charged) -> dt.datetime | None:
        """The instant at which the invoice that it is on is issued; one in the middle is before its period closes."""
        return self.closes_at(_in_the_middle(charged) or charged.billing)

    def has_closed(self, charged: Charged) -> bool:
        """Whether its billing period has closed."""
        is_kept = ClosedPeriod.of(charged) in self.kept
        return (is_kept and has_every_row(charged, self.start)) or self._is_issued(charged, charged.billing)

    def invoice_of(self, charged: Charged) -> str | None:
        """The invoice it is on, such as ``acme/20260801-20260901/USD``; ``None`` until that is issued."""
        middle = _in_the_middle(charged)
        name = self.invoice_name(charged.customer.account_id, middle or charged.billing, charged.currency)
        is_kept = name in self.kept_invoices and has_every_row(charged, self.start)
        issued = self.has_closed(charged) or is_kept
        return name if issued or (middle is not None and self._is_issued(charged, middle)) else None

    def _is_issued(self, charged: Charged, period: Period) -> bool:
        closes = self.closes_at(period)
        return closes is not None and closes <= self.as_of and has_every_row(charged, self.start)

    def issued_parts(self, charged: Iterable[Charged]) -> set[IssuedPart]:
        """The issued invoices in the middle of those billing periods of ``charged`` that are open."""
        return {
            IssuedPart(invoice, ClosedPeriod.of(each))
            for each in charged
            if not self.has_closed(each) and (invoice := self.invoice_of(each)) is not None
        }

    def issued_instants(self, charged: Iterable[Charged]) -> set[tuple[str, dt.datetime]]:
        """By subscription, the instants at which invoices in the middle are issued that were so in open periods.

        Those before them in their period are among them: one that is named later cuts nothing that is invoiced.
        """
        charged = list(charged)
        invoices = self.kept_invoices | {part.invoice for part in self.issued_parts(charged)}
        return {
            (each.subscription.key, instant)
            for each in charged
            if isinstance(each, ChargeSlice)
            and (middle := _in_the_middle(each)) is not None
            and self.invoice_of(each) in invoices
            for instant in each.subscription.progressive_billing
            if each.billing.start < instant <= middle.end
        }

    def is_over(self, period: ClosedPeriod) -> bool:
        """Whether a billing period has closed, or would have if any charge were in it."""
        closes = self.closes_at(Period(period.start, period.end))
        return period in self.kept or (closes is not None and closes <= self.as_of)

    def issued_while_open(self, charged: Iterable[Charged]) -> set[ClosedPeriod]:
        """The billing periods of ``charged`` that are open and have an invoice in the middle that is issued."""
        return {part.period for part in self.issued_parts(charged)}

    def closed(self, charged: Iterable[Kind]) -> list[Kind]:
        """All of ``charged`` with the invoices that they are on, where their billing periods have closed."""
        return [
            replace(each, invoice=self.invoice_of(each) if self.has_closed(each) else None)
            for each in charged
        ]

    @staticmethod
    def invoice_name(account: str, billing: Period, currency: str) -> str:
        """What the invoice of an account's billing period is called."""
        return f"{account}/{_compact(billing.start)}-{_compact(billing.end)}/{currency}"

    def invoiced(self, charged: Iterable[Kind]) -> list[Kind]:
        """All of ``charged`` with the invoices that they are on, where those are issued."""
        return [replace(each, invoice=self.invoice_of(each)) for each in charged]

    def issued(self, charged: Iterable[Charged]) -> set[str]:
        """The invoices of ``charged`` that are issued, those of closed periods included."""
        found = set()
        for each in charged:
            invoice = self.invoice_of(each)
            if invoice is not None:
                found.add(invoice)
            if self.has_closed(each):
                found.add(self.invoice_name(each.customer.account_id, each.billing, each.currency))
        return found

    def fingerprint(self, charged: Iterable[Charged]) -> dict[str, str]:
        """An entry for records: differs when and only when other invoices of ``charged`` are issued."""
        return {CLOSED_PERIODS: hashlib.sha256("\n".join(sorted(self.issued(charged))).encode()).hexdigest()}


NEVER_CLOSES = PeriodClose(dt.datetime.min.replace(tzinfo=dt.UTC), None, dt.date.min)
"""Every period stays open."""


def has_every_row(charged: Charged, start: dt.date) -> bool:
    """Whether nothing of it in its billing period was before the first day; else no invoice is made of it."""
    subscription = charged.subscription
    # Credit that no subscription can use is all there is of its calendar month: none of it was before.
    begun = max(charged.billing.start, subscription.active_from if subscription else midnight(start))
    return begun >= midnight(start)


def _in_the_middle(charged: Charged) -> Period | None:
    """What the invoice in the middle of the billing period is for that bills this part of a charge, if there is one.

    It ends with the part, or after it where the charge itself ends before: usage so far is all of that.
    """
    if not isinstance(charged, ChargeSlice) or charged.part is None:
        return None
    billing, ends = charged.billing, charged.part.end
    inside = [each for each in charged.subscription.progressive_billing if billing.start < each < billing.end]
    later = [each for each in inside if each >= ends]
    if not later or (ends not in inside and ends != charged.charge.period.end):
        return None
    until = min(later)
    return Period(max((each for each in inside if each < until), default=billing.start), until)


def part_of(charged: ChargeSlice) -> IssuedPart | None:
    """The invoice in the middle of its billing period that bills a slice, issued or not; most have none."""
    middle = _in_the_middle(charged)
    if middle is None:
        return None
    name = PeriodClose.invoice_name(charged.customer.account_id, middle, charged.currency)
    return IssuedPart(name, ClosedPeriod.of(charged))


def ending(slices: Sequence[ChargeSlice]) -> list[ChargeSlice]:
    """Those invoiced slices with which their charge, or its part in the billing period, ends."""
    return [s for s in slices if s.invoice is not None and s.period.end == s.billed_period.end]


def charged_before(slices: Sequence[ChargeSlice], day: dt.date, start: dt.date) -> list[dt.date]:
    """The days before ``day`` that hold rows of the slices' charges, from ``start`` on, of earlier lines too."""
    begun = min((max(s.charge.period.start.date(), start) for s in slices), default=day)
    return [begun + dt.timedelta(days=n) for n in range((day - begun).days)]


def days_before(slices: Sequence[ChargeSlice], day: dt.date, start: dt.date) -> list[dt.date]:
    """The days before ``day`` that hold rows of the slices' invoice lines, from ``start`` on."""
    begun = min((max(s.billed_period.start.date(), start) for s in slices), default=day)
    return [begun + dt.timedelta(days=n) for n in range((day - begun).days)]


def _compact(instant: dt.datetime) -> str:
    return f"{instant:%Y%m%d}" if instant.time() == dt.time() else f"{instant:%Y%m%dT%H%M%SZ}"
