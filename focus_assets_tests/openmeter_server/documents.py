"""A catalog as the documents OpenMeter's v3 and v1 give."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from focus_assets.catalog.models import (
    Customer,
    Feature,
    FlatPrice,
    Meter,
    Plan,
    RateCard,
    Subscription,
)
from focus_assets.catalog.prices import DynamicPrice, PackagePrice, TieredPrice
from focus_assets.catalog.snapshot import Catalog
from focus_assets.catalog.unit_costs import LlmPrice

MADE = "2020-01-01T00:00:00Z"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
Document = dict[str, Any]


def ulid(kind: str, key: str) -> str:
    """An id in OpenMeter's form, always the same for the same thing."""
    number = int.from_bytes(hashlib.sha256(f"{kind}/{key}".encode()).digest()[:16], "big")
    digits = []
    for _ in range(26):
        number, digit = divmod(number, 32)
        digits.append(_CROCKFORD[digit])
    digits.append("")
    return f"0{''.join(digits)[:25]}"


def instant(value: dt.datetime) -> str:
    return f"{value.astimezone(dt.UTC):%FT%TZ}"


def underscored(key: str) -> str:
    """OpenMeter's keys have no hyphens."""
    return key.replace("-", "_")


def made_v3(kind: str, key: str) -> Document:
    return {"id": ulid(kind, key), "created_at": MADE, "updated_at": MADE}


def _made_v1(kind: str, key: str) -> Document:
    return {"id": ulid(kind, key), "createdAt": MADE, "updatedAt": MADE}


def _without_nothing(document: Mapping[str, Any]) -> Document:
    return {key: value for key, value in document.items() if value is not None}


def meter_v3(meter: Meter) -> Document:
    return _without_nothing(
        {
            **made_v3("meter", meter.slug),
            "key": meter.slug,
            "name": meter.title,
            "aggregation": meter.aggregation.lower(),
            "event_type": meter.event_type,
            "events_from": instant(meter.event_from) if meter.event_from else None,
            "value_property": meter.value_property,
            "dimensions": dict(meter.group_by) or None,
        }
    )


def meter_v1(meter: Meter) -> Document:
    return _without_nothing(
        {
            **_made_v1("meter", meter.slug),
            "slug": meter.slug,
            "name": meter.title,
            "aggregation": meter.aggregation.value,
            "eventType": meter.event_type,
            "eventFrom": instant(meter.event_from) if meter.event_from else None,
            "valueProperty": meter.value_property,
            "groupBy": dict(meter.group_by),
        }
    )


def customer_v3(customer: Customer) -> Document:
    return {
        **made_v3("customer", customer.key),
        "key": customer.key,
        "name": customer.title,
        "usage_attribution": {"subject_keys": list(customer.subject_keys)},
    }


def customer_v1(customer: Customer) -> Document:
    return {
        **_made_v1("customer", customer.key),
        "key": customer.key,
        "name": customer.title,
        "usageAttribution": {"subjectKeys": list(customer.subject_keys)},
    }


def feature_v3(feature: Feature) -> Document:
    filters = {key: {"in": list(texts)} for key, texts in feature.filters.items()}
    return _without_nothing(
        {
            **made_v3("feature", feature.key),
            "key": underscored(feature.key),
            "name": feature.title,
            "meter": {"id": ulid("meter", feature.meter), "filters": filters} if feature.meter else None,
        }
    )


def feature_v1(feature: Feature) -> Document:
    filters = {key: {"$in": list(texts)} for key, texts in feature.filters.items()}
    return _without_nothing(
        {
            **_made_v1("feature", feature.key),
            "key": underscored(feature.key),
            "name": feature.title,
            "meterSlug": feature.meter,
            "advancedMeterGroupByFilters": filters or None,
        }
    )


def plain(entry: BaseModel) -> Document:
    """What is set, numbers as texts without exponents."""

    def spelled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spelled(each) for key, each in value.items()}
        return f"{value:f}" if isinstance(value, Decimal) else value

    found: Document = spelled(entry.model_dump(exclude_none=True))
    return found


def unit_cost_v3(catalog: Catalog, feature: Feature) -> Document:
    """What v3 adds to a feature that has a unit cost; v1 adds the same in camelCase."""
    found = [each.cost for each in catalog.unit_costs if each.feature == feature.key]
    return {"unit_cost": plain(found[0])} if found else {}


