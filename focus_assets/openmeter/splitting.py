"""Asking for less where a question is too large for the server, and putting the parts together.

What belongs here: when and how a question is split. What does not: which questions a day asks (``extraction``).

The parts of a split never overlap and together are the question: halves of the range on a window's boundary, then
the range's subjects in shards. What cannot be split fails with the server's own error.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Final

import polars as pl

from focus_assets.catalog.models import Aggregation, Meter
from focus_assets.decimals import SOURCE_VALUE, UTC_INSTANT
from focus_assets.openmeter.answers import ANSWER, LIMIT, ORDER
from focus_assets.openmeter.errors import AnswerCutShort, ServerProblem, ServerTooSlow, ValueTooLarge
from focus_assets.openmeter.questions import SUBJECTS_PER_QUESTION, Question
from focus_assets.openmeter.v1 import V1
from focus_assets.openmeter.v3 import V3

_TOO_LARGE: Final = frozenset({413, 500, 504})
"""500 too: a database that runs out of memory within a query says no more than that."""

_COMBINED: Final[dict[Aggregation, Callable[[Sequence[Decimal]], Decimal]]] = {
    Aggregation.SUM: lambda values: sum(values, Decimal(0)),
    Aggregation.COUNT: lambda values: sum(values, Decimal(0)),
    Aggregation.MAX: max,
    Aggregation.MIN: min,
}


_SHORTEST: Final = dt.timedelta(hours=1)
"""A range without windows is not split further than this."""


def combines(aggregation: Aggregation) -> bool:
    """Whether the value of a whole follows from the values of its parts; not for AVG, LATEST, UNIQUE_COUNT."""
    return aggregation in _COMBINED


def combined(meter: Meter, values: Sequence[Decimal]) -> Decimal:
    """The exact value of a whole from those of its parts, of which there is one at least. Raises ValueTooLarge."""
    if len(values) == 1:
        return values[0]
    with localcontext(prec=60):
        whole = _COMBINED[meter.aggregation](values)
        if abs(whole) >= LIMIT:
            raise ValueTooLarge(
                f"meter {meter.slug!r}: {len(values)} parts come to {whole:f}; values are below 10^19. "
                "Nothing was written."
            )
    return whole


async def ask(api: V3 | V1, meter_id: str, question: Question) -> pl.DataFrame:
    """The proven rows of a question (:data:`ANSWER`), in :data:`ORDER`, in as many requests as it takes.

    Raises OpenMeterError.
    """
    try:
        return await api.query(meter_id, question)
    except (ServerTooSlow, AnswerCutShort, ServerProblem) as error:
        if isinstance(error, ServerProblem) and error.status not in _TOO_LARGE:
            raise
        parts = await _parts(api, meter_id, question)
        if parts is None:
            raise
    # One after the other: the server has just said that it has enough to do.
    rows = pl.concat([ANSWER.to_frame(), *[await ask(api, meter_id, part) for part in parts]])
    rows = rows if question.window is not None else _joined(question, rows)
    return rows.sort(ORDER, nulls_last=False)


async def _parts(api: V3 | V1, meter_id: str, question: Question) -> list[Question] | None:
    """The question in parts that are smaller than it; None where it cannot be split."""
    aggregation = question.meter.aggregation
    if question.window is not None or combines(aggregation):
        step = question.window.length if question.window else _SHORTEST
        middle = question.start + (question.end - question.start) / 2
        middle = question.window.floor(middle) if question.window else middle.replace(microsecond=0)
        if question.start < middle < question.end and question.end - question.start > step:
            return [question.within(question.start, middle), question.within(middle, question.end)]
    if len(question.subjects) > 1:
        half = len(question.subjects) // 2
        return [question.about(question.subjects[:half]), question.about(question.subjects[half:])]
    if question.by_subject and not question.subjects:
        return await _shards(api, meter_id, question)
    return None


async def _shards(api: V3 | V1, meter_id: str, question: Question) -> list[Question]:
    """The question by shards of the subjects that have usage in its range; these are asked for first."""
    census = replace(question, window=None, dimensions=(), by_subject=True)
    subjects = (await api.query(meter_id, census))["subject"].unique().sort().to_list()
    size = min(SUBJECTS_PER_QUESTION, max(1, (len(subjects) + 1) // 2))
    return [question.about(subjects[i : i + size]) for i in range(0, len(subjects), size)]


def _joined(question: Question, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows without windows from parts of the range: one row per group, of the whole range."""
    return pl.concat(
        [
            ANSWER.to_frame(),
            *(
                group.head(1).with_columns(
                    window_from=pl.lit(question.start, UTC_INSTANT),
                    window_to=pl.lit(question.end, UTC_INSTANT),
                    value=pl.lit(combined(question.meter, group["value"].to_list()), SOURCE_VALUE),
                )
                for group in rows.partition_by("subject", "dimensions", maintain_order=True)
            ),
        ]
    )
