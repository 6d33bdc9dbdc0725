"""The keys of earlier days, as the lake keeps them.

What belongs here: finding them, and refusing to go on without. What does not: what is done with them
(``seen_keys``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from focus_assets.cloudevents.errors import EarlierKeysMissing
from focus_assets.datasets import EVENT_KEYS
from focus_assets.lake import Lake, MissingPartitions, day_ranges, input_key


class KeptKeys:
    """``event_keys`` of a lake from ``first_day`` on; keys of the days before are read from the event files."""

    def __init__(self, lake: Lake, first_day: dt.date) -> None:
        self.first_day = first_day
        self._lake = lake
        self._digests: dict[dt.date, str] = {}

    def files(self, days: Sequence[dt.date]) -> list[Path]:
        """A local Parquet file of ``event_keys`` for each day.

        A day without is no day without events: what came twice would be billed twice. Raises EarlierKeysMissing
        and CorruptPartition.
        """
        if not days:
            return []
        try:
            return self._lake.files(EVENT_KEYS.name, days)
        except MissingPartitions as missing:
            raise _refused(missing.days) from missing

    def inputs(self, days: Sequence[dt.date]) -> dict[str, str]:
        """The days' entries in the record of what is computed from them. Raises as :meth:`files`."""
        try:
            records = self._lake.records(EVENT_KEYS.name, [day for day in days if day not in self._digests])
        except MissingPartitions as missing:
            raise _refused(missing.days) from missing
        self._digests |= {day: record.sha256 for day, record in records.items()}
        return {input_key(EVENT_KEYS.name, day): self._digests[day] for day in days}


def _refused(days: Sequence[dt.date]) -> EarlierKeysMissing:
    return EarlierKeysMissing(
        f"the lake does not hold which events came on {day_ranges(days)} ({EVENT_KEYS.name}), so an event that came "
        "again since could not be told from a new one, and would be billed twice. Fill these days first:\n"
        f"  focus-assets materialize --from {min(days):%F} --to {max(days):%F}\n"
        "or set source.cloudevents.lookback_days lower. Nothing was written."
    )
