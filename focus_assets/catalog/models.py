"""What is metered, for whom and at what price, in OpenMeter's vocabulary.

What belongs here: the entries of a catalog and their own validity rules. What does not: where they come from
(``settings``, ``openmeter``), periods (``periods``) and charges (``charges``).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from focus_assets.catalog.currencies import CurrencyCode, PriceCurrencyCode
from focus_assets.catalog.entry import Entry as Entry
from focus_assets.catalog.periods import Cadence
from focus_assets.catalog.prices import FlatPrice as FlatPrice
from focus_assets.catalog.prices import FreePrice as FreePrice
from focus_assets.catalog.prices import Price as Price
from focus_assets.catalog.prices import Tier as Tier
from focus_assets.catalog.prices import TieredPrice as TieredPrice
from focus_assets.catalog.prices import UnitPrice as UnitPrice
from focus_assets.catalog.rate_card_terms import Discounts, ProRatingConfig, UnitConfig

SLUG = r"^[a-z0-9]+(?:[_-][a-z0-9]+)*$"
DIMENSION_KEY = r"^[a-zA-Z_][0-9a-zA-Z_]*$"


def _utc(value: dt.datetime) -> dt.datetime:
    if value.tzinfo is None:
        raise ValueError("needs a time zone, such as 2026-08-15T13:22:07Z")
    if value.microsecond:
        raise ValueError("is finer than a second; periods begin and end on whole seconds")
    return value.astimezone(dt.UTC)


def _calendar_text(value: Any) -> Any:
    """Pydantic reads the number 2026 as seconds since 1970; nobody who writes a year means that."""
    is_number = isinstance(value, int | float | Decimal)
    if is_number or (isinstance(value, str) and re.fullmatch(r"\s*[-+]?[\d.]+\s*", value)):
        raise ValueError(
            "is a number; write a day such as 2026-08-01 or an instant such as 2026-08-15T13:22:07Z"
        )
    return value


def _date_to_instant(value: Any) -> Any:
    """A bare date in YAML means midnight UTC."""
    value = _calendar_text(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time(), dt.UTC)
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return f"{value}T00:00:00Z"
    return value


Day = Annotated[dt.date, BeforeValidator(_calendar_text)]
"""A UTC day."""

Instant = Annotated[dt.datetime, BeforeValidator(_date_to_instant), AfterValidator(_utc)]
"""A UTC instant on a whole second; a bare date is its midnight."""

Slug = Annotated[str, Field(pattern=SLUG, max_length=64)]


class Aggregation(StrEnum):
    """How a meter turns events into one value."""

    SUM = "SUM"
    COUNT = "COUNT"
    AVG = "AVG"
    MIN = "MIN"
    MAX = "MAX"
    UNIQUE_COUNT = "UNIQUE_COUNT"
    LATEST = "LATEST"

    @property
    def adds_up_over_time(self) -> bool:
        """Whether the value of a period is the sum of the values of its parts."""
        return self in (Aggregation.SUM, Aggregation.COUNT)


class FromDimension(Entry):
    """A FOCUS dimension whose value an event carries; ``default`` stands in where an event has none."""

    dimension: Annotated[str, Field(pattern=DIMENSION_KEY)]
    """The group_by key of the meter that holds the value."""
    default: str | None = None
    """The value where an event has none."""


def _is_from_dimension(value: Any) -> str:
    return "(dimension)" if isinstance(value, Mapping | FromDimension) else "(text)"


DimensionSetting = Annotated[
    Annotated[str | None, Tag("(text)")] | Annotated[FromDimension, Tag("(dimension)")],
    Discriminator(_is_from_dimension),
]
"""A FOCUS column's value: a text, an explicit null, or the name of an event dimension."""