def unit_cost_v1(catalog: Catalog, feature: Feature) -> Document:
    found = unit_cost_v3(catalog, feature)
    return {"unitCost": {to_camel(key): value for key, value in found["unit_cost"].items()}} if found else {}


def llm_price_v3(price: LlmPrice) -> Document:
    return _without_nothing(
        {
            **made_v3("llm_price", price.id),
            "id": price.id,
            "provider": {"id": price.provider, "name": price.provider.title()},
            "model": {"id": price.model, "name": price.model.upper()},
            "pricing": plain(price.pricing),
            "currency": price.currency,
            "source": price.source,
            "effective_from": instant(price.effective_from),
            "effective_to": instant(price.effective_to) if price.effective_to else None,
        }
    )


def price_v1(card: RateCard) -> Document:
    """A price in v1's own form."""
    if card.price.type == "unit":
        limits = {"minimumAmount": card.price.minimum_amount, "maximumAmount": card.price.maximum_amount}
        stated = {key: f"{limit:f}" for key, limit in limits.items() if limit is not None}
        return {"type": "unit", "amount": f"{card.price.amount:f}", **stated}
    if isinstance(card.price, FlatPrice):
        return {
            "type": "flat",
            "amount": f"{card.price.amount:f}",
            "paymentTerm": card.price.payment_term,
        }
    if isinstance(card.price, PackagePrice):
        return {
            "type": "package",
            "amount": f"{card.price.amount:f}",
            "quantityPerPackage": f"{card.price.quantity_per_package:f}",
            **(
                {}
                if card.price.maximum_amount is None
                else {"maximumAmount": f"{card.price.maximum_amount:f}"}
            ),
        }
    if isinstance(card.price, DynamicPrice):
        return {"type": "dynamic", "multiplier": f"{card.price.multiplier:f}"}
    assert isinstance(card.price, TieredPrice)
    tiers = [
        {
            **({} if tier.up_to_amount is None else {"upToAmount": f"{tier.up_to_amount:f}"}),
            "flatPrice": None
            if tier.flat_price is None
            else {"type": "flat", "amount": f"{tier.flat_price:f}"},
            "unitPrice": None
            if tier.unit_price is None
            else {"type": "unit", "amount": f"{tier.unit_price:f}"},
        }
        for tier in card.price.tiers
    ]
    return {"type": "tiered", "mode": card.price.mode, "tiers": tiers}


def _rate_card_v1(plan: Plan, card: RateCard) -> Document:
    described = {
        "type": "flat_fee" if card.is_fee else "usage_based",
        "key": underscored(card.feature or card.key),
        "name": card.name or card.key,
        "billingCadence": cadence_of(card, str(plan.billing_cadence)),
        "price": price_v1(card),
    }
    if discounts := _discounts_v1(card):
        described["discounts"] = discounts
    return described | ({"featureKey": underscored(card.feature)} if card.feature else {})


def _discounts_v1(card: RateCard) -> Document | None:
    percentage, usage = card.discounts.percentage, card.discounts.usage
    found: Document = {}
    if percentage is not None:
        found["percentage"] = {"percentage": int(percentage)}
    if usage is not None:
        found["usage"] = {"quantity": f"{usage:f}"}
    return found or None


def cadence_of(card: RateCard, otherwise: str) -> str | None:
    return None if card.one_time else str(card.billing_cadence or otherwise)


def plan_v1(catalog: Catalog, plan: Plan) -> Document:
    return {
        **_made_v1("plan", plan.key),
        "key": underscored(plan.key),
        "name": plan.title,
        "version": 1,
        "currency": plan.currency or catalog.defaults.currency,
        "billingCadence": str(plan.billing_cadence),
        "proRatingConfig": {"enabled": True, "mode": "prorate_prices"},
        "effectiveFrom": MADE,
        "status": "active",
        "settlementMode": "credit_then_invoice",
        "phases": [
            {
                "key": "default",
                "name": "Default",
                "duration": None,
                "rateCards": [_rate_card_v1(plan, card) for card in plan.rate_cards],
            }
        ],
        "validationErrors": None,
    }


def _subscription_terms(catalog: Catalog, subscription: Subscription) -> tuple[Plan | None, str, str]:
    plan = catalog.plan.get(subscription.plan or "")
    currency = catalog.invoiced_in(subscription)
    cadence = subscription.billing_cadence or (plan.billing_cadence if plan else None)
    return plan, currency, str(cadence or "P1M")


