"""An answer's rows as a frame, and the proof that they are what was asked for.

What belongs here: what the rows of any answer have to be like, column by column. What does not: how either version
spells them (``quick``, ``wire_v3``, ``wire_v1``), and whether they are all (``extraction``).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from itertools import count
from typing import Final, Generic, TypeVar

import polars as pl

from focus_assets.decimals import SOURCE_VALUE, UTC_INSTANT
from focus_assets.openmeter.errors import InconsistentRows, MalformedResponse, ValueTooLarge
from focus_assets.openmeter.questions import Question, canonical
from focus_assets.openmeter.wire import instant

ANSWER: Final = pl.Schema(
    {
        "window_from": UTC_INSTANT,
        "window_to": UTC_INSTANT,
        "subject": pl.String(),
        "dimensions": pl.String(),
        "value": SOURCE_VALUE,
    }
)
"""Proven rows: the window within what was asked, the subject where asked for (else null), the dimensions' texts as
canonical JSON."""

ORDER: Final = ("window_from", "window_to", "subject", "dimensions")
"""What rows of an answer are sorted by, nulls first."""

LIMIT: Final = Decimal(10) ** 19
"""Values are smaller than this, in either direction."""

_STEP: Final = Decimal("1e-19")
_EXACT: Final = Context(prec=60)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


H = TypeVar("H", bound=Hashable)

Span = tuple[str, str]
"""From when to when, as texts."""

Group = tuple[str | None, tuple[str | None, ...]]
"""A subject and the texts of the dimensions asked for, in the question's order."""


@dataclass(frozen=True)
class Coded(Generic[H]):
    """A column in which values repeat: each row's place (UInt32) in ``values``, where one may stand twice."""

    values: Sequence[H]
    codes: pl.Series

    @classmethod
    def of(cls, column: Iterable[H]) -> Coded[H]:
        """The column; its values are in the order in which they come first."""
        places: defaultdict[H, int] = defaultdict(count().__next__)
        codes = pl.Series(list(map(places.__getitem__, column)), dtype=pl.UInt32)
        return cls(list(places), codes)


@dataclass(frozen=True)
class Columns:
    """Rows as they came, all columns of one length; ``value`` is SOURCE_VALUE."""

    value: pl.Series
    spans: Coded[Span]
    groups: Coded[Group]


def proven(question: Question, request: str, given: Columns) -> pl.DataFrame:
    """The rows of an answer (:data:`ANSWER`), clipped to what was asked, in :data:`ORDER`.

    Refuses rows outside the range or off the windows, of subjects not asked about, and rows that stand twice:
    each would be usage that is not there. Raises InconsistentRows and MalformedResponse.

    An answer names the same few windows and groups in thousands of rows: each is proven and written once.
    """
    windows = _clipped(question, request, given.spans.values)
    groups = _named(question, request, given.groups.values)
    order = _order(request, windows, given.spans.codes, groups, given.groups.codes)
    starts = pl.Series("window_from", [start for start, _ in windows], pl.Int64).cast(UTC_INSTANT)
    ends = pl.Series("window_to", [end for _, end in windows], pl.Int64).cast(UTC_INSTANT)
    subjects = pl.Series("subject", [subject for subject, _ in groups], pl.String)
    dimensions = pl.Series("dimensions", [texts for _, texts in groups], pl.String)
    spans, grouped = given.spans.codes[order], given.groups.codes[order]
    return pl.DataFrame(
        [
            starts[spans],
            ends[spans],
            subjects[grouped],
            dimensions[grouped],
            given.value[order].alias("value"),
        ]
    )


