"""A small catalog as plain data, to be changed by a test in one place."""

from __future__ import annotations

import datetime as dt
from typing import Any

from focus_assets.catalog.snapshot import Catalog


def unit(amount: str = "1") -> dict[str, str]:
    return {"type": "unit", "amount": amount}


def plain_catalog(**changed: Any) -> dict[str, Any]:
    return {
        "defaults": {"provider_name": "Acme", "currency": "USD"},
        "meters": [
            {"slug": "tokens", "event_type": "t", "aggregation": "COUNT", "group_by": {"model": "$.model"}}
        ],
        "features": [{"key": "tokens", "meter": "tokens"}],
        "customers": [{"key": "acme", "subject_keys": ["a", "b"]}],
        "plans": [{"key": "pro", "rate_cards": [{"feature": "tokens", "price": unit()}]}],
        "subscriptions": [{"customer": "acme", "plan": "pro", "active_from": "2026-01-01"}],
        **changed,
    }


def catalog(**changed: Any) -> Catalog:
    return Catalog.model_validate(plain_catalog(**changed))


def subscription(**changed: Any) -> dict[str, Any]:
    return {"customer": "acme", "plan": "pro", "active_from": "2026-01-01", **changed}


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)
