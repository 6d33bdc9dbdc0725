"""What a day's rows rest on, so that a change of it is noticed.

What belongs here: the entry of a record that stands for events of files, and which earlier days a look-back needs.
What does not: reading the files (``ingest``) and comparing records (``usage_source``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from focus_assets.cloudevents.file_days import DaysOfFile, events_digest

_INPUT: Final = "source/cloudevents/"


class EventFilesSettings(Protocol):
    """What of the settings this source reads.

    ``url`` is a folder, ``window`` is minute, hour or day, ``lookback_days`` how long an event counts as
    seen.
    """

    @property
    def url(self) -> str: ...

    @property
    def window(self) -> str: ...

    @property
    def lookback_days(self) -> int: ...


def days_looked_back_on(day: dt.date, lookback_days: int, first_day: dt.date) -> list[dt.date]:
    """The days before ``day``, from ``first_day`` on, whose keys decide what is a duplicate on it."""
    reached = min(lookback_days, max(0, (day - first_day).days))
    return [day - dt.timedelta(days=n) for n in range(reached, 0, -1)]


def source_input(
    settings: EventFilesSettings, files: Mapping[str, DaysOfFile], first: dt.date, last: dt.date
) -> dict[str, str]:
    """The events of the days [first, last] in ``files``, as an entry of a record's inputs.

    Equal entries give equal rows. :func:`span_of_input` is the way back.
    """
    how = f"{settings.window} {settings.lookback_days}"
    return {f"{_INPUT}{first:%F}/{last:%F}": events_digest(files, first, last, how=how)}


def span_of_input(inputs: Iterable[str]) -> tuple[dt.date, dt.date] | None:
    """First and last day of the files' events that a record's inputs name; None where they name none."""
    for key in inputs:
        if key.startswith(_INPUT):
            first, _, last = key.removeprefix(_INPUT).partition("/")
            return dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    return None
