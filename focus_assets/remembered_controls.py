"""Control totals that held are not computed again while the lake holds the same bytes.

What belongs here: when an answer may be used again. What does not: the control totals (``stage_controls``).

The checks of a run ask for them first, then the gate of each delivery, of every day of its months; in one process
that is the same question about the same files several times.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from typing import Final

import polars as pl

from focus_assets.billing.closed import closed_on
from focus_assets.closed_stages import FOCUS
from focus_assets.lake import CorruptPartition, Lake, MissingPartitions, partition_of_input
from focus_assets.lake.remembered import Remembered

_OF_THE_DAY: Final = (
    "catalog",
    FOCUS,
    "normalized_usage",
    "raw_usage",
    "unbilled_usage",
    "usage_totals",
)
_held: Final = Remembered()


def what_is_read(lake: Lake, day: dt.date) -> str | None:
    """A digest of all that the control totals of ``day`` read, its files proven; None where some of it is not there.

    That is the day in each stage, with everything that its FOCUS rows were computed from, and its closed rows.
    """
    try:
        focus = lake.record(FOCUS, day)
        if focus is None:
            return None
        read = {(dataset, day) for dataset in _OF_THE_DAY}
        read |= {partition for key in focus.inputs if (partition := partition_of_input(key)) is not None}
        days: dict[str, list[dt.date]] = {}
        for dataset, each in sorted(read):
            days.setdefault(dataset, []).append(each)
        digest = hashlib.sha256()
        for dataset, some in days.items():
            for record in lake.records(dataset, some).values():
                digest.update(record.to_json())
            lake.files(dataset, some)
    except (MissingPartitions, CorruptPartition):
        return None
    with closed_on(lake, day) as closed:
        digest.update(f"{closed.number} {closed.sha256}".encode())
    return digest.hexdigest()


def held(name: str, read: str | None) -> bool:
    """Whether the control of that name has found nothing in what was read."""
    return read is not None and (name, read) in _held


def once(
    name: str, control: Callable[[Lake, dt.date], pl.DataFrame]
) -> Callable[[Lake, dt.date], pl.DataFrame]:
    """``control``, asked again only where it found something, or what it reads has changed since."""

    def ask(lake: Lake, day: dt.date) -> pl.DataFrame:
        read = what_is_read(lake, day)
        if held(name, read):
            return pl.DataFrame()
        found = control(lake, day)
        if found.is_empty() and read is not None and what_is_read(lake, day) == read:
            _held.add((name, read))
        return found

    return ask