class Meter(Entry):
    """A meter: which events count, how, and what one unit is called."""

    slug: Slug
    """What features refer to."""
    name: str = ""
    """Display name; becomes SkuMeter."""
    event_type: Annotated[str, Field(min_length=1)]
    """CloudEvents type of the events that count."""
    aggregation: Aggregation
    """How events become one value."""
    value_property: str | None = None
    """JSON path of the value in the event's data, such as $.tokens; none for COUNT."""
    group_by: Mapping[Annotated[str, Field(pattern=DIMENSION_KEY)], str] = {}
    """Dimension key to JSON path in the event's data."""
    event_from: Instant | None = None
    """Events before this instant do not count."""
    unit: Annotated[str, Field(min_length=1)] = "Units"
    """What one unit is called; becomes ConsumedUnit."""
    sku_dimensions: tuple[str, ...] = ()
    """Dimensions that change what is bought; they become part of SkuId."""
    tag_dimensions: tuple[str, ...] | None = None
    """Dimensions that become Tags; all of group_by where absent."""
    dimensions: Mapping[str, DimensionSetting] = {}
    """FOCUS columns of this meter's rows: a text, null, or {dimension: KEY}."""

    @property
    def title(self) -> str:
        """The display name; the slug where none was given."""
        return self.name or self.slug

    @model_validator(mode="after")
    def _value_property_fits_the_aggregation(self) -> Self:
        if self.aggregation is Aggregation.COUNT:
            if self.value_property is not None:
                raise ValueError("value_property has no meaning for COUNT; leave it out")
        elif self.value_property is None:
            raise ValueError(f"value_property is needed for {self.aggregation}, such as $.tokens")
        if "subject" in self.group_by:
            raise ValueError(
                "group_by key 'subject' is taken: it names the event's own subject; choose another"
            )
        for key, path in [("value_property", self.value_property), *self.group_by.items()]:
            if path is not None and not path.startswith("$"):
                raise ValueError(f"{key} is the JSON path {path!r}; JSON paths begin with $")
        used = [*self.sku_dimensions, *(self.tag_dimensions or ())]
        used += [s.dimension for s in self.dimensions.values() if isinstance(s, FromDimension)]
        for name in used:
            if name not in self.group_by and name != "subject":
                raise ValueError(
                    f"dimension {name!r} is not one of the meter's group_by keys "
                    f"({', '.join(self.group_by) or 'none'})"
                )
        return self


class Feature(Entry):
    """What a customer buys: a meter, optionally only where its dimensions have certain values; or what a fee is for."""

    key: Slug
    """What rate cards refer to."""
    name: str = ""
    """Display name."""
    meter: Slug | None = None
    """Slug of the meter; none for what is sold at flat fees only."""
    filters: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    """Dimension key to the values that count; others are not this feature."""

    @field_validator("filters")
    @classmethod
    def _absent_values_cannot_be_chosen(
        cls, value: Mapping[str, tuple[str, ...]]
    ) -> Mapping[str, tuple[str, ...]]:
        for name, allowed in value.items():
            for absent in ("", "null"):
                if absent in allowed:
                    raise ValueError(f"{name}: {absent!r} is how an absent value arrives and matches nothing")
        return value

    @model_validator(mode="after")
    def _filters_need_a_meter(self) -> Self:
        if self.meter is None and self.filters:
            raise ValueError("filters choose from a meter's usage; name the meter, or leave them out")
        return self

    @property
    def title(self) -> str:
        """The display name; the key where none was given."""
        return self.name or self.key


class Customer(Entry):
    """A customer and the subjects whose usage is theirs: its key and its subject keys."""

    key: Annotated[str, Field(min_length=1, max_length=256)]
    """What subscriptions refer to; also a subject of its own."""
    id: str | None = None
    """What identifies the customer for ever, such as OpenMeter's id; the key where absent."""
    name: str = ""
    """Display name."""
    subject_keys: tuple[str, ...] = ()
    """Subjects whose usage is this customer's."""
    labels: Mapping[str, str] = {}
    """Texts of your own."""
    dimensions: Mapping[str, str | None] = {}
    """FOCUS columns of this customer's rows."""
    valid_from: Day | None = None
    """First day of this version; repeat the customer for a later one."""

    @property
    def title(self) -> str:
        """The display name; the key where none was given."""
        return self.name or self.key

    @property
    def account_id(self) -> str:
        """What identifies the customer for ever: its id, else its key."""
        return self.id or self.key

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject attributed to this customer, its own key first."""
        return (self.key, *(key for key in self.subject_keys if key != self.key))


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
