"""What is sold: rate cards, the plans that publish them, and who is subscribed to which.

What belongs here: how prices are offered and agreed. What does not: what a price is (``prices``), what stands beside
it (``rate_card_terms``), and the charges that come of a subscription (``charges``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any, Self

from pydantic import model_validator

from focus_assets.catalog.currencies import CurrencyCode, PriceCurrencyCode
from focus_assets.catalog.entry import Entry, Slug
from focus_assets.catalog.instants import Instant
from focus_assets.catalog.periods import Cadence
from focus_assets.catalog.prices import FlatPrice, FreePrice, Price, TieredPrice, UnitPrice
from focus_assets.catalog.rate_card_terms import Discounts, ProRatingConfig, UnitConfig


class RateCard(Entry):
    """The price of one feature, or a flat fee, within a plan or subscription, from ``valid_from`` on."""

    key: Slug = ""
    """What a negotiated price replaces; the feature's key where absent."""
    feature: Slug | None = None
    """Key of the feature; a flat fee needs none."""
    name: str = ""
    """Display name."""
    billing_cadence: Cadence | None = None
    """How often tiers begin anew or a fee is due, such as P1M; the plan's where absent. null: a fee is due once."""
    one_time: bool = False
    """Whether a flat fee is due once, as billing_cadence null says."""
    price: Price
    """A free, unit, tiered, package or dynamic price, or a flat fee."""
    unit_config: UnitConfig | None = None
    """How metered units become those that a unit or tiered price is for."""
    discounts: Discounts = Discounts()
    """Free units of each rating period, and a percentage off."""
    dimensions: Mapping[str, str | None] = {}
    """FOCUS columns of a flat fee's rows; its feature's meter's, else the defaults, where absent."""
    valid_from: Instant | None = None
    """From when this version is in force; repeat the key for a price change."""
    valid_to: Instant | None = None
    """Until when this version is in force, exclusive; until the next version where absent."""

    @model_validator(mode="after")
    def _converted_units_have_a_unit_price(self) -> Self:
        if self.unit_config is not None and not isinstance(self.price, FreePrice | UnitPrice | TieredPrice):
            raise ValueError(
                f"unit_config converts the units of a unit or tiered price; the price is {self.price.type}"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _key_defaults_to_the_feature(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "key" not in data and "feature" in data:
            return {**data, "key": data["feature"]}
        return data

    @model_validator(mode="before")
    @classmethod
    def _no_cadence_is_once(cls, data: Any) -> Any:
        """OpenMeter's one-time fees have the cadence null."""
        if not isinstance(data, Mapping) or "one_time" in data or "oneTime" in data:
            return data
        price = data.get("price")
        flat = isinstance(price, FlatPrice) or (isinstance(price, Mapping) and price.get("type") == "flat")
        cadence = next((data[key] for key in ("billing_cadence", "billingCadence") if key in data), "")
        return {**data, "one_time": True} if flat and cadence is None else data

    @model_validator(mode="after")
    def _is_a_fee_or_a_price_of_usage(self) -> Self:
        if not self.key:
            raise ValueError("needs a feature, or for a flat fee at least a key")
        if self.is_fee:
            if self.discounts.usage is not None:
                raise ValueError(
                    "discounts.usage: a flat fee has no usage to leave free; only percentage applies"
                )
            if self.one_time and self.billing_cadence is not None:
                raise ValueError(f"is due once and every {self.billing_cadence}; leave one of the two out")
            return self
        if self.feature is None:
            raise ValueError("feature is needed for a price of usage; only flat fees do without")
        if self.one_time:
            raise ValueError("one_time: only flat fees are due once")
        if self.dimensions:
            raise ValueError("dimensions are of flat fees; those of usage are its meter's")
        return self

    @property
    def is_fee(self) -> bool:
        """Whether it is a flat fee, which no usage changes."""
        return isinstance(self.price, FlatPrice)


_MONTHLY = Cadence.parse("P1M")


def _versions_are_distinct(rate_cards: tuple[RateCard, ...]) -> None:
    seen: set[tuple[str, dt.datetime | None]] = set()
    for card in rate_cards:
        if (card.key, card.valid_from) in seen:
            raise ValueError(
                f"rate card {card.key!r} stands twice with the same valid_from; "
                "a price change repeats the key with a later valid_from"
            )
        seen.add((card.key, card.valid_from))


class Plan(Entry):
    """A published price: what a subscription is compared with."""

    key: Slug
    """What subscriptions refer to."""
    name: str = ""
    """Display name."""
    currency: PriceCurrencyCode | None = None
    """ISO 4217 code or a custom currency; the default's where absent."""
    billing_cadence: Cadence = Cadence.parse("P1M")
    """How often is invoiced, such as P1M or P3M."""
    pro_rating_config: ProRatingConfig = ProRatingConfig()
    """Whether flat fees of a period that is cut short are charged in part."""
    rate_cards: tuple[RateCard, ...] = ()
    """The published prices."""

    @property
    def title(self) -> str:
        """The display name; the key where none was given."""
        return self.name or self.key

    @model_validator(mode="after")
    def _rate_cards_are_distinct(self) -> Self:
        _versions_are_distinct(self.rate_cards)
        return self


class Subscription(Entry):
    """A customer's subscription to a plan, or to rate cards of its own.

    ``rate_cards`` with the key of one of the plan's replace it (a negotiated price); others are added.
    """

    key: str = ""
    """Unique name; customer/plan where absent."""
    customer: str
    """Key of the customer."""
    plan: Slug | None = None
    """Key of the plan."""
    currency: CurrencyCode | None = None
    """ISO 4217 code that is invoiced in; the plan's where absent, the default's where that is a custom currency."""
    active_from: Instant
    """When it begins, to the second."""
    active_to: Instant | None = None
    """When it ends, exclusive; open where absent."""
    billing_anchor: Instant | None = None
    """What periods are counted from; active_from where absent."""
    billing_cadence: Cadence | None = None
    """How often is invoiced; the plan's where absent."""
    pro_rating_config: ProRatingConfig | None = None
    """Whether flat fees of a period that is cut short are charged in part; the plan's where absent."""
    progressive_billing: tuple[Instant, ...] = ()
    """Instants within billing periods at which usage so far is invoiced, as by OpenMeter's progressive billing."""
    rate_cards: tuple[RateCard, ...] = ()
    """Negotiated or additional prices."""
    own_prices_only: bool = False
    """Whether the plan is only what prices are compared with, and rate_cards are all that is bought."""

    @model_validator(mode="before")
    @classmethod
    def _key_defaults_to_customer_and_plan(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and not data.get("key") and "customer" in data:
            return {**data, "key": f"{data['customer']}/{data.get('plan') or 'default'}"}
        return data

    @model_validator(mode="after")
    def _is_a_subscription(self) -> Self:
        if self.active_to is not None and self.active_to <= self.active_from:
            raise ValueError(
                f"active_to {self.active_to:%FT%TZ} is not after active_from {self.active_from:%FT%TZ}"
            )
        if list(self.progressive_billing) != sorted(set(self.progressive_billing)):
            raise ValueError("progressive_billing has instants that are not one after the other")
        if self.plan is None and not self.rate_cards:
            raise ValueError("needs a plan, rate_cards, or both")
        _versions_are_distinct(self.rate_cards)
        return self

    def is_active_at(self, instant: dt.datetime) -> bool:
        """Whether it is in force at ``instant``."""
        return self.active_from <= instant and (self.active_to is None or instant < self.active_to)

    @property
    def anchor(self) -> dt.datetime:
        """The instant that billing and rating periods are counted from."""
        return self.billing_anchor or self.active_from


def billing_cadence(plan: Plan | None, subscription: Subscription) -> Cadence:
    """How often a subscription is invoiced."""
    return subscription.billing_cadence or (plan.billing_cadence if plan else _MONTHLY)


def oldest_rating_period(
    plan: Plan | None, subscription: Subscription, day: dt.datetime, features: Collection[str] = ()
) -> dt.datetime | None:
    """When the first began of the rating periods, of usage of ``features`` or of all, that have a part on a day.

    ``day`` is its midnight. None where nothing of the kind is sold.
    """
    cards = [*subscription.rate_cards]
    if plan is not None and not subscription.own_prices_only:
        cards += plan.rate_cards
    usual = billing_cadence(plan, subscription)
    cadences = {
        card.billing_cadence or usual
        for card in cards
        if not card.is_fee and (not features or card.feature in features)
    }
    first = max(day, subscription.active_from)
    starts = [cadence.period_at(subscription.anchor, first).start for cadence in cadences]
    return max(min(starts), subscription.active_from) if starts else None
