"""What v1 answers, as far as it is read here (``/api/v1/...``, camelCase, metered values as JSON numbers).

Prices stay as they came: ``snapshot`` hands them to the catalog's own models, which know which there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AliasGenerator, ConfigDict
from pydantic.alias_generators import to_camel

from focus_assets.openmeter.wire import Instant, Number, Whole, Wire


class V1(Wire):
    """Part of an answer of v1."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=AliasGenerator(validation_alias=to_camel)
    )


class Page(V1):
    """A page of a numbered list."""

    total_count: Whole
    page: Whole
    page_size: Whole
    items: list[Any]


class Meter(V1):
    """A meter; ``aggregation`` may be one that is not known here."""

    id: str
    slug: str
    name: str | None = None
    aggregation: str
    event_type: str
    event_from: Instant | None = None
    value_property: str | None = None
    group_by: Mapping[str, str] | None = None
    deleted_at: Instant | None = None


class QueryRow(V1):
    value: Number
    window_start: Instant
    window_end: Instant
    subject: str | None = None
    group_by: Mapping[str, str | None] | None = None


class QueryResult(V1):
    """The answer to a meter query."""

    data: list[QueryRow]


class Currency(V1):
    code: str
    name: str
    symbol: str
    subunits: Whole


class UsageAttribution(V1):
    subject_keys: list[str] = []


class Customer(V1):
    id: str
    key: str | None = None
    name: str = ""
    metadata: Mapping[str, str] | None = None
    usage_attribution: UsageAttribution | None = None
    deleted_at: Instant | None = None


class Feature(V1):
    id: str
    key: str
    name: str = ""
    meter_slug: str | None = None
    meter_group_by_filters: Mapping[str, str] | None = None
    advanced_meter_group_by_filters: Mapping[str, Mapping[str, Any]] | None = None
    unit_cost: Mapping[str, Any] | None = None
    deleted_at: Instant | None = None
    archived_at: Instant | None = None


class Item(V1):
    """One version of a subscription item."""

    id: str | None = None
    key: str
    name: str = ""
    active_from: Instant
    active_to: Instant | None = None
    feature_key: str | None = None
    billing_cadence: str | None
    price: Mapping[str, Any] | None
    discounts: Mapping[str, Any] | None = None
    unit_config: Mapping[str, Any] | None = None


class Phase(V1):
    """A phase with every version of each of its items."""

    key: str
    item_timelines: Mapping[str, list[Item]]


class PlanReference(V1):
    id: str | None = None
    key: str
    version: Whole


class ListedSubscription(V1):
    id: str
    customer_id: str
    deleted_at: Instant | None = None


class Subscription(V1):
    """A subscription with all its phases."""

    id: str
    name: str = ""
    customer_id: str
    plan: PlanReference | None = None
    currency: str
    active_from: Instant
    active_to: Instant | None = None
    billing_anchor: Instant
    billing_cadence: str
    pro_rating_config: Mapping[str, Any] | None = None
    phases: list[Phase]


class RateCard(V1):
    type: str
    key: str
    name: str = ""
    feature_key: str | None = None
    billing_cadence: str | None
    price: Mapping[str, Any] | None
    discounts: Mapping[str, Any] | None = None
    unit_config: Mapping[str, Any] | None = None


class PlanPhase(V1):
    key: str
    rate_cards: list[RateCard]


class Plan(V1):
    """One version of a plan."""

    id: str
    key: str
    name: str = ""
    version: Whole
    currency: str
    billing_cadence: str
    pro_rating_config: Mapping[str, Any] | None = None
    status: str
    effective_from: Instant | None = None
    effective_to: Instant | None = None
    phases: list[PlanPhase]


class EventEnvelope(V1):
    id: str
    source: str
    type: str
    subject: str
    time: Instant | None = None


class StoredEvent(V1):
    """An event and when it came."""

    event: EventEnvelope
    ingested_at: Instant
    stored_at: Instant
