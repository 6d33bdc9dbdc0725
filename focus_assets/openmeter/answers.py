"""An answer's rows as a frame, and the proof that they are what was asked for.

What belongs here: what the rows of any answer have to be like, column by column. What does not: how either version
spells them (``quick``, ``wire_v3``, ``wire_v1``), and whether they are all (``extraction``).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final, NoReturn

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

_STEP: Final = Decimal("1e-19")
_LIMIT: Final = Decimal(10) ** 19
_EXACT: Final = Context(prec=60)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Columns:
    """Rows as they came: instants as texts, ``dimensions`` by the names that were asked for; all of one length."""

    value: pl.Series
    start: Sequence[str]
    end: Sequence[str]
    subject: Sequence[str | None]
    dimensions: Mapping[str, Sequence[str | None]]


def proven(question: Question, request: str, given: Columns) -> pl.DataFrame:
    """The rows of an answer (:data:`ANSWER`), clipped to what was asked.

    Refuses rows outside the range or off the windows, of subjects not asked about, and rows that stand twice:
    each would be usage that is not there. Raises InconsistentRows and MalformedResponse.

    Columns are proven as a whole by what Python runs without a loop of its own. Frames would need a query for
    each question's few thousand rows, and that costs more than it saves.
    """
    spans = list(zip(given.start, given.end, strict=True))
    # An answer names the same few windows thousands of times.
    windows = {span: _clipped(question, request, *map(instant, span)) for span in dict.fromkeys(spans)}
    clipped = [windows[span] for span in spans]
    starts = [start for start, _ in clipped]
    subjects = _subjects(question, request, given.subject)
    dimensions = _dimensions(given.dimensions, len(spans))
    if len(set(zip(starts, subjects, dimensions, strict=True))) < len(spans):
        _refuse_repeated(request, zip(starts, subjects, dimensions, strict=True))
    return pl.DataFrame(
        [
            pl.Series("window_from", starts, pl.Int64).cast(UTC_INSTANT),
            pl.Series("window_to", [end for _, end in clipped], pl.Int64).cast(UTC_INSTANT),
            pl.Series("subject", subjects, pl.String),
            pl.Series("dimensions", dimensions, pl.String),
            given.value.alias("value"),
        ]
    )


def stored_values(question: Question, request: str, values: Iterable[Decimal]) -> pl.Series:
    """Values to 19 places, half away from zero; what is smaller is beyond any float's exactness anyway.

    Raises ValueTooLarge.
    """
    found = []
    for value in values:
        if not value.is_finite() or abs(value) >= _LIMIT:
            raise ValueTooLarge(
                f"{request}: meter {question.meter.slug!r} has the value {value}; values are below 10^19"
            )
        found.append(value.quantize(_STEP, ROUND_HALF_UP, _EXACT))
    return pl.Series(found, dtype=SOURCE_VALUE)


def _clipped(question: Question, request: str, start: dt.datetime, end: dt.datetime) -> tuple[int, int]:
    """Microseconds of a row's window; at the ends of the range it holds a part only, although labelled whole."""
    if question.window is None:
        return _microseconds(question.start), _microseconds(question.end)
    if start != question.window.floor(start) or end - start != question.window.length:
        raise InconsistentRows(
            f"{request}: a row of {start:%FT%TZ} to {end:%FT%TZ} is no window of {question.window}"
        )
    if start >= question.end or end <= question.start:
        raise InconsistentRows(f"{request}: a row of {start:%FT%TZ} lies outside what was asked for")
    return _microseconds(max(start, question.start)), _microseconds(min(end, question.end))


def _microseconds(instant: dt.datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _subjects(question: Question, request: str, given: Sequence[str | None]) -> Sequence[str | None]:
    if not question.groups_subjects:
        return [None] * len(given)
    if None in given:
        raise MalformedResponse(f"{request}: a row names no subject, although they were asked for")
    if question.subjects and (others := set(given) - set(question.subjects)):
        subject = next(each for each in given if each in others)
        raise InconsistentRows(f"{request}: a row is of subject {subject!r}, which was not asked about")
    return given


def _dimensions(given: Mapping[str, Sequence[str | None]], rows: int) -> Sequence[str]:
    """Texts by name as :func:`canonical` writes them; an absent text is an empty one."""
    if not given:
        return ["{}"] * rows
    names = sorted(given)
    combinations = list(zip(*(given[name] for name in names), strict=True))
    # Combinations repeat: each is written once.
    written = {
        texts: canonical({name: text or "" for name, text in zip(names, texts, strict=True)})
        for texts in set(combinations)
    }
    return [written[texts] for texts in combinations]


def _refuse_repeated(request: str, rows: Iterable[tuple[int, str | None, str]]) -> NoReturn:
    start, subject, dimensions = next(row for row, times in Counter(rows).items() if times > 1)
    raise InconsistentRows(
        f"{request}: two rows of {_EPOCH + start * _MICROSECOND:%FT%TZ}, subject {subject!r}, {dimensions}. "
        "Nothing was written."
    )
