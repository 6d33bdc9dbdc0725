"""What a day charges for credit itself: buying it, and letting what is left of it expire.

What belongs here: which grants that is, and the billing period and invoice they are on. What does not: what is left
(``rating.credits``), and rows (``focus.credit_terms``).

Bought credit is paid on the invoice of its account's billing period, as a fee in advance is: of the customer's first
subscription that the credit can pay for, or of the calendar month where there is none.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from focus_assets.catalog.charges import DAY, ChargeSlice, midnight
from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.models import Customer, Subscription
from focus_assets.catalog.periods import Cadence, Period
from focus_assets.catalog.plans import billing_cadence
from focus_assets.catalog.snapshot import Catalog

_MONTHLY = Cadence.parse("P1M")
_SECOND = dt.timedelta(seconds=1)


@dataclass(frozen=True)
class CreditCharge:
    """A grant that is bought on a day, or one that ``expires`` on it.

    ``service``: from when it can be used to when it ends, of one that expires that day's part in its billing period.
    ``invoice``: as of a slice of a charge. ``currency``: what is paid in.
    """

    grant: CreditGrant
    expires: bool
    customer: Customer
    subscription: Subscription | None
    service: Period
    billing: Period
    currency: str
    invoice: str | None = None

    @property
    def charge_id(self) -> str:
        """What identifies its rows: the grant."""
        return self.grant.grant_id


Charged = ChargeSlice | Fee | CreditCharge
"""What stands on an invoice: usage, a flat fee, or credit."""


def money_for_one(charged: Charged) -> Decimal:
    """What one of what prices are in is worth, in the currency that is paid in."""
    if isinstance(charged, CreditCharge):
        return Decimal(1)
    custom = charged.priced_in if isinstance(charged, Fee) else charged.charge.priced_in
    return custom.rate if custom else Decimal(1)


def credits_on(catalog: Catalog, day: dt.date) -> list[CreditCharge]:
    """The credit that is bought on ``day`` and what may expire on it, by grant; ``catalog`` is that day's snapshot.

    Credit that has ended before stays in it while charges go on that may give something back, which expires at once.
    """
    found = []
    for grant in sorted(catalog.credits, key=lambda grant: grant.grant_id):
        if not grant.is_bought or grant.customer not in catalog.customer:
            continue
        if grant.takes_effect_on(day):
            service = Period(grant.effective_at, grant.expires_at or midnight(day) + DAY)
            found.append(_charge(grant, service, grant.effective_at, catalog, expires=False))
        if grant.end is not None and (grant.ends_on(day) or not grant.is_usable_on(day)):
            end = grant.end if grant.ends_on(day) else midnight(day) + DAY
            service = Period(max(midnight(day), grant.effective_at), end)
            found.append(_charge(grant, service, end - _SECOND, catalog, expires=True))
    return found


def _charge(
    grant: CreditGrant, service: Period, instant: dt.datetime, catalog: Catalog, *, expires: bool
) -> CreditCharge:
    subscription = _subscription(grant, max(service.start, instant), catalog)
    billing = _billing(subscription, max(service.start, instant), catalog)
    if expires:
        service = Period(max(service.start, billing.start), service.end)
    return CreditCharge(
        grant=grant,
        expires=expires,
        customer=catalog.customer[grant.customer],
        subscription=subscription,
        service=service,
        billing=billing,
        currency=grant.paid_in or catalog.defaults.currency,
    )


def _subscription(grant: CreditGrant, instant: dt.datetime, catalog: Catalog) -> Subscription | None:
    """The customer's first subscription at ``instant`` that the credit can pay for."""
    currency = grant.currency or catalog.defaults.currency
    custom = currency in catalog.custom_currency
    found = (
        s
        for s in sorted(catalog.subscriptions, key=lambda s: s.key)
        if s.customer == grant.customer
        and s.is_active_at(instant)
        and (catalog.plan[s.plan].currency if custom and s.plan else catalog.invoiced_in(s)) == currency
    )
    return next(found, None)


def _billing(subscription: Subscription | None, instant: dt.datetime, catalog: Catalog) -> Period:
    """The subscription's billing period; the calendar month where there is no subscription any more."""
    if subscription is None:
        return _MONTHLY.period_at(dt.datetime(2000, 1, 1, tzinfo=dt.UTC), instant)
    plan = catalog.plan[subscription.plan] if subscription.plan else None
    return billing_cadence(plan, subscription).period_at(subscription.anchor, instant)