def stored_values(question: Question, request: str, values: Iterable[Decimal]) -> pl.Series:
    """Values to 19 places, half away from zero; what is smaller is beyond any float's exactness anyway.

    Raises ValueTooLarge.
    """
    found = []
    for value in values:
        # Not abs(), which rounds, and fails where the exponent is beyond its own.
        fits = value.is_finite() and -LIMIT < value < LIMIT
        stored = value.quantize(_STEP, ROUND_HALF_UP, _EXACT) if fits else value
        if not fits or stored.copy_abs() == LIMIT:
            raise ValueTooLarge(
                f"{request}: meter {question.meter.slug!r} has the value {value}; values are below 10^19"
            )
        found.append(stored)
    return pl.Series(found, dtype=SOURCE_VALUE)


def _clipped(question: Question, request: str, given: Sequence[Span]) -> list[tuple[int, int]]:
    """Microseconds of each window; at the ends of the range it holds a part only, although labelled whole."""
    first, last = _microseconds(question.start), _microseconds(question.end)
    if question.window is None:
        return [(first, last)] * len(given)
    length = question.window.length // _MICROSECOND
    found = []
    for span in given:
        start, end = map(_microseconds, map(instant, span))
        # Whole windows make a UTC day, so they also count from 1970 on.
        if start % length or end - start != length:
            raise InconsistentRows(
                f"{request}: a row of {instant(span[0]):%FT%TZ} to {instant(span[1]):%FT%TZ} is no window of "
                f"{question.window}"
            )
        if start >= last or end <= first:
            raise InconsistentRows(
                f"{request}: a row of {instant(span[0]):%FT%TZ} lies outside what was asked for"
            )
        found.append((max(start, first), min(end, last)))
    return found


@lru_cache(maxsize=4_096)
def _microseconds(instant: dt.datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _named(question: Question, request: str, given: Sequence[Group]) -> list[tuple[str | None, str]]:
    """Each group's subject, where subjects were asked for, and its dimensions' texts as :func:`canonical` writes
    them; an absent text is an empty one."""
    if question.groups_subjects:
        subjects = [subject for subject, _ in given]
        if None in subjects:
            raise MalformedResponse(f"{request}: a row names no subject, although they were asked for")
        if question.subjects and (others := set(subjects) - set(question.subjects)):
            subject = next(each for each in subjects if each in others)
            raise InconsistentRows(f"{request}: a row is of subject {subject!r}, which was not asked about")
    else:
        subjects = [None] * len(given)
    names = question.dimensions
    combinations = [texts for _, texts in given]
    # Many subjects have the same dimensions.
    written = {
        texts: canonical({name: text or "" for name, text in zip(names, texts, strict=True)})
        for texts in set(combinations)
    }
    return [(subject, written[texts]) for subject, texts in zip(subjects, combinations, strict=True)]


def _order(
    request: str,
    windows: Sequence[tuple[int, int]],
    spans: pl.Series,
    groups: Sequence[tuple[str | None, str]],
    grouped: pl.Series,
) -> pl.Series:
    """Which row comes first, which second, ...; of rows in this order those that stand twice are neighbours.

    Raises InconsistentRows where two rows are of one window and group, however these were spelled.
    """
    starts, of_start = _places(windows)
    names, of_name = _places(groups)
    keys = of_start[spans] * max(1, len(names)) + of_name[grouped]
    order = keys.arg_sort()
    keys = keys[order]
    repeated = keys[1:].filter(keys[1:] == keys[:-1])
    if repeated.is_empty():
        return order
    place, of = divmod(repeated[0], len(names))
    start, _ = starts[place]
    subject, dimensions = names[of]
    raise InconsistentRows(
        f"{request}: two rows of {_EPOCH + start * _MICROSECOND:%FT%TZ}, subject {subject!r}, {dimensions}. "
        "Nothing was written."
    )


def _places(values: Sequence[H]) -> tuple[list[H], pl.Series]:
    """The distinct values in their order, and where each of ``values`` stands among them.

    Texts are in the order of their characters, which is that of their bytes, as Polars sorts them. Subjects are all
    None or all texts.
    """
    distinct = sorted(set(values))  # type: ignore[type-var]
    places = {value: place for place, value in enumerate(distinct)}
    return distinct, pl.Series([places[value] for value in values], dtype=pl.UInt64)
