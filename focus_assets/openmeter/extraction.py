"""What a day asks from OpenMeter, and the proof that the answer is whole.

What belongs here: the questions of a day and their control. What does not: how one is asked (``splitting``) and
the rows of the dataset (``source``).

=================  ===============================================================================================
windows            one question per meter: the day, by subject and every dimension, in windows
parts              where a rating period of a subject begins or ends within the day, its usage once more in parts
control            one question per meter that adds up: the day's total, which the rows must equal
to date            where a meter does not add up over time: each charge's quantity from its start to the day's end
opening            on the first day: what charges that began earlier had used by then
=================  ===============================================================================================
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any, Final, TypeVar

import polars as pl

from focus_assets.catalog.charges import ChargeSlice, cuts_on, midnight
from focus_assets.catalog.models import Aggregation, Customer, Meter
from focus_assets.openmeter import wire_v1, wire_v3
from focus_assets.openmeter.answers import LIMIT
from focus_assets.openmeter.errors import ControlTotalDiffers, MeterChanged, MeterMissing, SubjectsMoved
from focus_assets.openmeter.questions import SUBJECT, SUBJECTS_PER_QUESTION, Question, Window
from focus_assets.openmeter.server import Server
from focus_assets.openmeter.splitting import ask, combined, combines

_DAY: Final = dt.timedelta(days=1)
_EXACT_FLOAT: Final = 2**53
_FLOAT_ERROR: Final = Decimal(2) ** -40
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """Proven rows of one question (:data:`focus_assets.openmeter.answers.ANSWER`)."""

    question: Question
    rows: pl.DataFrame


@dataclass(frozen=True)
class ToDate:
    """A charge's quantity over a range; ``value`` None where it has no usage."""

    piece: ChargeSlice
    question: Question
    value: Decimal | None


