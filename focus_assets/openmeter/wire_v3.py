"""What v3 answers, as far as it is read here (``/api/v3/openmeter/...``, snake_case, numbers as texts)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from focus_assets.openmeter.wire import Instant, Numeric, Whole, Wire


class PageNumbers(Wire):
    """``meta.page`` of a numbered list."""

    number: Whole
    size: Whole
    total: Whole


class NumberedMeta(Wire):
    page: PageNumbers


class NumberedPage(Wire):
    """A page of a numbered list."""

    data: list[Any]
    meta: NumberedMeta


class Cursor(Wire):
    """``meta.page`` of a list read by cursor; ``next`` is the cursor itself."""

    size: Whole | None = None
    next: str | None = None


class CursorMeta(Wire):
    page: Cursor


class CursorPage(Wire):
    """A page of a list read by cursor."""

    data: list[Any]
    meta: CursorMeta


class Meter(Wire):
    """A meter; ``aggregation`` may be one that is not known here."""

    id: str
    key: str
    name: str
    aggregation: str
    event_type: str
    events_from: Instant | None = None
    value_property: str | None = None
    dimensions: Mapping[str, str] = {}
    deleted_at: Instant | None = None


class QueryRow(Wire):
    """A value; ``dimensions`` leaves out what an event did not have."""

    value: Numeric
    start: Instant = Field(validation_alias="from")
    end: Instant = Field(validation_alias="to")
    dimensions: Mapping[str, str | None]


class QueryResult(Wire):
    """The answer to a meter query."""

    data: list[QueryRow]


class UsageAttribution(Wire):
    subject_keys: list[str] = []


class Customer(Wire):
    id: str
    key: str
    name: str = ""
    labels: Mapping[str, str] | None = None
    usage_attribution: UsageAttribution | None = None
    deleted_at: Instant | None = None


class FeatureMeter(Wire):
    id: str
    filters: Mapping[str, Mapping[str, Any]] = {}


class Feature(Wire):
    id: str
    key: str
    name: str = ""
    meter: FeatureMeter | None = None
    unit_cost: Mapping[str, Any] | None = None
    deleted_at: Instant | None = None


class Named(Wire):
    id: str


class LlmPrice(Wire):
    """What a model's tokens cost; ``pricing`` stays as it came."""

    id: str
    provider: Named
    model: Named
    pricing: Mapping[str, Any]
    currency: str
    source: str
    effective_from: Instant
    effective_to: Instant | None = None


class ListedSubscription(Wire):
    """A subscription as v3 lists it: enough to know whose it is; its items' history is v1's."""

    id: str
    customer_id: str
    deleted_at: Instant | None = None


class UnitConfig(Wire):
    """How metered units become the units that are priced; stays as it came."""

    operation: str
    conversion_factor: str
    rounding: str | None = None
    precision: Whole | None = None
    display_unit: str | None = None


class FeatureReference(Wire):
    id: str


class RateCard(Wire):
    """A price; ``price``, ``commitments`` and ``discounts`` stay as they came. ``currency``: where not the plan's."""

    key: str
    name: str = ""
    feature: FeatureReference | None = None
    currency: str | None = None
    billing_cadence: str | None = None
    price: Mapping[str, Any]
    payment_term: str | None = None
    commitments: Mapping[str, Any] | None = None
    discounts: Mapping[str, Any] | None = None
    unit_config: UnitConfig | None = None


class Item(Wire):
    """The version of a subscription's item that is active now; its history is v1's, but v1 has no ``unit_config``."""

    id: str
    active_from: Instant
    active_to: Instant | None = None
    rate_card: RateCard


class Phase(Wire):
    key: str
    items: list[Item] = []


class PlanReference(Wire):
    id: str
    key: str
    version: int


class Subscription(Wire):
    """A subscription with its items as they are now."""

    id: str
    name: str = ""
    customer_id: str
    plan: PlanReference | None = None
    invoice_currency: str
    active_from: Instant
    active_to: Instant | None = None
    billing_anchor: Instant
    billing_cadence: str
    pro_rating_config: Mapping[str, Any] | None = None
    phases: list[Phase] = []


class PlanPhase(Wire):
    key: str
    rate_cards: list[RateCard]


class Plan(Wire):
    """One version of a plan."""

    id: str
    key: str
    name: str = ""
    version: int
    currency: str
    billing_cadence: str
    pro_rating_enabled: bool = True
    status: str
    effective_from: Instant | None = None
    effective_to: Instant | None = None
    phases: list[PlanPhase]


class EventEnvelope(Wire):
    id: str
    source: str
    type: str
    subject: str
    time: Instant | None = None


class StoredEvent(Wire):
    """An event and when it came."""

    event: EventEnvelope
    ingested_at: Instant
    stored_at: Instant
