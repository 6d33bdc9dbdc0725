"""Which open billing period takes what changed in a closed one.

What belongs here: the choice of the period, and what says so in a record. What does not: the rows (``corrections``).

It is the first period after the closed one that is open when the change is found. A record remembers the choice: when
that period closes in turn, what was booked in it stays there and is closed with it. Where invoices are imported, when
periods close is known from other days (``later_periods``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from focus_assets.billing.close import CLOSED_PERIODS, ClosedPeriod, PeriodClose
from focus_assets.catalog.credit_charges import Charged, CreditCharge
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.periods import Cadence, Period
from focus_assets.catalog.plans import billing_cadence

BOOKED: Final = "corrections_booked"
"""The fact of a day of ``focus_cost_and_usage`` that says in which period changes of each closed one are booked."""

_MONTH: Final = 30.436875

Booked = Mapping[ClosedPeriod, ClosedPeriod]
"""By closed period, the one that its corrections are billed in."""

Closes = Callable[[ClosedPeriod], dt.datetime | None]
"""When a period closed; ``None`` while it is open."""


def closes_by_itself(close: PeriodClose) -> Closes:
    """The answer where no invoices are imported."""

    def closed(period: ClosedPeriod) -> dt.datetime | None:
        closes = close.closes_at(Period(period.start, period.end))
        return closes if closes is not None and closes <= close.as_of else None

    return closed


def booked_in(facts: Mapping[str, Any]) -> dict[ClosedPeriod, ClosedPeriod]:
    """What the facts of a record say of earlier choices."""
    return {ClosedPeriod.parse(of): ClosedPeriod.parse(to) for of, to in facts.get(BOOKED, {}).items()}


def booking_fact(booked: Booked) -> dict[str, Any]:
    """What :func:`booked_in` reads; nothing where nothing is booked."""
    return {BOOKED: {str(of): str(booked[of]) for of in sorted(booked)}} if booked else {}


def open_period(
    of: ClosedPeriod,
    closes: Closes,
    charged: Sequence[Charged],
    before: Booked,
    closed: Iterable[ClosedPeriod],
) -> ClosedPeriod:
    """The period that changes of ``of`` are billed in.

    Args:
        of: the closed period.
        closes: when later periods closed.
        charged: what is rated on the day; says how the account's periods go on.
        before: earlier choices; one whose rows have not been closed yet stands.
        closed: the periods whose rows have been closed on the day.
    """
    chosen = before.get(of)
    if chosen is not None and chosen not in set(closed):
        return chosen
    found = of
    while found == of or closes(found) is not None:
        period = _next(of, Period(found.start, found.end), charged)
        found = ClosedPeriod(of.account, period.start, period.end, of.currency)
    return found


def open_periods(
    closed: Iterable[ClosedPeriod], closes: Closes, charged: Sequence[Charged], before: Booked
) -> dict[ClosedPeriod, ClosedPeriod]:
    """:func:`open_period` of each of ``closed``: all periods whose rows have been closed on a day."""
    periods = set(closed)
    return {of: open_period(of, closes, charged, before, periods) for of in sorted(periods)}


def fingerprint(
    close: PeriodClose, charged: Iterable[Charged], booked: Iterable[ClosedPeriod], closes: Closes
) -> dict[str, str]:
    """As :meth:`~focus_assets.billing.close.PeriodClose.fingerprint`, those that corrections are booked in included."""
    invoices = close.issued(charged)
    invoices |= {invoice_of(each, close) or str(each) for each in booked if closes(each) is not None}
    return {CLOSED_PERIODS: hashlib.sha256("\n".join(sorted(invoices)).encode()).hexdigest()}


def invoice_of(booked: ClosedPeriod, close: PeriodClose) -> str | None:
    """The invoice of a period that corrections are booked in; ``None`` while it is open, and where others make it."""
    closes = close.closes_at(Period(booked.start, booked.end))
    if closes is None or closes > close.as_of:
        return None
    return close.invoice_name(booked.account, Period(booked.start, booked.end), booked.currency)


def _next(of: ClosedPeriod, period: Period, charged: Sequence[Charged]) -> Period:
    for each in charged:
        if not isinstance(each, CreditCharge) and ClosedPeriod.of(each) == of:
            plan = each.plan if isinstance(each, Fee) else each.charge.plan
            cadence = billing_cadence(plan, each.subscription)
            return cadence.period_at(each.subscription.anchor, period.end)
    # Nobody knows the subscription any more: periods of the same length follow.
    days = (of.end - of.start) / dt.timedelta(days=1)
    months = round(days / _MONTH)
    whole = months and Cadence(months, 0).after(of.start, 1) == of.end
    cadence = Cadence(months, 0) if whole else Cadence(0, max(round(days), 1))
    return cadence.period_at(of.start, period.end)
