"""Plans and whole subscriptions as v3 shows them, and which of them v1 does not."""

from __future__ import annotations

from focus_assets.catalog.models import FlatPrice, Plan, RateCard, Subscription
from focus_assets.catalog.prices import DynamicPrice, PackagePrice, TieredPrice
from focus_assets.catalog.snapshot import Catalog
from focus_assets_tests.openmeter_server.documents import (
    MADE,
    Document,
    cadence_of,
    instant,
    made_v3,
    plain,
    subscription_v3,
    ulid,
    underscored,
    versions,
)


def whole_subscription_v3(catalog: Catalog, subscription: Subscription) -> Document:
    """A subscription with the newest version of each of its items."""
    newest = {item["key"]: (item, card) for item, card in versions(catalog, subscription)}
    items = [
        {
            "id": item["id"],
            "active_from": item["activeFrom"],
            **({"active_to": item["activeTo"]} if "activeTo" in item else {}),
            "rate_card": _rate_card_v3(card, item["key"], item["billingCadence"]),
        }
        for item, card in newest.values()
    ]
    phase = {
        **made_v3("phase", subscription.key),
        "key": "default",
        "name": "Default",
        "active_from": instant(subscription.active_from),
        "items": items,
    }
    return {**subscription_v3(catalog, subscription), "phases": [phase]}


def plan_v3(catalog: Catalog, plan: Plan) -> Document:
    return {
        **made_v3("plan", plan.key),
        "key": underscored(plan.key),
        "name": plan.title,
        "version": 1,
        "currency": plan.currency or catalog.defaults.currency,
        "billing_cadence": str(plan.billing_cadence),
        "pro_rating_enabled": True,
        "effective_from": MADE,
        "status": "active",
        "phases": [
            {
                "key": "default",
                "name": "Default",
                "rate_cards": [
                    _rate_card_v3(
                        card,
                        underscored(card.feature or card.key),
                        cadence_of(card, str(plan.billing_cadence)),
                    )
                    for card in plan.rate_cards
                ],
            }
        ],
    }


def is_only_v3(plan: Plan) -> bool:
    """Whether v1 leaves a plan out of its list: it converts units, or is in a custom currency."""
    return len(plan.currency or "") > 3 or any(card.unit_config for card in plan.rate_cards)


def converts_units(catalog: Catalog, subscription: Subscription) -> bool:
    """Whether v1 refuses a subscription."""
    return any(card.unit_config for _, card in versions(catalog, subscription))


def _rate_card_v3(card: RateCard, key: str, cadence: str | None) -> Document:
    price = card.price
    limits = {
        name: f"{amount:f}"
        for name in ("minimum_amount", "maximum_amount")
        if (amount := getattr(price, name, None)) is not None
    }
    found: Document = {
        "name": card.name or card.key,
        "key": key,
        "price": _price_v3(card),
        **_unit_config_v3(card),
        **({"feature": {"id": ulid("feature", card.feature)}} if card.feature else {}),
        **({"billing_cadence": cadence} if cadence else {}),
        **({"commitments": limits} if limits else {}),
        **({"payment_term": price.payment_term} if isinstance(price, FlatPrice) else {}),
    }
    discounts = {}
    if card.discounts.percentage is not None:
        discounts["percentage"] = int(card.discounts.percentage)
    if card.discounts.usage is not None:
        discounts["usage"] = f"{card.discounts.usage:f}"
    return found | ({"discounts": discounts} if discounts else {})


def _price_v3(card: RateCard) -> Document:
    price = card.price
    if isinstance(price, TieredPrice):
        tiers = [
            {
                name: f"{value:f}"
                if name == "up_to_amount"
                else {"type": name.split("_")[0], "amount": f"{value:f}"}
                for name in ("up_to_amount", "flat_price", "unit_price")
                if (value := getattr(tier, name)) is not None
            }
            for tier in price.tiers
        ]
        return {"type": price.mode, "tiers": tiers}
    if isinstance(price, DynamicPrice):
        return {"type": "unit", "amount": "1"}
    if price.type == "free":
        return {"type": "free"}
    return {"type": "flat" if isinstance(price, FlatPrice) else "unit", "amount": f"{price.amount:f}"}


def _unit_config_v3(card: RateCard) -> Document:
    """Of dynamic and package prices v3 makes one."""
    if isinstance(card.price, DynamicPrice):
        return {"unit_config": {"operation": "multiply", "conversion_factor": f"{card.price.multiplier:f}"}}
    if isinstance(card.price, PackagePrice):
        size = f"{card.price.quantity_per_package:f}"
        return {
            "unit_config": {
                "operation": "divide",
                "conversion_factor": size,
                "rounding": "ceiling",
                "precision": 0,
            }
        }
    return {} if card.unit_config is None else {"unit_config": plain(card.unit_config)}
