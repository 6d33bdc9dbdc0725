"""Days and instants as they are written down: UTC, and whole seconds."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

BEGINNING = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
"""Before anything that is written down."""


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