class Extraction:
    """Questions to one server, within one event loop.

    ``window`` is the length of a usage window. Raises OpenMeterError from every method.
    """

    def __init__(self, server: Server, window: Window) -> None:
        self._server = server
        self._api = server.api
        self._window = window
        self._meters_now: Mapping[str, wire_v3.Meter | wire_v1.Meter] | None = None
        self._subjects_now: Mapping[str, tuple[str, frozenset[str]]] | None = None
        self._reading = asyncio.Lock()

    async def windows(
        self, day: dt.date, meters: Iterable[Meter], slices: Sequence[ChargeSlice]
    ) -> list[Answer]:
        """The day's windows of every meter, proven against the server's own totals."""
        cuts: dict[str, dict[str, list[dt.datetime]]] = {}
        for cut in cuts_on(slices, day):
            cuts.setdefault(cut.meter, {}).setdefault(cut.subject, []).append(cut.instant)
        found = await together(self._meter_day(day, meter, cuts.get(meter.slug, {})) for meter in meters)
        return [answer for answers in found for answer in answers]

    async def to_date(self, slices: Sequence[ChargeSlice]) -> list[ToDate]:
        """For each slice whose meter does not add up over time: from its charge's start to the slice's end."""
        return await self._of_charges(
            [
                (piece, piece.charge.period.start, piece.period.end)
                for piece in slices
                if not piece.charge.meter.aggregation.adds_up_over_time
            ]
        )

    async def opening(self, day: dt.date, slices: Sequence[ChargeSlice]) -> list[ToDate]:
        """For each charge that began before ``day``: from its start to the day's midnight."""
        charges = {piece.charge.charge_id: piece for piece in slices}
        start = midnight(day)
        return await self._of_charges(
            [
                (piece, piece.charge.period.start, start)
                for piece in charges.values()
                if piece.charge.period.start < start
            ]
        )

    async def _meter_day(
        self, day: dt.date, meter: Meter, cuts: Mapping[str, Sequence[dt.datetime]]
    ) -> list[Answer]:
        start, end = midnight(day), midnight(day) + _DAY
        dimensions = tuple(sorted(set(meter.group_by) - {SUBJECT}))
        whole = Question(meter, start, end, self._window, by_subject=True, dimensions=dimensions)
        groups: dict[tuple[dt.datetime, ...], list[str]] = {}
        for subject, instants in cuts.items():
            groups.setdefault(tuple(sorted(set(instants))), []).append(subject)
        parts = [
            whole.within(begin, until).about(shard)
            for instants, subjects in sorted(groups.items())
            for shard in _shards(sorted(subjects))
            for begin, until in pairwise([start, *instants, end])
        ]
        asked = [whole, *parts]
        adds_up = meter.aggregation.adds_up_over_time
        if adds_up:
            asked.append(Question(meter, start, end))
        answers = await together(self._ask(question) for question in asked)
        total = answers.pop() if adds_up else None
        # The rows of subjects that are cut come from their parts; the whole day's windows hide the cut.
        kept = answers[0].filter(~pl.col("subject").is_in(list(cuts))) if cuts else answers[0]
        found = [Answer(question, rows) for question, rows in zip(asked, [kept, *answers[1:]], strict=False)]
        if total is not None:
            rows = pl.concat([answer.rows["value"] for answer in found]) if parts else kept["value"]
            require_total(meter, day, rows, total["value"].to_list())
        return found

    async def _of_charges(
        self, asked: Sequence[tuple[ChargeSlice, dt.datetime, dt.datetime]]
    ) -> list[ToDate]:
        """One value per charge and range; customers with the same range share a question where they may."""
        shared: dict[tuple[Any, ...], list[ChargeSlice]] = {}
        alone: list[Coroutine[Any, Any, list[ToDate]]] = []
        for piece, start, end in asked:
            charge = piece.charge
            if combines(charge.meter.aggregation) or len(charge.customer.subjects) == 1:
                filters = tuple(sorted(charge.feature.filters.items()))
                shared.setdefault((charge.meter.slug, filters, start, end), []).append(piece)
            else:
                alone.append(self._of_customer(piece, start, end))
        together_asked = [
            self._of_customers(pieces, start, end) for (_, _, start, end), pieces in shared.items()
        ]
        found = await together([*together_asked, *alone])
        return [each for several in found for each in several]

    async def _of_customers(
        self, pieces: Sequence[ChargeSlice], start: dt.datetime, end: dt.datetime
    ) -> list[ToDate]:
        """Values by subject, put together for each customer: a customer's maximum is that of its subjects."""
        charge = pieces[0].charge
        question = Question(charge.meter, start, end, filters=charge.feature.filters)
        subjects = {subject for piece in pieces for subject in piece.charge.customer.subjects}
        values = await self._by_subject(question, subjects)
        found = []
        for piece in pieces:
            own = piece.charge.customer.subjects
            theirs = [values[subject] for subject in own if subject in values]
            value = combined(charge.meter, theirs) if theirs else None
            found.append(ToDate(piece, question.about(own), value))
        return found

    async def _of_customer(self, piece: ChargeSlice, start: dt.datetime, end: dt.datetime) -> list[ToDate]:
        """All subjects of one customer together, for a distinct count of two subjects is not their sum."""
        customer, meter = piece.charge.customer, piece.charge.meter
        logical = Question(meter, start, end, filters=piece.charge.feature.filters)
        customer_id, now = await self._known_today(customer)
        if now != frozenset(customer.subjects):
            values = await self._by_subject(logical, {*now, *customer.subjects})
            own = values.keys() & set(customer.subjects)
            if len(own) <= 1:
                value = values[own.pop()] if own else None
                return [ToDate(piece, logical.about(customer.subjects), value)]
            if own != values.keys() & now:
                raise _moved(meter, customer, now)
        rows = await self._ask(replace(logical, customer_id=customer_id))
        if rows.height > 1:
            raise ControlTotalDiffers(
                f"meter {meter.slug!r}, customer {customer.key!r}: the server gave "
                f"{rows.height} quantities to date where there is one. Nothing was written."
            )
        return [ToDate(piece, logical.about(customer.subjects), rows["value"][0] if rows.height else None)]

    async def _by_subject(self, question: Question, subjects: Iterable[str]) -> dict[str, Decimal]:
        """The value of each of ``subjects`` that has one."""
        shards = _shards(sorted(subjects))
        answers = await together(self._ask(question.about(shard)) for shard in shards)
        return dict(pl.concat(answers).select("subject", "value").iter_rows()) if answers else {}

    async def _ask(self, question: Question) -> pl.DataFrame:
        return await ask(self._api, await self._meter_id(question.meter), question)

    async def _meter_id(self, meter: Meter) -> str:
        """The server's id of a meter, which has to meter what the day's catalog says."""
        async with self._reading:
            if self._meters_now is None:
                self._meters_now = await self._api.meters_by_slug()
        found = self._meters_now.get(meter.slug)
        url = self._server.transport.url
        if found is None:
            known = ", ".join(sorted(self._meters_now)) or "none"
            raise MeterMissing(
                f"meter {meter.slug!r} is in the catalog, but not on {url}; its meters: "
                f"{known}. Nothing was written."
            )
        now, then = (_metered(each) for each in (found, meter))
        if now != then:
            raise MeterChanged(
                f"meter {meter.slug!r} is {then} in the day's catalog, and {now} on {url}: one cannot be read as the "
                "other. Where the server's was made anew, give it another slug; where focus.yaml has the catalog, "
                "describe the meter as the server does. Nothing was written."
            )
        return found.id

    async def _known_today(self, customer: Customer) -> tuple[str, frozenset[str]]:
        """The server's id of a customer and the subjects it has now; neither where there is no such customer.

        The server attributes old usage by today's subjects and cannot be told others.
        """
        async with self._reading:
            if self._subjects_now is None:
                self._subjects_now = {
                    each.key or each.id: (
                        each.id,
                        frozenset(each.usage_attribution.subject_keys if each.usage_attribution else ())
                        | {each.key or each.id},
                    )
                    for each in await self._api.customers()
                }
        return self._subjects_now.get(customer.key, ("", frozenset()))


