"""When a billing period closes, and which invoice it then is.

What belongs here: the close as a function of the catalog, the settings and the instant that counts as now. What does
not: rows, and what rounding adds (``rounding``).

Where no invoices are imported, a period closes some days after its end and is one invoice for each customer, period
and currency. Its id is made of these, so computing it again gives the same.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from focus_assets.catalog.charges import ChargeSlice, midnight
from focus_assets.catalog.credit_charges import Charged, CreditCharge
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.periods import Period

Kind = TypeVar("Kind", ChargeSlice, Fee, CreditCharge)
"""What a billing period holds: usage of a charge on a day, a flat fee, or credit."""

CLOSED_PERIODS = "billing/closed_periods"
"""The entry in the record of a day's FOCUS rows that says which of its billing periods had closed."""


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


@dataclass(frozen=True)
class PeriodClose:
    """What closes at ``as_of``: periods that ended ``after_days`` ago or earlier; none where that is ``None``.

    ``start`` is the first day of all. A period whose charges began before it has rows missing and never closes.
    Periods that are ``kept`` have closed, whatever ``as_of`` and ``after_days`` say now.
    """

    as_of: dt.datetime
    after_days: int | None
    start: dt.date
    kept: frozenset[ClosedPeriod] = frozenset()

    def closes_at(self, billing: Period) -> dt.datetime | None:
        """The instant at which a billing period closes and its invoice is issued."""
        return None if self.after_days is None else billing.end + dt.timedelta(days=self.after_days)

    def invoice_of(self, charged: Charged) -> str | None:
        """The invoice of its billing period, such as ``acme/20260801-20260901/USD``; ``None`` while open."""
        billing = charged.billing
        if ClosedPeriod.of(charged) in self.kept:
            return self.invoice_name(charged.customer.account_id, billing, charged.currency)
        closes = self.closes_at(billing)
        subscription = charged.subscription
        # Credit that no subscription can use is all there is of its calendar month: none of it was before.
        begun = max(billing.start, subscription.active_from if subscription else midnight(self.start))
        if closes is None or closes > self.as_of or begun < midnight(self.start):
            return None
        return self.invoice_name(charged.customer.account_id, billing, charged.currency)

    @staticmethod
    def invoice_name(account: str, billing: Period, currency: str) -> str:
        """What the invoice of an account's billing period is called."""
        return f"{account}/{_compact(billing.start)}-{_compact(billing.end)}/{currency}"

    def invoiced(self, charged: Iterable[Kind]) -> list[Kind]:
        """All of ``charged`` with the invoices of their billing periods, where those have closed."""
        return [replace(each, invoice=self.invoice_of(each)) for each in charged]

    def fingerprint(self, charged: Iterable[Charged]) -> dict[str, str]:
        """An entry for records: differs when and only when other billing periods of ``charged`` have closed."""
        invoices = sorted({invoice for each in charged if (invoice := self.invoice_of(each)) is not None})
        return {CLOSED_PERIODS: hashlib.sha256("\n".join(invoices).encode()).hexdigest()}


NEVER_CLOSES = PeriodClose(dt.datetime.min.replace(tzinfo=dt.UTC), None, dt.date.min)
"""Every period stays open."""


def ending(slices: Sequence[ChargeSlice]) -> list[ChargeSlice]:
    """Those invoiced slices with which their charge, or its part in the billing period, ends."""
    return [s for s in slices if s.invoice is not None and s.period.end == s.billed_period.end]


def days_before(slices: Sequence[ChargeSlice], day: dt.date, start: dt.date) -> list[dt.date]:
    """The days before ``day`` that hold rows of the slices' invoice lines, from ``start`` on."""
    begun = min((max(s.billed_period.start.date(), start) for s in slices), default=day)
    return [begun + dt.timedelta(days=n) for n in range((day - begun).days)]


def _compact(instant: dt.datetime) -> str:
    return f"{instant:%Y%m%d}" if instant.time() == dt.time() else f"{instant:%Y%m%dT%H%M%SZ}"
