"""What happens at the sample company: its subjects and the events of each day.

What belongs here: who uses what, when and how much, in the forms that real events take. What does not: how
events come to lie in files, twice or late or cut short (``events``).

Draws come from :meth:`random.Random.random`, whose sequence Python keeps from version to version, in a
generator of its own for each day and subject: leaving out customers or days does not change the events of
the others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

FIRST_DAY: Final = dt.date(2026, 8, 1)
LAST_DAY: Final = dt.date(2026, 9, 30)

_REGIONS: Final = ("eu-1", "us-1", "ap-1")
_BUSY_HOURS: Final = (*range(24), *range(7, 19), *range(8, 18), *range(9, 17))
_WEEKEND_PERCENT: Final = 45
_ORDERING: Final = (12,)
"""Customers that order at the marketplace."""


class NumberText(str):
    """Decimal text that is to stand in JSON as a number, digit for digit."""

    __slots__ = ()


@dataclass(frozen=True)
class _Subject:
    """Who causes usage: ``size`` in percent of an ordinary team; ``customer`` 0 stands for none."""

    key: str
    customer: int
    size: int
    begins: dt.date = FIRST_DAY
    ends: dt.date = dt.date.max
    home: str = "eu-1"
    utc_offset: int = 0
    stores: bool = True


_SUBJECTS: Final = (
    _Subject("cust-01/team-a", 1, 160),
    _Subject("cust-01/team-b", 1, 110, home="us-1"),
    _Subject("cust-01/batch", 1, 70, stores=False),
    _Subject("cust-02/main", 2, 130, home="us-1"),
    _Subject("cust-03/main", 3, 60, begins=dt.date(2026, 8, 2), utc_offset=2),
    _Subject("cust-04/main", 4, 80),
    _Subject("cust-05/main", 5, 90, home="ap-1"),
    _Subject("lab-7", 5, 60, stores=False),  # cust-06 takes it over on 2026-08-20
    _Subject("cust-06/main", 6, 90),
    _Subject("cust-07/main", 7, 110, begins=dt.date(2026, 8, 15), home="us-1"),
    _Subject("cust-08/main", 8, 90, begins=dt.date(2026, 8, 31)),
    _Subject("cust-09/main", 9, 80, begins=dt.date(2026, 8, 20), home="ap-1"),
    _Subject("cust-10/main", 10, 120),
    _Subject("cust-11/main", 11, 70, ends=dt.date(2026, 9, 20)),  # two days longer than its subscription
    _Subject("cust-12/main", 12, 150, home="us-1"),
    _Subject("cust-13/main", 13, 40),
    _Subject("cust-14/main", 14, 50, begins=dt.date(2026, 8, 5), home="ap-1"),
    _Subject("trial-01", 0, 10),  # belongs to no customer
)


def events_of(seed: int, day: dt.date, customers: int | None) -> Iterator[dict[str, Any]]:
    """What happens on ``day`` (UTC), as CloudEvents; of the first ``customers``, of all where None."""
    seated = {0}
    for subject in _SUBJECTS:
        if not subject.begins <= day < subject.ends:
            continue
        if customers is not None and subject.customer > customers:
            continue
        draw = Random(f"{seed}/{day}/{subject.key}")
        busy = subject.size * (_WEEKEND_PERCENT if day.weekday() >= 5 else 100)
        yield from _requests(draw, day, subject, busy)
        if subject.customer == 0:
            continue
        yield from _model_usage(draw, day, subject, busy)
        if subject.stores:
            yield from _storage(draw, day, subject)
            yield from _sessions(draw, day, subject, busy)
        if subject.customer not in seated:
            seated.add(subject.customer)
            yield _seats(day, subject)
        if subject.customer in _ORDERING:
            yield from _orders(Random(f"{seed}/{day}/{subject.key}/orders"), day, subject)


def _requests(draw: Random, day: dt.date, subject: _Subject, busy: int) -> Iterator[dict[str, Any]]:
    """Each event one API request; its time has milliseconds."""
    for n in range(busy * 42 // 10_000):
        instant = _instant(draw, day)
        millisecond = int(draw.random() * 1000)
        event = _event("api", "api.request", f"{subject.key}/{day:%Y%m%d}/{n}", subject, instant)
        if not subject.utc_offset:
            event["time"] = f"{instant:%Y-%m-%dT%H:%M:%S}.{millisecond:03d}Z"
        event["data"] = {"method": "GET" if draw.random() < 0.7 else "POST", **_region(draw, subject)}
        yield event


def _model_usage(draw: Random, day: dt.date, subject: _Subject, busy: int) -> Iterator[dict[str, Any]]:
    """A batch of prompts gives two events, its input and its output tokens; now and then as numeric text."""
    for n in range(max(1, busy * 17 // 10_000)):
        instant = _instant(draw, day)
        model = "sample-mini" if draw.random() < 0.65 else "sample-pro"
        where = _region(draw, subject)
        for direction, most in (("input", 120_000), ("output", 40_000)):
            tokens = 500 + int(draw.random() * most)
            event = _event(
                "inference", "model.usage", f"{subject.key}/{day:%Y%m%d}/{n}/{direction}", subject, instant
            )
            odd = draw.random()
            event["data"] = {
                "tokens": str(tokens) if odd < 0.03 else tokens,
                "model": model,
                "type": direction,
                **where,
            }
            if odd > 0.999:
                del event["data"]["type"]
            yield event


def _orders(draw: Random, day: dt.date, subject: _Subject) -> Iterator[dict[str, Any]]:
    """What was ordered at the marketplace on some days; the metered value is money."""
    for n in range(int(draw.random() * 3)):
        cents = 100 + int(draw.random() * 1_900)
        event = _event(
            "marketplace",
            "marketplace.order",
            f"{subject.key}/{day:%Y%m%d}/order/{n}",
            subject,
            _instant(draw, day),
        )
        event["data"] = {"amount": f"{cents // 100}.{cents % 100:02d}"}
        yield event


def _storage(draw: Random, day: dt.date, subject: _Subject) -> Iterator[dict[str, Any]]:
    """What lies in the bucket, every six hours; GB-hours to six places, as a number or as text."""
    grown = 40 + subject.size * 2 + (day - FIRST_DAY).days * subject.size // 50
    for hour in (0, 6, 12, 18):
        instant = dt.datetime(day.year, day.month, day.day, hour, 5, tzinfo=dt.UTC)
        millionths = grown * 1_000_000 + int(draw.random() * 25_000_000)
        gb_hours = f"{millionths * 6 // 1_000_000}.{millionths * 6 % 1_000_000:06d}"
        event = _event(
            "storage", "storage.snapshot", f"{subject.key}/{day:%Y%m%d}T{hour:02d}", subject, instant
        )
        event["data"] = {
            "gb_used": millionths // 1_000_000,
            "gb_hours": gb_hours if hour == 18 else NumberText(gb_hours),
            **_region(draw, subject),
        }
        yield event


def _sessions(draw: Random, day: dt.date, subject: _Subject, busy: int) -> Iterator[dict[str, Any]]:
    """Who logged in; some sessions are anonymous and count as nobody."""
    people = 3 + subject.size // 8
    for n in range(max(1, busy * 8 // 10_000)):
        instant = _instant(draw, day)
        event = _event("workspace", "session.started", f"{subject.key}/{day:%Y%m%d}/{n}", subject, instant)
        person = f"user-{int(draw.random() * people) + 1:02d}@{subject.key}"
        event["data"] = {"user_id": None if draw.random() < 0.02 else person}
        yield event


def _seats(day: dt.date, subject: _Subject) -> dict[str, Any]:
    """The customer's seats at five past midnight, with the id that its storage snapshot has too.

    Two events of different sources may share an id; only together they say which event it is.
    """
    instant = dt.datetime(day.year, day.month, day.day, 0, 5, tzinfo=dt.UTC)
    event = _event("workspace", "seats.provisioned", f"{subject.key}/{day:%Y%m%d}T00", subject, instant)
    weeks = (day - FIRST_DAY).days // 7
    given_back = 3 if (day.month, subject.customer % 4) == (9, 1) and day.day > 15 else 0
    event["subject"] = f"cust-{subject.customer:02d}"
    event["data"] = {"seats": 4 + subject.size // 10 + weeks // 2 - given_back}
    return event


def _event(source: str, event_type: str, key: str, subject: _Subject, instant: dt.datetime) -> dict[str, Any]:
    local = instant.astimezone(dt.timezone(dt.timedelta(hours=subject.utc_offset)))
    return {
        "specversion": "1.0",
        "type": event_type,
        "source": f"sample/{source}",
        "id": key,
        "subject": subject.key,
        "time": local.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def _instant(draw: Random, day: dt.date) -> dt.datetime:
    hour = _BUSY_HOURS[int(draw.random() * len(_BUSY_HOURS))]
    seconds = hour * 3600 + int(draw.random() * 3600)
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)


def _region(draw: Random, subject: _Subject) -> dict[str, str | None]:
    """Mostly the home region; in one of a hundred each null and absent."""
    drawn = draw.random()
    if drawn < 0.01:
        return {"region": None}
    if drawn < 0.02:
        return {}
    return {"region": subject.home if drawn < 0.85 else _REGIONS[int(draw.random() * len(_REGIONS))]}
