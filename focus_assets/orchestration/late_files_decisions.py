"""What the late files sensor decides, as pure functions over what it has read.

What belongs here: which files are worth reading now and which range of days is asked for. What does not: reading
files, the lake or Dagster's instance (``late_files_sensor``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from focus_assets.cloudevents.files import EventFile

LAG: Final = dt.timedelta(minutes=10)
"""A file is read this long after it last changed: one that is still being written changes all the time."""

BYTES_A_TICK: Final = 256 * 1024 * 1024
"""How much is read at a time at most, but for a file that is larger by itself."""


def worth_reading(files: Sequence[EventFile], now: dt.datetime) -> list[EventFile]:
    """Files to read now: those that came to rest, the longest at rest first, as many as a tick may take."""
    resting = sorted(
        (file for file in files if file.modified <= now - LAG), key=lambda file: (file.modified, file.path)
    )
    chosen: list[EventFile] = []
    for file in resting:
        if chosen and sum(each.size for each in chosen) + file.size > BYTES_A_TICK:
            break
        chosen.append(file)
    return chosen


def range_to_request(
    late: Collection[dt.date],
    read: Collection[dt.date],
    last_day_touched: Callable[[dt.date], dt.date],
    lookback_days: int,
) -> tuple[dt.date, dt.date] | None:
    """From the earliest late day to the last day read that it may change; None without a late day.

    A late event changes the later days of its rating periods, whose tiers counted from too little, and the days
    whose look-back reaches it, on which it may come again. ``last_day_touched`` gives the last day of any rating
    period that has a part on a day.
    """
    if not late:
        return None
    first = min(late)
    touched = max(max(last_day_touched(day), day + dt.timedelta(days=lookback_days)) for day in late)
    return first, max(day for day in {*read, first} if first <= day <= touched)


def request_name(asked: tuple[dt.date, dt.date], late: Mapping[dt.date, str]) -> str:
    """What a run is asked for, as its tag: the range, and a digest of what the late days are now."""
    text = "".join(f"{day:%F} {digest}\n" for day, digest in sorted(late.items()))
    return f"{asked[0]:%F}:{asked[1]:%F}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
