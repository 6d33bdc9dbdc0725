"""A question to a meter and a row of its answer, as both versions of the interface say them.

What belongs here: the question, its canonical text and what its rows have to be like. What does not: how either
version spells it (``v3``, ``v1``).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

from focus_assets.catalog.models import Meter
from focus_assets.openmeter.errors import InconsistentRows, MalformedResponse, ValueTooLarge

SUBJECT: Final = "subject"
"""The dimension every meter has."""

SUBJECTS_PER_QUESTION: Final = 100
"""How many subjects a filter may name, in v1 and in v3."""

_STEP = Decimal("1e-19")
_LIMIT = Decimal(10) ** 19
_EXACT: Final = Context(prec=60)


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


class Row(NamedTuple):
    """One value: its window within what was asked, its subject where asked for, and its dimensions' texts."""

    start: dt.datetime
    end: dt.datetime
    subject: str | None
    dimensions: Mapping[str, str | None]
    value: Decimal


def checked_rows(question: Question, request: str, rows: Iterable[Row]) -> list[Row]:
    """The rows of an answer, clipped to what was asked.

    Refuses rows outside the range or off the windows, of subjects not asked about, and rows that stand twice:
    each would be usage that is not there. Raises InconsistentRows, MalformedResponse and ValueTooLarge.
    """
    wanted, names, of_subjects = set(question.subjects), question.dimensions, question.groups_subjects
    windows: dict[tuple[dt.datetime, dt.datetime], tuple[dt.datetime, dt.datetime]] = {}
    # Combinations repeat: one mapping serves all rows of one.
    known: dict[tuple[str, ...], dict[str, str | None]] = {}
    seen: set[tuple[Any, ...]] = set()
    found = []
    for row in rows:
        span = (row.start, row.end)
        if span not in windows:
            windows[span] = _clipped(question, request, *span)
        start, end = windows[span]
        subject = row.subject if of_subjects else None
        if of_subjects and subject is None:
            raise MalformedResponse(f"{request}: a row names no subject, although they were asked for")
        if wanted and subject not in wanted:
            raise InconsistentRows(f"{request}: a row is of subject {subject!r}, which was not asked about")
        texts = tuple([row.dimensions.get(name) or "" for name in names])
        key = (start, subject, texts)
        if key in seen:
            raise InconsistentRows(
                f"{request}: two rows of {start:%FT%TZ}, subject {subject!r}, "
                f"{canonical(dict(zip(names, texts, strict=True)))}. Nothing was written."
            )
        seen.add(key)
        dimensions = known.get(texts)
        if dimensions is None:
            dimensions = known[texts] = dict(zip(names, texts, strict=True))
        found.append(Row(start, end, subject, dimensions, _stored(question, request, row.value)))
    return found


def _clipped(
    question: Question, request: str, start: dt.datetime, end: dt.datetime
) -> tuple[dt.datetime, dt.datetime]:
    """Windows at the ends of the range hold a part only, although they are labelled with the whole window."""
    start, end = start.astimezone(dt.UTC), end.astimezone(dt.UTC)
    if question.window is None:
        return question.start, question.end
    if start != question.window.floor(start) or end - start != question.window.length:
        raise InconsistentRows(
            f"{request}: a row of {start:%FT%TZ} to {end:%FT%TZ} is no window of {question.window}"
        )
    if start >= question.end or end <= question.start:
        raise InconsistentRows(f"{request}: a row of {start:%FT%TZ} lies outside what was asked for")
    return max(start, question.start), min(end, question.end)


def _stored(question: Question, request: str, value: Decimal) -> Decimal:
    """A value to 19 places, half away from zero; what is smaller is beyond any float's exactness anyway."""
    if not value.is_finite() or abs(value) >= _LIMIT:
        raise ValueTooLarge(
            f"{request}: meter {question.meter.slug!r} has the value {value}; values are below 10^19"
        )
    return value.quantize(_STEP, ROUND_HALF_UP, _EXACT)


def instant_text(instant: dt.datetime) -> str:
    """An instant as OpenMeter reads it, on the second."""
    return f"{instant.astimezone(dt.UTC):%FT%TZ}"


def canonical(document: Mapping[str, object]) -> str:
    """A document as JSON that is equal for equal content."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
