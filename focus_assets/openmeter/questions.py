"""A question to a meter, as both versions of the interface say it.

What belongs here: the question and its canonical text. What does not: how either version spells it (``v3``, ``v1``)
and what the rows of an answer have to be like (``answers``).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from focus_assets.catalog.models import Meter

SUBJECT: Final = "subject"
"""The dimension every meter has."""

CUSTOMER: Final = "customer_id"
"""What the server takes for a dimension of its own; meters may have one of that name, which it then never gives."""

SUBJECTS_PER_QUESTION: Final = 100
"""How many subjects a filter may name, in v1 and in v3."""


_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Window(StrEnum):
    """How long a window is; the values are v3's names."""

    MINUTE = "PT1M"
    HOUR = "PT1H"
    DAY = "P1D"

    @property
    def length(self) -> dt.timedelta:
        """A window's length; days are UTC days here and have no summer time."""
        return {"MINUTE": dt.timedelta(minutes=1), "HOUR": dt.timedelta(hours=1)}.get(
            self.name, dt.timedelta(days=1)
        )

    def floor(self, instant: dt.datetime) -> dt.datetime:
        """The start of the window that holds ``instant``."""
        midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + (instant - midnight) // self.length * self.length


@dataclass(frozen=True)
class Question:
    """What to ask a meter for [start, end).

    ``window`` None gives one row per group. ``by_subject`` and ``dimensions`` group; ``subjects`` filters and
    groups by subject too, as the server does. ``customer_id`` asks for all of one customer's subjects together.
    ``filters`` are exact: one of the texts.
    """

    meter: Meter
    start: dt.datetime
    end: dt.datetime
    window: Window | None = None
    by_subject: bool = False
    dimensions: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    customer_id: str | None = None
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def groups_subjects(self) -> bool:
        """Whether every row names its subject."""
        return self.by_subject or bool(self.subjects)

    def within(self, start: dt.datetime, end: dt.datetime) -> Question:
        """The same question of another range."""
        return replace(self, start=start, end=end)

    def about(self, subjects: Iterable[str]) -> Question:
        """The same question about some subjects only."""
        return replace(self, subjects=tuple(subjects))

    def text(self) -> str:
        """The question as canonical JSON, without what was not asked; equal to that of the event files."""
        grouped = [*((SUBJECT,) if self.by_subject else ()), *self.dimensions]
        asked: dict[str, Any] = {
            "meter": self.meter.slug,
            "from": instant_text(self.start),
            "to": instant_text(self.end),
            "group_by": sorted(grouped),
            "granularity": self.window,
            "filters": {key: sorted(texts) for key, texts in self.filters.items()},
            "subjects": sorted(self.subjects),
            "customer_id": self.customer_id,
        }
        return canonical({key: value for key, value in asked.items() if value})


def instant_text(instant: dt.datetime) -> str:
    """An instant as OpenMeter reads it, on the second."""
    return f"{instant.astimezone(dt.UTC):%FT%TZ}"


def canonical(document: Mapping[str, object]) -> str:
    """A document as JSON that is equal for equal content."""
    return _CANONICAL.encode(document)
