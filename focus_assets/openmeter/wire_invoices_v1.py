"""Invoices as v1 answers them, as far as they are read here (``/api/v1/billing/invoices``, amounts as texts)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import Field

from focus_assets.openmeter.wire import Instant, Numeric
from focus_assets.openmeter.wire_v1 import V1

_ZERO = Decimal(0)


class Span(V1):
    """A period; ``to`` is exclusive."""

    start: Instant = Field(validation_alias="from")
    end: Instant = Field(validation_alias="to")


class Totals(V1):
    """``total`` = amount + charges + exclusive taxes - discounts - credits; inclusive taxes are part of the amount."""

    amount: Numeric
    charges_total: Numeric
    discounts_total: Numeric
    credits_total: Numeric
    taxes_inclusive_total: Numeric
    taxes_exclusive_total: Numeric
    taxes_total: Numeric
    total: Numeric


class Reference(V1):
    id: str


class SubscriptionReference(V1):
    """The version of a subscription's item that a line is for."""

    subscription: Reference
    item: Reference
    billing_period: Span


class RateCard(V1):
    feature_key: str | None = None
    price: Mapping[str, Any] | None = None


class DetailRateCard(V1):
    """What took the place of a detailed line's ``perUnitAmount`` and ``quantity``, which are deprecated."""

    quantity: Numeric | None = None
    price: Mapping[str, Any] | None = None


class DetailedLine(V1):
    """One component of a line's price; ``category`` may be one that is not known here."""

    id: str
    name: str = ""
    category: str = "regular"
    quantity: Numeric | None = None
    per_unit_amount: Numeric | None = None
    rate_card: DetailRateCard | None = None
    totals: Totals
    deleted_at: Instant | None = None


class Line(V1):
    """A line; ``managedBy`` says ``manual`` where somebody added or edited it by hand."""

    id: str
    name: str = ""
    managed_by: str
    status: str
    currency: str
    totals: Totals
    period: Span
    invoice_at: Instant
    feature_key: str | None = None
    price: Mapping[str, Any] | None = None
    rate_card: RateCard | None = None
    subscription: SubscriptionReference | None = None
    metered_quantity: Numeric | None = None
    metered_pre_line_period_quantity: Numeric | None = None
    children: list[DetailedLine] | None = None
    deleted_at: Instant | None = None


class Party(V1):
    id: str | None = None
    key: str | None = None
    name: str | None = None


class Invoice(V1):
    """An invoice; ``status`` and ``type`` may be ones that are not known here."""

    id: str
    number: str
    type: str
    status: str
    currency: str
    supplier: Party
    customer: Party
    totals: Totals
    created_at: Instant
    issued_at: Instant | None = None
    due_at: Instant | None = None
    voided_at: Instant | None = None
    deleted_at: Instant | None = None
    lines: list[Line] | None = None