def _metered(meter: Meter | wire_v3.Meter | wire_v1.Meter) -> str:
    """What a meter does with which events, as people say it."""
    aggregation = meter.aggregation.upper()
    of = "" if aggregation == Aggregation.COUNT else f" of {meter.value_property}"
    return f"{aggregation}{of} of {meter.event_type!r}"


def _moved(meter: Meter, customer: Customer, now: Iterable[str]) -> SubjectsMoved:
    return SubjectsMoved(
        f"meter {meter.slug!r} ({meter.aggregation}), customer {customer.key!r}: that day its subjects "
        f"were {', '.join(sorted(customer.subjects))}; OpenMeter now has "
        f"{', '.join(sorted(now)) or 'no such customer'} and attributes old usage by what it has now, and several "
        "of them have usage. Put the subjects back, or give the customer one subject. Nothing was written."
    )


def require_total(meter: Meter, day: dt.date, rows: pl.Series, total: Sequence[Decimal]) -> None:
    """Raise ControlTotalDiffers unless the day's rows add up to the day's total.

    Whole numbers below 2^53 have to be equal. The server adds binary floats otherwise, whose sum depends on
    their order: then the difference may be 2^-40 of the sum of all sizes, less than any row that could be lost.
    """
    if len(total) == 1 and _summed_at_once(rows) == total[0]:
        return
    with localcontext(prec=80):
        stated = sum(total, Decimal(0))
        found, size, whole = _summed(rows)
        size += abs(stated)
        whole = whole and size < _EXACT_FLOAT and stated == stated.to_integral_value()
        allowed = Decimal(0) if whole else size * _FLOAT_ERROR
        if len(total) > 1 or abs(stated - found) > allowed:
            raise ControlTotalDiffers(
                f"meter {meter.slug!r} on {day:%F}: its {len(rows)} rows add up to {found.normalize():f}, but the "
                f"server's total of the day is {stated.normalize():f}. Usage is missing or counted twice, or "
                "events came while the day was read: run the day again. Nothing was written."
            )


def _summed_at_once(values: pl.Series) -> Decimal | None:
    """The exact sum of values where one decimal is sure to hold it; else None."""
    least, most = values.min(), values.max()
    if not isinstance(least, Decimal) or not isinstance(most, Decimal):
        return None
    if max(-least, most) * len(values) >= LIMIT:
        return None
    found = values.sum()
    return found if isinstance(found, Decimal) else None


def _summed(values: pl.Series) -> tuple[Decimal, Decimal, bool]:
    """The exact sum of values, that of their sizes, and whether all are whole.

    Parts before and after the point are added up apart: a sum may have more digits than one decimal holds.
    """
    value = pl.col(values.name)
    before = value.truncate(0)
    after = value - before
    before = before.cast(pl.Decimal(38, 0))
    sums = [each.sum() for each in (before, after, before.abs(), after.abs())]
    found = values.to_frame().select(each.alias(str(i)) for i, each in enumerate(sums))
    found_before, found_after, size_before, size_after = (Decimal(each or 0) for each in found.row(0))
    return found_before + found_after, size_before + size_after, size_after == 0


async def together(asked: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Every result, in order; the first error ends the others and is raised as it is."""
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in asked]
    except BaseExceptionGroup as several:
        raise _first(several) from None
    return [task.result() for task in tasks]


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    error = several.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _shards(subjects: Sequence[str]) -> list[Sequence[str]]:
    return [subjects[i : i + SUBJECTS_PER_QUESTION] for i in range(0, len(subjects), SUBJECTS_PER_QUESTION)]
