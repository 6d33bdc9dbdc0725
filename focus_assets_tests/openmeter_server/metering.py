"""What the server answers to a meter query: the package's own metering of event files, through binary floats."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from focus_assets.catalog.models import Meter
from focus_assets.cloudevents.ingest import Events
from focus_assets.cloudevents.meter import ChargeUsage, meter_events, to_date_values
from focus_assets.cloudevents.query import SUBJECT, MeterQuery, WindowSize

CUSTOMER = "customer_id"


@dataclass(frozen=True)
class Asked:
    """A meter query, whichever version of the interface it came through."""

    start: dt.datetime | None
    end: dt.datetime | None
    window: WindowSize | None = None
    time_zone: str = "UTC"
    group_by: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    customer_ids: tuple[str, ...] = ()
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Answered:
    """One row, its value as it came out of the metering."""

    start: dt.datetime
    end: dt.datetime
    subject: str | None
    customer_id: str | None
    dimensions: Mapping[str, str]
    value: Decimal


class Metering(Protocol):
    """Whatever can answer a meter query."""

    def rows(
        self, meter: Meter, asked: Asked, subjects_of: Mapping[str, Sequence[str]]
    ) -> list[Answered]: ...


@dataclass
class MeteredEvents:
    """Event files in DuckDB. Equal questions are answered from memory; forget them when events come."""

    events: Events
    _known: dict[Any, list[Answered]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rows(self, meter: Meter, asked: Asked, subjects_of: Mapping[str, Sequence[str]]) -> list[Answered]:
        key = (meter.slug, asked, tuple(tuple(subjects_of[c]) for c in asked.customer_ids))
        with self._lock:
            if key not in self._known:
                self._known[key] = (
                    self._of_customers(meter, asked, subjects_of)
                    if asked.customer_ids
                    else self._metered(meter, asked)
                )
            return self._known[key]

    def _metered(self, meter: Meter, asked: Asked) -> list[Answered]:
        query = MeterQuery(
            start=asked.start,
            end=asked.end,
            window=asked.window,
            time_zone=asked.time_zone,
            subjects=asked.subjects,
            group_by=asked.group_by,
            filters=dict(asked.filters),
        )
        return [
            Answered(
                row["window_from"],
                row["window_to"],
                row.get(SUBJECT),
                None,
                {name: row[name] for name in query.groups if name != SUBJECT},
                row["value"],
            )
            for row in meter_events(self.events, meter, query).iter_rows(named=True)
        ]

    def _of_customers(
        self, meter: Meter, asked: Asked, subjects_of: Mapping[str, Sequence[str]]
    ) -> list[Answered]:
        assert asked.window is None, "this server groups by customer only without windows"
        assert asked.start is not None
        assert asked.end is not None
        usages = [ChargeUsage(tuple(subjects_of[c]), asked.start, asked.end) for c in asked.customer_ids]
        found = to_date_values(self.events, meter, dict(asked.filters), usages)
        return [
            Answered(asked.start, asked.end, None, asked.customer_ids[position], {}, value)
            for position, value in found.iter_rows()
        ]


def as_float_text(value: Decimal) -> str:
    """A value as the server's binary floats leave it, without an exponent."""
    return f"{Decimal(repr(float(value))):f}"
