"""What the export sensor decides, as pure functions over what it has read.

What belongs here: which months may be delivered and which are asked for now. What does not: reading Dagster's
instance or the lake (``export_sensor``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel

from focus_assets.delivery import BillingMonth, Due

FIRST_RETRY = dt.timedelta(minutes=5)
LONGEST_WAIT = dt.timedelta(hours=6)


class RunState(StrEnum):
    """How the run stands that materialized a day or tried a delivery."""

    UNFINISHED = "unfinished"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Position(BaseModel):
    """How far the sensor has read, and the days whose newest materialization did not pass its checks."""

    after: int = 0
    held_back: dict[dt.date, str] = {}


@dataclass(frozen=True)
class Materialized:
    """One materialization of a day of ``focus_cost_and_usage``."""

    storage_id: int
    day: dt.date
    run_id: str
    state: RunState


@dataclass(frozen=True)
class Attempt:
    """One run that tried to deliver certain content of a month."""

    state: RunState
    ended: dt.datetime | None


def advance(position: Position, records: Sequence[Materialized]) -> tuple[Position, set[dt.date]]:
    """Read materializations in order, up to the first of an unfinished run.

    Returns the new position, and the days of unfinished runs: their checks may still fail. A day counts as
    passed only when the run of its newest materialization succeeded.
    """
    after, held_back, unfinished = position.after, dict(position.held_back), set[dt.date]()
    for record in records:
        if record.state is RunState.UNFINISHED:
            unfinished.add(record.day)
        if unfinished:
            continue
        after = record.storage_id
        if record.state is RunState.SUCCEEDED:
            held_back.pop(record.day, None)
        else:
            held_back[record.day] = record.run_id
    unread = {record.day for record in records if record.storage_id > after}
    return Position(after=after, held_back=held_back), unread


def eligible_months(months: Mapping[str, BillingMonth], withheld: Iterable[dt.date]) -> list[str]:
    """Months of which no day is withheld: a billing month is delivered whole or not at all."""
    days = set(withheld)
    return [month for month, held in months.items() if not days.intersection(held.span)]


def may_try(attempts: Sequence[Attempt], now: dt.datetime) -> bool:
    """Whether to ask for a delivery that runs have tried before.

    Not while one is under way. After failures again, at ever longer intervals: a destination that was down is
    caught up with, one that stays down does not fill the run list.
    """
    if any(attempt.state is RunState.UNFINISHED for attempt in attempts):
        return False
    failed = [attempt.ended for attempt in attempts if attempt.state is RunState.FAILED and attempt.ended]
    if not failed:
        return True
    wait: dt.timedelta = min(FIRST_RETRY * (1 << min(len(failed) - 1, 10)), LONGEST_WAIT)
    return now - max(failed) >= wait


def delivery_name(due: Due, datasets: Sequence[Mapping[str, BillingMonth]]) -> str:
    """What a run delivers, as its tag: the month, the content of each of the ``datasets``, and who gets it."""
    digests = [months[due.month].source_digest for months in datasets if due.month in months]
    content = digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()
    return f"{due.month}:{content[:16]}:{','.join(due.destinations)}"
