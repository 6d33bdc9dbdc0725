"""One small vendor with two customers, and rated lines written by hand, for the tests of row building."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import polars as pl

from focus_assets.catalog.charges import ChargeSlice, slices_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.rating.lines import RATED_LINES

DAY = dt.date(2026, 8, 20)

DEFAULTS: dict[str, Any] = {
    "provider_name": "Acme Cloud",
    "currency": "EUR",
    "vendor_tag_prefix": "acme",
    "dimensions": {
        "ServiceName": "Acme Chat",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "RegionId": None,
    },
}

TOKENS: dict[str, Any] = {
    "slug": "tokens",
    "name": "Tokens Used",
    "event_type": "prompt",
    "aggregation": "SUM",
    "value_property": "$.tokens",
    "unit": "Tokens",
    "group_by": {"model": "$.model", "region": "$.region", "team": "$.team"},
    "sku_dimensions": ["model"],
    "dimensions": {"RegionId": {"dimension": "region", "default": "eu-west"}},
}

SEATS: dict[str, Any] = {
    "slug": "seats",
    "event_type": "seat",
    "aggregation": "MAX",
    "value_property": "$.seats",
    "unit": "Seats",
}

CATALOG: dict[str, Any] = {
    "defaults": DEFAULTS,
    "meters": [TOKENS, SEATS],
    "features": [
        {"key": "chat", "name": "Chat", "meter": "tokens"},
        {"key": "seats", "meter": "seats"},
    ],
    "customers": [
        {
            "key": "globex",
            "id": "01J5GLOBEX",
            "name": "Globex GmbH",
            "subject_keys": ["globex-prod"],
            "labels": {"tier": "gold"},
        },
        {"key": "initech"},
    ],
    "plans": [
        {
            "key": "pro",
            "name": "Pro",
            "rate_cards": [
                {
                    "feature": "chat",
                    "price": {
                        "type": "tiered",
                        "mode": "graduated",
                        "tiers": [
                            {"up_to_amount": 1000, "unit_price": "0.02", "flat_price": "5"},
                            {"unit_price": "0.01", "flat_price": "3.5"},
                        ],
                    },
                }
            ],
        }
    ],
    "subscriptions": [
        {"customer": "globex", "plan": "pro", "active_from": "2026-08-15T13:22:07Z"},
        {
            "customer": "initech",
            "active_from": "2026-08-01",
            "rate_cards": [{"feature": "seats", "price": {"type": "unit", "amount": "4"}}],
        },
    ],
}

GRADUATED = "globex/pro/chat/20260815T132207Z"
UNIT = "initech/default/seats/20260801T000000Z"


def catalog(**changes: Any) -> Catalog:
    """The sample vendor with top-level entries replaced."""
    return Catalog.model_validate(CATALOG | changes)


def slices(of: Catalog, day: dt.date = DAY) -> list[ChargeSlice]:
    """What is rated that day."""
    return slices_on(of.on(day), day)


def line(
    quantity: str = "10",
    price: str = "0.02",
    *,
    charge: str = GRADUATED,
    component: str = "usage",
    tier: int | None = 1,
    subject: str | None = "globex-prod",
    dimensions: Mapping[str, str | None] | None = None,
    list_price: str | None = None,
    day: dt.date = DAY,
) -> dict[str, Any]:
    """One rated line of a whole day."""
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    amount, listed = Decimal(quantity) * Decimal(price), Decimal(quantity) * Decimal(list_price or price)
    is_fee = component == "tier_fee"
    return {
        "charge_id": charge,
        "slice_from": start,
        "slice_to": start + dt.timedelta(days=1),
        "component": component,
        "tier": tier,
        "subject": None if is_fee else subject,
        "dimensions": json.dumps(dimensions or {}, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        "consumed_quantity": None if is_fee else Decimal(quantity),
        "pricing_quantity": Decimal(quantity),
        "list_unit_price": Decimal(list_price or price),
        "contracted_unit_price": Decimal(price),
        "list_cost": listed,
        "contracted_cost": amount,
        "billed_cost": amount,
        "effective_cost": amount,
    }


def fee(amount: str = "3.5", tier: int = 2) -> dict[str, Any]:
    """The fee of a tier entered."""
    return line("1", amount, component="tier_fee", tier=tier)


def rated(*lines: dict[str, Any]) -> pl.LazyFrame:
    """Rated lines as the kernel returns them."""
    return pl.LazyFrame(list(lines), schema=RATED_LINES)
