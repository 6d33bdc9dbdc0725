"""What the late usage sensor decides, as pure functions over what it has read.

What belongs here: which days changed and which range is asked for. What does not: reading the server, the lake or
Dagster's instance (``late_usage_sensor``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

LAG = dt.timedelta(minutes=5)
"""Events are read this long after they were stored: the server's own clocks and queues may be that far apart."""

FIRST_LOOK = dt.timedelta(days=35)
"""How far back the first look goes at most."""


OVERLAP: Final = dt.timedelta(hours=1)
"""Where events are listed by when they came, not by when they were stored, this much is listed again."""

TRAILING_DAYS: Final = 7
"""How many days are read again where events cannot be listed at all."""

TRAILING_EVERY: Final = dt.timedelta(days=1)


class Position(BaseModel):
    """What the sensor has read and what it waits for.

    ``after`` is the storage id of the last materialization read; ``read_since`` when the run began that last read
    a day from the server; ``stored_until`` the watermark of the events; ``late`` when the last event of a day
    came that the day's last run cannot have seen; ``trailing_at`` when days were last taken for late because events
    could not be listed; ``unlisted`` whether any could not be listed since.
    """

    after: int = 0
    read_since: dict[dt.date, dt.datetime] = {}
    stored_until: dt.datetime | None = None
    late: dict[dt.date, dt.datetime] = {}
    trailing_at: dt.datetime | None = None
    unlisted: bool = False


@dataclass(frozen=True)
class DayRead:
    """A run that read a day from the server."""

    storage_id: int
    day: dt.date
    run_began: dt.datetime


@dataclass(frozen=True)
class Opening:
    """The chain's first day, which holds what was used before it, from an instant on."""

    day: dt.date
    since: dt.datetime


@dataclass(frozen=True)
class Stored:
    """An event: the instant its usage belongs to and when it came."""

    time: dt.datetime
    stored_at: dt.datetime


def with_days_read(position: Position, read: Iterable[DayRead]) -> Position:
    """The position after materializations; a day that was read again after its late events waits no longer.

    Events that were read while a run was under way were of days that nobody had read: what came since it began is
    read once more.
    """
    after, since, until = position.after, dict(position.read_since), position.stored_until
    for each in read:
        after = max(after, each.storage_id)
        since[each.day] = each.run_began
        if until is not None:
            until = min(until, (each.run_began - LAG).replace(microsecond=0))
    late = {day: came for day, came in position.late.items() if _unseen(came, since.get(day))}
    return position.model_copy(
        update={"after": after, "read_since": since, "late": late, "stored_until": until}
    )


def events_to_read(position: Position, now: dt.datetime) -> tuple[dt.datetime, dt.datetime] | None:
    """Which events to read now, by when they were stored, half open; None where there are none yet.

    Without a watermark from when the oldest day was read; without any day there is nothing that could be late.
    """
    until = (now - LAG).replace(microsecond=0)
    since = position.stored_until
    if since is None:
        if not position.read_since:
            return None
        since = max(min(position.read_since.values()) - LAG, now - FIRST_LOOK).replace(microsecond=0)
    return (since, until) if since < until else None


def with_events(
    position: Position, events: Iterable[Stored], until: dt.datetime, opening: Opening | None = None
) -> Position:
    """The position after every event that was stored before ``until``.

    Events of days that were never read are not late: whoever reads these days finds them. Those from before the
    first day are part of its ``opening`` quantities, if it has any.
    """
    late = dict(position.late)
    for event in events:
        day = event.time.astimezone(dt.UTC).date()
        if opening is not None and day < opening.day and event.time >= opening.since:
            day = opening.day
        if day in position.read_since and _unseen(event.stored_at, position.read_since[day]):
            late[day] = max(event.stored_at, late.get(day, event.stored_at))
    return position.model_copy(update={"late": late, "stored_until": until})


def with_trailing_window(position: Position, now: dt.datetime, until: dt.datetime) -> Position:
    """The position where nobody knows which events came: once a day, the last days read are taken for late.

    They are read again and compared; days that come out the same keep their bytes. The watermark moves on, for
    these events will not be listed later either; where it is too early they are remembered as ``unlisted``.
    """
    moved = position.model_copy(update={"stored_until": until, "unlisted": True})
    if position.trailing_at is not None and now - position.trailing_at < TRAILING_EVERY:
        return moved
    last = sorted(position.read_since)[-TRAILING_DAYS:]
    late = {**position.late, **{day: max(now - LAG, position.late.get(day, now - LAG)) for day in last}}
    return moved.model_copy(update={"late": late, "trailing_at": now, "unlisted": False})


def range_to_request(
    position: Position, last_day_touched: Callable[[dt.date], dt.date]
) -> tuple[dt.date, dt.date] | None:
    """From the earliest late day to the last day read of the rating periods that late days touch; None without.

    ``last_day_touched`` gives the last day of any rating period that has a part on a day. Tiers are counted from
    a period's start, so every later day of it was rated from too little.
    """
    if not position.late:
        return None
    first = min(position.late)
    touched = max(max(last_day_touched(day), day) for day in position.late)
    return first, max(day for day in position.read_since if first <= day <= touched)


def request_name(position: Position, asked: tuple[dt.date, dt.date]) -> str:
    """What a run is asked for, as its tag: the range and the newest event that makes it necessary."""
    newest = max(position.late.values())
    return f"{asked[0]:%F}:{asked[1]:%F}:{newest:%Y%m%dT%H%M%SZ}"


def _unseen(stored_at: dt.datetime, run_began: dt.datetime | None) -> bool:
    return run_began is None or stored_at + LAG > run_began
