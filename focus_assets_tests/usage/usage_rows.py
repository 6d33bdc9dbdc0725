"""Raw usage by the row, and the catalog it belongs to, for tests of what usage becomes."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import polars as pl

from focus_assets.catalog.charges import ChargeSlice, slices_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import NORMALIZED_USAGE, RAW_USAGE
from focus_assets.usage.normalize import normalized_usage
from focus_assets_tests.catalog.building import at, plain_catalog, unit

DAY = dt.date(2026, 3, 10)

METERS = [
    {
        "slug": "tokens",
        "event_type": "prompt",
        "aggregation": "SUM",
        "value_property": "$.tokens",
        "group_by": {"model": "$.model", "direction": "$.direction"},
        "unit": "Tokens",
    },
    {
        "slug": "seats",
        "event_type": "seats",
        "aggregation": "MAX",
        "value_property": "$.seats",
        "unit": "Seats",
    },
]
FEATURES = [
    {"key": "tokens", "meter": "tokens"},
    {"key": "seats", "meter": "seats"},
]
BY_DIRECTION = [
    {"key": "input", "meter": "tokens", "filters": {"direction": ["input"]}},
    {"key": "output", "meter": "tokens", "filters": {"direction": ["output"], "model": ["large", "huge"]}},
]


def usage_catalog(**changed: Any) -> Catalog:
    """acme (subjects a and b) buys tokens and seats on the plan pro since 1 January 2026."""
    features = changed.get("features", FEATURES)
    plan = {"key": "pro", "rate_cards": [{"feature": f["key"], "price": unit()} for f in features]}
    return Catalog.model_validate(
        plain_catalog(**{"meters": METERS, "features": features, "plans": [plan], **changed})
    )


def slices_of(catalog: Catalog, day: dt.date = DAY) -> list[ChargeSlice]:
    """The day's slices, from its snapshot."""
    return slices_on(catalog.on(day), day)


def window(
    subject: str | None,
    value: str | int = 1,
    *,
    meter: str = "tokens",
    start: str = "2026-03-10T08:00:00",
    end: str = "2026-03-10T09:00:00",
    dimensions: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """A window as a source returns it."""
    return _row(meter, "window", start, end, value, subject=subject, dimensions=dimensions)


def to_date(
    charge_id: str, value: str | int, end: str = "2026-03-11T00:00:00", start: str = "2026-03-01T00:00:00"
) -> dict[str, Any]:
    """A quantity to date of a charge for seats."""
    return _row("seats", "to_date", start, end, value, charge_id=charge_id)


def raw(*rows: Mapping[str, Any]) -> pl.LazyFrame:
    """Rows as ``raw_usage``."""
    return pl.LazyFrame(list(rows), schema=RAW_USAGE.schema)


def normalized(*rows: Mapping[str, Any], catalog: Catalog | None = None) -> pl.LazyFrame:
    """Rows as ``normalized_usage``, by the code under test next door."""
    return normalized_usage(raw(*rows), (catalog or usage_catalog()).on(DAY)).match_to_schema(
        NORMALIZED_USAGE.schema
    )


def quantities(frame: pl.LazyFrame, *key: str, column: str = "quantity") -> dict[Any, Decimal | None]:
    """Key → quantity; a key that stands twice fails the test."""
    found = frame.select(*key, column).collect()
    assert found.select(key).is_unique().all()
    return {
        (row[0] if len(key) == 1 else tuple(row[:-1])): None if row[-1] is None else row[-1].normalize()
        for row in found.iter_rows()
    }


def _row(
    meter: str,
    kind: str,
    start: str,
    end: str,
    value: str | int,
    *,
    subject: str | None = None,
    charge_id: str | None = None,
    dimensions: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    return {
        "charge_date": DAY,
        "meter": meter,
        "kind": kind,
        "request": "{}",
        "window_from": at(start),
        "window_to": at(end),
        "subject": subject,
        "charge_id": charge_id,
        "dimensions": json.dumps(dict(dimensions or {}), sort_keys=True, separators=(",", ":")),
        "value": Decimal(value),
    }
