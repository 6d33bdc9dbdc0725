"""A question to a meter, and which events it means.

What belongs here: bounds, windows, grouping, filters and their validity. What does not: how values are
computed (``aggregation``) and how the rows are put together (``meter``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from zoneinfo import available_timezones

from focus_assets.catalog.models import Meter
from focus_assets.cloudevents.envelope import Properties
from focus_assets.cloudevents.errors import InvalidMeterQuery
from focus_assets.cloudevents.json_paths import path_in_event
from focus_assets.cloudevents.sql_text import identifier

SUBJECT: Final = "subject"
"""The dimension every meter has."""


class WindowSize(StrEnum):
    """How long a window is; the values are the durations that requests name."""

    MINUTE = "PT1M"
    HOUR = "PT1H"
    DAY = "P1D"
    MONTH = "P1M"


@dataclass(frozen=True)
class MeterQuery:
    """What to ask a meter.

    ``start`` (inclusive) and ``end`` (exclusive) are cut to whole seconds; ``None`` is open. ``window`` None
    gives one row per group. DAY and MONTH are calendar days and months of ``time_zone``. ``subjects`` filters
    and adds the subject to the grouping. ``filters`` are exact: one of the texts given.
    """

    start: dt.datetime | None = None
    end: dt.datetime | None = None
    window: WindowSize | None = None
    time_zone: str = "UTC"
    subjects: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def groups(self) -> tuple[str, ...]:
        """The grouping keys, the subject first."""
        grouped = dict.fromkeys(self.group_by)
        first = (SUBJECT,) if self.subjects or SUBJECT in grouped else ()
        return (*first, *(key for key in grouped if key != SUBJECT))

    def check(self, meter: Meter) -> None:
        """Raise InvalidMeterQuery where ``meter`` has no answer."""
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise InvalidMeterQuery(
                f"meter {meter.slug!r}: from {self.start:%FT%TZ} is not before to {self.end:%FT%TZ}; a range "
                "is half open and holds at least an instant."
            )
        for key in (*self.group_by, *self.filters):
            if key != SUBJECT and key not in meter.group_by:
                known = ", ".join([*sorted(meter.group_by), SUBJECT])
                raise InvalidMeterQuery(f"meter {meter.slug!r} has no dimension {key!r}; it has {known}.")
        if self.time_zone != "UTC" and self.time_zone not in available_timezones():
            raise InvalidMeterQuery(
                f"meter {meter.slug!r}: {self.time_zone!r} is no time zone; an IANA name is needed, such as "
                "Europe/Berlin."
            )


def events_meant(properties: Properties, meter: Meter, query: MeterQuery) -> tuple[str, dict[str, Any]]:
    """Which events a query means, as an SQL condition over the alias ``e`` and its parameters."""
    parts = ["e.metered", "NOT e.duplicate", "e.type = $type"]
    parameters: dict[str, Any] = {"type": meter.event_type}
    starts = [whole_second(instant) for instant in (query.start, meter.event_from) if instant is not None]
    if starts:
        parts += ["e.occurred >= $start", "e.day >= $start::DATE"]
        parameters["start"] = max(starts)
    if query.end is not None:
        parts += ["e.occurred < $end", "e.day <= $end::DATE"]
        parameters["end"] = whole_second(query.end)
    wanted = {**query.filters} | ({SUBJECT: query.subjects} if query.subjects else {})
    for i, (key, texts) in enumerate(sorted(wanted.items())):
        parts.append(f"list_contains($filter_{i}::VARCHAR[], {dimension_column(properties, meter, key)})")
        parameters[f"filter_{i}"] = list(texts)
    return " AND ".join(parts), parameters


def dimension_column(properties: Properties, meter: Meter, key: str) -> str:
    """The column of a dimension."""
    if key == SUBJECT:
        return "e.subject"
    return property_column(properties.texts, meter, meter.group_by[key], f"group_by.{key}")


def property_column(kept: Mapping[str, str], meter: Meter, path: str, key: str) -> str:
    """The column that holds a path of a meter; ``kept`` are the texts or the numbers that were read."""
    column = kept.get(path_in_event(path, meter.slug, key))
    if column is None:
        raise InvalidMeterQuery(
            f"meter {meter.slug!r}, {key}: events were read without {path!r}; every meter has to be named "
            "when event files are opened."
        )
    return f"e.{identifier(column)}"


def whole_second(instant: dt.datetime) -> dt.datetime:
    """UTC without its zone, as DuckDB's TIMESTAMP, on the whole second before."""
    return instant.astimezone(dt.UTC).replace(microsecond=0, tzinfo=None)
