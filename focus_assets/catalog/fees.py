"""Flat fees: what a catalog asks to be charged on a day whatever is used.

What belongs here: which fee is due on a day, for which service period. What does not: what it costs
(``rating.fees``) and charges that are rated by usage (``charges``).

A fee in advance is due when its service period begins, one in arrears when it ends, whole and on that day alone.
The service period is the cadence's, counted from the subscription's anchor, cut where the item's version or the
subscription begins or ends. Source: OpenMeter ``subscriptionsync/service/targetstate/phaseiterator.go``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from focus_assets.catalog.charges import (
    DAY,
    OPEN_END,
    active_items,
    charge_id,
    midnight,
    priced_in,
    published_card,
)
from focus_assets.catalog.custom_currencies import PricedIn
from focus_assets.catalog.models import Customer, Feature, FlatPrice, Meter, Plan, RateCard, Subscription
from focus_assets.catalog.periods import Period
from focus_assets.catalog.plans import billing_cadence
from focus_assets.catalog.rate_card_terms import Discounts, ProRatingConfig
from focus_assets.catalog.snapshot import Catalog

_SECOND = dt.timedelta(seconds=1)


@dataclass(frozen=True)
class Fee:
    """A flat fee that is due: one version of a subscription item in one service period.

    ``service``: what it pays for; ``full``: the uncut period that its amount is for; ``billing``: the billing
    period that holds the instant at which it is due. ``listed``: the published plan's card, else its own.
    ``meter``: that of its feature, where it has one. ``invoice``: as of a slice of a charge.
    """

    charge_id: str
    customer: Customer
    subscription: Subscription
    plan: Plan | None
    rate_card: RateCard
    price: FlatPrice
    list_price: FlatPrice
    list_discounts: Discounts
    feature: Feature | None
    meter: Meter | None
    currency: str
    service: Period
    full: Period
    billing: Period
    prorates: bool
    priced_in: PricedIn | None = None
    invoice: str | None = None

    @property
    def key(self) -> str:
        """What is bought: the feature's key, else the rate card's."""
        return self.rate_card.feature or self.rate_card.key

    @property
    def title(self) -> str:
        """What it is called: the rate card's name, else the feature's, else the key."""
        return fee_title(self.rate_card, self.feature)


def fee_title(card: RateCard, feature: Feature | None) -> str:
    """The rate card's name, else the feature's, else the card's key."""
    return card.name or (feature.name if feature else "") or card.key


def fees_on(catalog: Catalog, day: dt.date) -> list[Fee]:
    """Every fee that is due on ``day``, ordered by charge.

    ``catalog`` is the snapshot of that day. A fee in arrears whose period ends at midnight is due on the day that
    ends then.
    """
    today = Period(midnight(day), midnight(day) + DAY)
    found = [fee for subscription in catalog.subscriptions for fee in _fees(catalog, subscription, today)]
    return sorted(found, key=lambda fee: fee.charge_id)


def _fees(catalog: Catalog, subscription: Subscription, today: Period) -> Iterator[Fee]:
    customer = catalog.customer.get(subscription.customer)
    if customer is None:
        return
    plan = catalog.plan[subscription.plan] if subscription.plan else None
    for card, active in active_items(plan, subscription, today):
        price = card.price
        if not isinstance(price, FlatPrice):
            continue
        for service, full in _periods(card, plan, subscription, active, today):
            due = service.start if price.payment_term == "in_advance" else service.end - _SECOND
            if not today.start <= due < today.end:
                continue
            listed = published_card(plan, card, service.start) or card
            feature = catalog.feature[card.feature] if card.feature else None
            yield Fee(
                charge_id=charge_id(subscription, card, service),
                customer=customer,
                subscription=subscription,
                plan=plan,
                rate_card=card,
                price=price,
                list_price=listed.price if isinstance(listed.price, FlatPrice) else price,
                list_discounts=listed.discounts,
                feature=feature,
                meter=catalog.meter[feature.meter] if feature and feature.meter else None,
                currency=catalog.invoiced_in(subscription),
                priced_in=priced_in(catalog, plan, subscription, service.start),
                service=service,
                full=full,
                billing=billing_cadence(plan, subscription).period_at(subscription.anchor, due),
                prorates=not card.one_time and _pro_rating(plan, subscription).prorates,
            )


def _periods(
    card: RateCard, plan: Plan | None, subscription: Subscription, active: Period, today: Period
) -> Iterator[tuple[Period, Period]]:
    """Service periods that overlap today, each with the uncut period it is part of."""
    if card.one_time:
        if _is_due_once(card, subscription, active):
            once = _once(card, active)
            if once is not None:
                yield once, once
        return
    cadence = card.billing_cadence or billing_cadence(plan, subscription)
    start, end = max(active.start, today.start), min(active.end, today.end)
    for full in cadence.periods(subscription.anchor, start, end):
        yield full.clip(active.start, active.end), full


def _is_due_once(card: RateCard, subscription: Subscription, active: Period) -> bool:
    """A plan's one-time fee is due when the subscription begins; its later price is for later subscriptions."""
    own = any(card is each for each in subscription.rate_cards)
    return own or active.start == subscription.active_from


def _once(card: RateCard, active: Period) -> Period | None:
    """From when the item begins to when it ends; where no end is known in advance, to the end of its first day."""
    if active.end != OPEN_END:
        return active
    if isinstance(card.price, FlatPrice) and card.price.payment_term == "in_arrears":
        return None
    return Period(active.start, midnight(active.start.date()) + DAY)


def _pro_rating(plan: Plan | None, subscription: Subscription) -> ProRatingConfig:
    return subscription.pro_rating_config or (plan.pro_rating_config if plan else ProRatingConfig())
