"""Control totals that held are not computed again while the lake holds the same bytes.

What belongs here: when an answer may be used again. What does not: the control totals (``stage_controls``).

The checks of a run ask for them first, then the gate of each delivery, of every day of its months; in one process
that is the same question about the same files several times.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from focus_assets.billing.closed import DATASET as CLOSED_ROWS
from focus_assets.billing.closed import kept_objects
from focus_assets.closed_stages import FOCUS
from focus_assets.lake import CorruptPartition, Lake, MissingPartitions, partition_of_input
from focus_assets.lake.remembered import Remembered

_STAGES: Final = ("raw_usage", "normalized_usage", "usage_totals", "unbilled_usage", "catalog", FOCUS)
_READ_CLOSED_ROWS: Final = ("closed_rows_unchanged",)
_held: Final = Remembered()


@dataclass(frozen=True)
class WhatIsRead:
    """Digests of all that the control totals of a day read: of its stages, and of its closed rows."""

    stages: str
    closed: str

    def by(self, name: str) -> tuple[str, ...]:
        """The part of it that one control reads; only one looks at closed rows, which are kept after the others ran."""
        return (self.stages, self.closed) if name in _READ_CLOSED_ROWS else (self.stages,)


def what_is_read(lake: Lake, day: dt.date) -> WhatIsRead | None:
    """What the control totals of ``day`` read, its files proven; None where some of it is not there.

    That is the day in each stage, and its closed rows. Earlier days count by the digests that the day's FOCUS rows were
    computed from: who finds the lake to hold others finds the day stale.
    """
    digest = hashlib.sha256()
    try:
        for dataset in _STAGES:
            record = lake.record(dataset, day)
            if record is None:
                return None
            digest.update(record.to_json())
            lake.files(dataset, [day])
    except (MissingPartitions, CorruptPartition):
        return None
    return WhatIsRead(digest.hexdigest(), str(kept_objects(lake, CLOSED_ROWS, day)))


def held(name: str, read: WhatIsRead | None) -> bool:
    """Whether the control of that name has found nothing in what was read."""
    return read is not None and (name, *read.by(name)) in _held


def once(
    name: str, control: Callable[[Lake, dt.date], pl.DataFrame]
) -> Callable[[Lake, dt.date], pl.DataFrame]:
    """``control``, asked again only where it found something, or what it reads has changed since."""

    def ask(lake: Lake, day: dt.date) -> pl.DataFrame:
        read = what_is_read(lake, day)
        if held(name, read):
            return pl.DataFrame()
        found = control(lake, day)
        remember(lake, day, read, [name] if found.is_empty() else [])
        return found

    return ask


def remember(lake: Lake, day: dt.date, read: WhatIsRead | None, names: Sequence[str]) -> None:
    """Remember controls that found nothing in what they ``read``, if it is there still."""
    if names and read is not None and _is_from_what_is_there(lake, day) and what_is_read(lake, day) == read:
        for name in names:
            _held.add((name, *read.by(name)))


def _is_from_what_is_there(lake: Lake, day: dt.date) -> bool:
    """Whether the lake holds what the day's FOCUS rows were computed from, so that the control has read that.

    Asked each time: what is there of other days may change while the day stays the same.
    """
    focus = lake.record(FOCUS, day)
    if focus is None:
        return False
    said: dict[str, dict[dt.date, str]] = {}
    for key, sha256 in focus.inputs.items():
        of = partition_of_input(key)
        if of is not None:
            said.setdefault(of[0], {})[of[1]] = sha256
    try:
        return all(
            {day: record.sha256 for day, record in lake.records(dataset, list(days)).items()} == days
            for dataset, days in said.items()
        )
    except (MissingPartitions, CorruptPartition):
        return False
