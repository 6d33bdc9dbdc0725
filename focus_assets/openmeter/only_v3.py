"""Plans and subscriptions that v1 does not show, in v1's spelling: with unit conversions, or in custom currencies.

What belongs here: which they are, reading them from v3, and v1's spelling of v3's prices. What does not: what they are
in a catalog (``snapshot``).

v1 leaves such plans out of its list, refuses subscriptions with a conversion, and shows those of a plan in a custom
currency as if their prices were in the money that is invoiced. v3 has them, but of each item only the version that is
active now, and dynamic and package prices as unit prices with a conversion, which come to the same.
Source: OpenMeter ``productcatalog/plan/httpdriver``, ``productcatalog/subscription/http``, ``api/v3/handlers``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from focus_assets.openmeter import wire_v1, wire_v3
from focus_assets.openmeter.errors import NotFound, ServerProblem, UnsupportedCatalogEntry
from focus_assets.openmeter.extraction import together
from focus_assets.openmeter.server import Server
from focus_assets.openmeter.unit_configs import with_unit_configs
from focus_assets.openmeter.v1 import V1
from focus_assets.openmeter.wire import read

_REFUSED: Final = 400

FeatureKeys = Mapping[str, str]
"""Keys of features by id: v3 refers to features by their ids."""


async def subscriptions_now(
    server: Server, v1: V1, ids: Sequence[str], features: FeatureKeys
) -> list[wire_v1.Subscription]:
    """Subscriptions with every version of their items; those that v1 refuses with their items as they are now."""
    answers = await together(_shown(server, v1, each) for each in ids)
    shown = [each for each in answers if isinstance(each, wire_v1.Subscription)]
    others = [_subscription(each, features) for each in answers if isinstance(each, wire_v3.Subscription)]
    found = {each.id: each for each in (*await with_unit_configs(server, shown), *others)}
    return [found[each] for each in ids]


async def _shown(server: Server, v1: V1, subscription_id: str) -> wire_v1.Subscription | wire_v3.Subscription:
    try:
        return await v1.subscription(subscription_id)
    except ServerProblem as problem:
        if problem.status != _REFUSED or server.v3 is None:
            raise
    return await server.v3.subscription(subscription_id)


async def with_plans_of_v3(
    server: Server,
    plans: Sequence[wire_v1.Plan],
    subscriptions: Iterable[wire_v1.Subscription],
    features: FeatureKeys,
) -> list[wire_v1.Plan]:
    """``plans`` and those others that ``subscriptions`` are of and that are not deleted. Raises OpenMeterError."""
    if server.v3 is None:
        return list(plans)
    listed = {(plan.key, plan.version) for plan in plans}
    references = [each.plan for each in subscriptions if each.plan is not None]
    missing = sorted({each.id for each in references if each.id and (each.key, each.version) not in listed})
    found = await together(_plan_of_v3(server, each) for each in missing)
    return [*plans, *(_plan(each, features) for each in found if each is not None)]


async def _plan_of_v3(server: Server, plan_id: str) -> wire_v3.Plan | None:
    assert server.v3 is not None
    try:
        return await server.v3.plan(plan_id)
    except NotFound:
        return None


def _plan(plan: wire_v3.Plan, features: FeatureKeys) -> wire_v1.Plan:
    place = f"plan {plan.key!r} version {plan.version}"
    return read(
        wire_v1.Plan,
        {
            "id": plan.id,
            "key": plan.key,
            "name": plan.name,
            "version": plan.version,
            "currency": plan.currency,
            "billingCadence": plan.billing_cadence,
            "proRatingConfig": {"enabled": plan.pro_rating_enabled, "mode": "prorate_prices"},
            "status": plan.status,
            "effectiveFrom": _text(plan.effective_from),
            "effectiveTo": _text(plan.effective_to),
            "phases": [
                {
                    "key": phase.key,
                    "rateCards": [
                        _card(card, features, place, plan.currency) | {"type": card.price["type"]}
                        for card in phase.rate_cards
                    ],
                }
                for phase in plan.phases
            ],
        },
        place,
    )


def _subscription(subscription: wire_v3.Subscription, features: FeatureKeys) -> wire_v1.Subscription:
    place = f"subscription {subscription.id}"
    return read(
        wire_v1.Subscription,
        {
            "id": subscription.id,
            "name": subscription.name,
            "customerId": subscription.customer_id,
            "plan": subscription.plan and subscription.plan.model_dump(),
            "currency": subscription.invoice_currency,
            "activeFrom": _text(subscription.active_from),
            "activeTo": _text(subscription.active_to),
            "billingAnchor": _text(subscription.billing_anchor),
            "billingCadence": subscription.billing_cadence,
            "proRatingConfig": subscription.pro_rating_config,
            "phases": [
                {
                    "key": phase.key,
                    "itemTimelines": {
                        item.rate_card.key: [
                            _card(item.rate_card, features, place, None)
                            | {
                                "id": item.id,
                                "activeFrom": _text(item.active_from),
                                "activeTo": _text(item.active_to),
                            }
                        ]
                        for item in phase.items
                    },
                }
                for phase in subscription.phases
            ],
        },
        place,
    )


def _text(instant: dt.datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _card(card: wire_v3.RateCard, features: FeatureKeys, place: str, currency: str | None) -> dict[str, Any]:
    """A rate card in v1's words; ``currency``: that of the plan that it is part of."""
    if currency is not None and card.currency not in (None, currency):
        raise UnsupportedCatalogEntry(
            f"{place}, item {card.key!r} is priced in {card.currency} and its plan in {currency}; prices of a plan "
            "are in one currency here. Nothing was written."
        )
    feature = None if card.feature is None else features.get(card.feature.id, card.feature.id)
    return {
        "key": card.key,
        "name": card.name,
        "featureKey": feature,
        "billingCadence": card.billing_cadence,
        "price": _price(card),
        "discounts": card.discounts,
        "unitConfig": card.unit_config and card.unit_config.model_dump(exclude_none=True),
    }


def _price(card: wire_v3.RateCard) -> dict[str, Any] | None:
    kind = card.price["type"]
    if kind == "free":
        return None
    if kind == "flat":
        return {
            "type": "flat",
            "amount": card.price.get("amount"),
            "payment_term": card.payment_term or "in_advance",
        }
    limits = dict(card.commitments or {})
    if kind in ("graduated", "volume"):
        return {"type": "tiered", "mode": kind, "tiers": card.price.get("tiers"), **limits}
    return {**card.price, **limits}
