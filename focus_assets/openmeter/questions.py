"""A question to a meter and a row of its answer, as both versions of the interface say them.

What belongs here: the question, its canonical text and what its rows have to be like. What does not: how either
version spells it (``v3``, ``v1``).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal, localcontext
from enum import StrEnum
from typing import Any, Final

from focus_assets.catalog.models import Meter
from focus_assets.openmeter.errors import InconsistentRows, MalformedResponse, ValueTooLarge

SUBJECT: Final = "subject"
"""The dimension every meter has."""

SUBJECTS_PER_QUESTION: Final = 100
"""How many subjects a filter may name, in v1 and in v3."""

_STEP = Decimal("1e-19")
_LIMIT = Decimal(10) ** 19


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


@dataclass(frozen=True, slots=True)
class Row:
    """One value: its window within what was asked, its subject where asked for, and its dimensions' texts."""

    start: dt.datetime
    end: dt.datetime
    subject: str | None
    dimensions: Mapping[str, str]
    value: Decimal


def checked_rows(question: Question, request: str, rows: Iterable[Row]) -> list[Row]:
    """The rows of an answer, clipped to what was asked.

    Refuses rows outside the range or off the windows, of subjects not asked about, and rows that stand twice:
    each would be usage that is not there. Raises InconsistentRows, MalformedResponse and ValueTooLarge.
    """
    wanted = set(question.subjects)
    seen: set[tuple[Any, ...]] = set()
    found = []
    for row in rows:
        row = _clipped(question, request, row)
        if question.groups_subjects and row.subject is None:
            raise MalformedResponse(f"{request}: a row names no subject, although they were asked for")
        if wanted and row.subject not in wanted:
            raise InconsistentRows(
                f"{request}: a row is of subject {row.subject!r}, which was not asked about"
            )
        key = (row.start, row.subject, *(row.dimensions.get(name) for name in question.dimensions))
        if key in seen:
            raise InconsistentRows(
                f"{request}: two rows of {row.start:%FT%TZ}, subject {row.subject!r}, "
                f"{canonical(dict(row.dimensions))}. Nothing was written."
            )
        seen.add(key)
        found.append(row)
    return found


def _clipped(question: Question, request: str, row: Row) -> Row:
    """Windows at the ends of the range hold a part only, although they are labelled with the whole window."""
    start, end = row.start.astimezone(dt.UTC), row.end.astimezone(dt.UTC)
    if question.window is None:
        start, end = question.start, question.end
    elif start != question.window.floor(start) or end - start != question.window.length:
        raise InconsistentRows(
            f"{request}: a row of {start:%FT%TZ} to {end:%FT%TZ} is no window of {question.window}"
        )
    elif start >= question.end or end <= question.start:
        raise InconsistentRows(f"{request}: a row of {start:%FT%TZ} lies outside what was asked for")
    return Row(
        max(start, question.start),
        min(end, question.end),
        row.subject if question.groups_subjects else None,
        {name: row.dimensions.get(name) or "" for name in question.dimensions},
        _stored(question, request, row.value),
    )


def _stored(question: Question, request: str, value: Decimal) -> Decimal:
    """A value to 19 places, half away from zero; what is smaller is beyond any float's exactness anyway."""
    if not value.is_finite() or abs(value) >= _LIMIT:
        raise ValueTooLarge(
            f"{request}: meter {question.meter.slug!r} has the value {value}; values are below 10^19"
        )
    with localcontext(prec=60):
        return value.quantize(_STEP, ROUND_HALF_UP) if value.as_tuple().exponent < -19 else value  # type: ignore[operator]


def instant_text(instant: dt.datetime) -> str:
    """An instant as OpenMeter reads it, on the second."""
    return f"{instant.astimezone(dt.UTC):%FT%TZ}"


def canonical(document: Mapping[str, object]) -> str:
    """A document as JSON that is equal for equal content."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