def subscription_v3(catalog: Catalog, subscription: Subscription) -> Document:
    plan, currency, cadence = _subscription_terms(catalog, subscription)
    document = {
        **made_v3("subscription", subscription.key),
        "name": subscription.key,
        "active_from": instant(subscription.active_from),
        "active_to": instant(subscription.active_to) if subscription.active_to else None,
        "customer_id": ulid("customer", subscription.customer),
        "plan": plan and {"id": ulid("plan", plan.key), "key": underscored(plan.key), "version": 1},
        "invoice_currency": currency,
        "cost_basis_mode": "dynamic",
        "cost_basis_pins": [],
        "billing_cadence": cadence,
        "billing_anchor": instant(subscription.anchor),
        "status": "active",
        "phases": [],
    }
    return _without_nothing(document)


def listed_subscription_v1(catalog: Catalog, subscription: Subscription) -> Document:
    plan, currency, cadence = _subscription_terms(catalog, subscription)
    document = {
        **_made_v1("subscription", subscription.key),
        "name": subscription.key,
        "activeFrom": instant(subscription.active_from),
        "activeTo": instant(subscription.active_to) if subscription.active_to else None,
        "status": "active",
        "customerId": ulid("customer", subscription.customer),
        "plan": plan and {"id": ulid("plan", plan.key), "key": underscored(plan.key), "version": 1},
        "currency": currency,
        "costBasisMode": "dynamic",
        "costBasisPins": [],
        "billingCadence": cadence,
        "billingAnchor": instant(subscription.anchor),
        "proRatingConfig": subscription.pro_rating_config
        and subscription.pro_rating_config.model_dump(mode="json"),
        "settlementMode": "credit_then_invoice",
    }
    return _without_nothing(document)


def subscription_v1(catalog: Catalog, subscription: Subscription) -> Document:
    """A subscription with its items: the plan's rate cards, or the subscription's own in their place."""
    timelines: dict[str, list[Document]] = {}
    for item, _ in versions(catalog, subscription):
        timelines.setdefault(item["key"], []).append(item)
    phase = {
        **_made_v1("phase", subscription.key),
        "key": "default",
        "name": "Default",
        "activeFrom": instant(subscription.active_from),
        "items": [items[-1] for items in timelines.values()],
        "itemTimelines": timelines,
    }
    return {**listed_subscription_v1(catalog, subscription), "phases": [phase]}


def versions(catalog: Catalog, subscription: Subscription) -> list[tuple[Document, RateCard]]:
    """Every version of every item, each with the rate card it is made of."""
    plan, _, cadence = _subscription_terms(catalog, subscription)
    found: list[tuple[Document, RateCard]] = []
    by_key: dict[str, list[RateCard]] = {}
    own = {card.key for card in subscription.rate_cards}
    for card in (
        *(c for c in (plan.rate_cards if plan else ()) if c.key not in own),
        *subscription.rate_cards,
    ):
        by_key.setdefault(card.key, []).append(card)
    for cards in by_key.values():
        cards.sort(key=lambda card: card.valid_from or subscription.active_from)
        begins = [
            max(card.valid_from or subscription.active_from, subscription.active_from) for card in cards
        ]
        followed = [*begins[1:], subscription.active_to]
        ends = [
            min((end for end in (card.valid_to, follows) if end), default=None)
            for card, follows in zip(cards, followed, strict=True)
        ]
        found += [
            (_item(subscription, card, begin, end, cadence), card)
            for card, begin, end in zip(cards, begins, ends, strict=True)
        ]
    return found


def _item(
    subscription: Subscription, card: RateCard, begin: dt.datetime, end: dt.datetime | None, cadence: str
) -> Document:
    described = _without_nothing(
        {
            **_made_v1("item", f"{subscription.key}/{card.key}/{begin}"),
            "name": card.name or card.key,
            "activeFrom": instant(begin),
            "activeTo": instant(end) if end else None,
            "key": underscored(card.key),
            "featureKey": underscored(card.feature) if card.feature else None,
            "price": price_v1(card),
            "discounts": _discounts_v1(card),
        }
    )
    return described | {"billingCadence": cadence_of(card, cadence)}
