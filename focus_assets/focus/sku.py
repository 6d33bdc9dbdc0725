"""SkuId and SkuPriceId: what is bought, and the price it is bought at.

``SkuId`` is the feature's key and the meter's ``sku_dimensions``: ``chat/model=large``, never the plan.
``SkuPriceId`` is ``plan/ratecard/component[:tier]``, of a price that no plan publishes
``default/feature/component[:tier]``, and then the same dimensions: ``pro/chat/usage:2/model=large``. Neither
has a version, currency or amount, so both outlast price changes (FOCUS columns SkuId, SkuPriceId).

A price has one SkuId only, so the dimensions that split the SKU have to split the price too. The tier is the
published price's, which is what a reader can look up, also where the customer's own price has other tiers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

import polars as pl

from focus_assets.catalog.charges import Charge, published_card
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.key_values import Value, layered
from focus_assets.catalog.models import Meter, Price, TieredPrice
from focus_assets.catalog.prices import PackagePrice
from focus_assets.catalog.rate_card_terms import Discounts
from focus_assets.catalog.snapshot import Catalog, FocusDefaults
from focus_assets.errors import FocusAssetsError
from focus_assets.rating.lines import FLAT_FEE_COMPONENT

CUSTOM_PLAN = "default"
FREE_TIER = "free"


class AmbiguousSkuPriceError(FocusAssetsError):
    """A SkuPriceId would have two SkuIds."""


def price_stem(charge: Charge) -> str:
    """The SkuPriceId of a charge up to its component; the same over the whole charge."""
    card = charge.rate_card
    if charge.plan is not None and published_card(charge.plan, card, charge.period.start):
        return f"{charge.plan.key}/{card.key}"
    return f"{CUSTOM_PLAN}/{charge.feature.key}"


def fee_price_id(fee: Fee) -> str:
    """The SkuPriceId of a flat fee."""
    if fee.plan is not None and published_card(fee.plan, fee.rate_card, fee.service.start):
        return f"{fee.plan.key}/{fee.rate_card.key}/{FLAT_FEE_COMPONENT}"
    return f"{CUSTOM_PLAN}/{fee.key}/{FLAT_FEE_COMPONENT}"


def require_one_sku_per_price(catalog: Catalog) -> None:
    """Raise :class:`AmbiguousSkuPriceError` where a rate card's versions price different features."""
    features: dict[str, str] = {}
    for stem, feature in _stems(catalog):
        other = features.setdefault(stem, feature)
        if other != feature:
            plan, key = stem.split("/")
            raise AmbiguousSkuPriceError(
                f"plans[{plan}].rate_cards[{key}] prices feature {feature!r}, but SkuPriceId {stem!r} is "
                f"that of feature {other!r}, and FOCUS allows a price one SKU. Give the rate card a key that "
                f"no other feature has used ({CUSTOM_PLAN!r} as a plan stands for prices that no plan "
                "publishes). "
                "Nothing was written."
            )


def _stems(catalog: Catalog) -> Iterator[tuple[str, str]]:
    for feature in catalog.features:
        yield f"{CUSTOM_PLAN}/{feature.key}", feature.key
    for plan in catalog.plans:
        for card in plan.rate_cards:
            yield f"{plan.key}/{card.key}", card.feature or card.key


def published_tier(
    price: Price, discounts: Discounts, start: Decimal, *, fee: bool = False
) -> tuple[str, Decimal] | None:
    """What of the published price takes what lies above ``start``: name and lower bound; None if it has one part.

    The name is a tier's number from 1, or ``free`` of the units that a published discount leaves free, behind
    which tiers begin to count. A ``fee`` is never free: what is due at the start is the first tier's.
    """
    free = discounts.usage or Decimal(0)
    if start < free and not fee:
        return FREE_TIER, Decimal(0)
    if not isinstance(price, TieredPrice):
        return None
    bounds = [Decimal(0), *(tier.up_to_amount for tier in price.tiers if tier.up_to_amount is not None)]
    passed = [bound for bound in bounds if bound <= max(start - free, Decimal(0))]
    return str(len(passed)), passed[-1]


def price_details(
    price: Price, tier: tuple[str, Decimal] | None, stated: Mapping[str, Value] = MappingProxyType({})
) -> str:
    """SkuPriceDetails: a flat JSON object, of the price's ``x_`` keys and what the configuration states beside them."""
    details: dict[str, Value] = {"x_PriceModel": price.mode if isinstance(price, TieredPrice) else price.type}
    if isinstance(price, PackagePrice):
        details["x_PackageSize"] = f"{price.quantity_per_package.normalize():f}"
    if tier is not None:
        number, start = tier
        details |= {"x_Tier": number, "x_TierFrom": f"{start.normalize():f}"}
    return _object({**stated, **details})


def plain_price_details(model: str, stated: Mapping[str, Value]) -> str:
    """SkuPriceDetails of what no :data:`Price` prices: its model, and what the configuration states."""
    return _object({**stated, "x_PriceModel": model})


def stated_details(defaults: FocusDefaults, meter: Meter | None = None) -> dict[str, Value]:
    """What the configuration states of the prices of a meter, or of what has none."""
    return layered(defaults.sku_price_details, meter.sku_price_details if meter is not None else {})


def _object(details: Mapping[str, Value]) -> str:
    return json.dumps(details, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sku_suffix(values: Iterable[tuple[str, pl.Expr]]) -> pl.Expr:
    """``/model=large/type=input`` of the dimensions that have a value; never null.

    ``%`` and ``/`` within a value are percent-encoded, so that different values never give the same id.
    """
    parts = [
        pl.lit(f"/{name}=")
        + value.str.replace_all("%", "%25", literal=True).str.replace_all("/", "%2F", literal=True)
        for name, value in values
    ]
    return pl.concat_str(parts, ignore_nulls=True) if parts else pl.lit("")
