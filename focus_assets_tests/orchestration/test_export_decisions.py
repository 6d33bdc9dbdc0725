"""What may be delivered and when it is asked for, as tables: no instance, no lake, no clock."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest

from focus_assets.delivery import BillingMonth, Due
from focus_assets.orchestration.export_decisions import (
    FIRST_RETRY,
    LONGEST_WAIT,
    Attempt,
    Materialized,
    Position,
    RunState,
    advance,
    delivery_name,
    eligible_months,
    may_try,
)

GOOD, BAD, OPEN = RunState.SUCCEEDED, RunState.FAILED, RunState.UNFINISHED


def day(number: int) -> dt.date:
    return dt.date(2026, 8, number)


def records(*states: tuple[int, RunState], first: int = 1) -> list[Materialized]:
    """Materializations of (day, state of the run), in order of storage ids."""
    return [
        Materialized(storage_id, day(number), f"run-{storage_id}", state)
        for storage_id, (number, state) in enumerate(states, first)
    ]


READINGS = {
    "nothing new": ([], 0, {}, set()),
    "good days": ([(1, GOOD), (2, GOOD)], 2, {}, set()),
    "a day that failed": ([(1, GOOD), (2, BAD)], 2, {2: "run-2"}, set()),
    "a range of which one day failed": (
        [(1, BAD), (2, BAD), (3, BAD)],
        3,
        {1: "run-1", 2: "run-2", 3: "run-3"},
        set(),
    ),
    "a day that failed and then passed": ([(2, BAD), (2, GOOD)], 2, {}, set()),
    "a day that passed and then failed": ([(2, GOOD), (2, BAD)], 2, {2: "run-2"}, set()),
    "a day that failed twice": ([(2, BAD), (2, BAD)], 2, {2: "run-2"}, set()),
    "a run that is not finished": ([(1, GOOD), (2, OPEN)], 1, {}, {2}),
    "only a run that is not finished": ([(1, OPEN), (2, OPEN)], 0, {}, {1, 2}),
    "good days after an unfinished run": ([(1, OPEN), (2, GOOD), (3, BAD)], 0, {}, {1, 2, 3}),
    "a day that passed is run again": ([(1, GOOD), (1, OPEN)], 1, {}, {1}),
    "a day that failed is run again": ([(1, BAD), (1, OPEN)], 1, {1: "run-1"}, {1}),
}


@pytest.mark.parametrize(("states", "after", "held_back", "unread"), READINGS.values(), ids=READINGS)
def test_reading_stops_before_an_unfinished_run_and_holds_back_what_failed(
    states: list[tuple[int, RunState]], after: int, held_back: dict[int, str], unread: set[int]
) -> None:
    position, waiting = advance(Position(), records(*states))
    assert position == Position(after=after, held_back={day(n): run for n, run in held_back.items()})
    assert waiting == {day(n) for n in unread}


def test_a_day_stays_held_back_from_tick_to_tick_until_a_good_run_releases_it() -> None:
    position, _ = advance(Position(), records((1, BAD), (2, BAD)))
    again, _ = advance(position, [])
    assert again == position
    released, _ = advance(position, records((2, GOOD), first=3))
    assert released == Position(after=3, held_back={day(1): "run-1"})


def test_a_run_that_ends_is_read_at_the_next_tick() -> None:
    position, unread = advance(Position(), records((1, OPEN)))
    assert unread == {day(1)}
    assert advance(position, records((1, GOOD))) == (Position(after=1), set())
    assert advance(position, records((1, BAD))) == (Position(after=1, held_back={day(1): "run-1"}), set())


def test_a_lost_cursor_comes_to_the_same_position() -> None:
    everything = records((1, BAD), (2, GOOD), (1, GOOD), (3, BAD))
    step_by_step = Position()
    for record in everything:
        step_by_step, _ = advance(step_by_step, [record])
    assert advance(Position(), everything)[0] == step_by_step


def test_a_position_survives_being_a_cursor() -> None:
    position = Position(after=7, held_back={day(2): "run-2"})
    assert Position.model_validate_json(position.model_dump_json()) == position


AUGUST = BillingMonth("2026-08", {day(1): "a", day(3): "c"})
SEPTEMBER = BillingMonth("2026-09", {dt.date(2026, 8, 20): "x", dt.date(2026, 9, 1): "y"})
MONTHS = {"2026-08": AUGUST, "2026-09": SEPTEMBER}

WITHHELD = {
    "no day": ([], ["2026-08", "2026-09"]),
    "a day of the month": ([day(3)], ["2026-09"]),
    "a day between its days": ([day(2)], ["2026-09"]),
    "a day after its days": ([day(4)], ["2026-08", "2026-09"]),
    "a day with rows of the next month": ([dt.date(2026, 8, 25)], ["2026-08"]),
    "days of both": ([day(1), dt.date(2026, 9, 1)], []),
}


@pytest.mark.parametrize(("withheld", "eligible"), WITHHELD.values(), ids=WITHHELD)
def test_a_month_waits_for_every_day_from_its_first_to_its_last(
    withheld: list[dt.date], eligible: list[str]
) -> None:
    assert eligible_months(MONTHS, withheld) == eligible


NOW = dt.datetime(2026, 8, 11, 12, tzinfo=dt.UTC)


def failed(*minutes_ago: float) -> list[Attempt]:
    return [Attempt(BAD, NOW - dt.timedelta(minutes=minutes)) for minutes in minutes_ago]


TRIES = {
    "never tried": ([], True),
    "being tried": ([Attempt(OPEN, None)], False),
    "being tried again": ([*failed(600), Attempt(OPEN, None)], False),
    "succeeded, and is due again because the content came back": ([Attempt(GOOD, NOW)], True),
    "failed a moment ago": (failed(0), False),
    "failed four minutes ago": (failed(4), False),
    "failed five minutes ago": (failed(5), True),
    "failed twice, last five minutes ago": (failed(11, 5), False),
    "failed twice, last ten minutes ago": (failed(20, 10), True),
    "in whatever order they are listed": (failed(5, 20), False),
    "failed four times, last 39 minutes ago": (failed(100, 80, 60, 39), False),
    "failed four times, last 40 minutes ago": (failed(100, 80, 60, 40), True),
    "failed a hundred times, last six hours ago": (failed(*range(360, 460)), True),
    "failed a hundred times, last five hours ago": (failed(*range(300, 400)), False),
    "a run without an end was never begun": ([Attempt(BAD, None)], True),
}


@pytest.mark.parametrize(("attempts", "expected"), TRIES.values(), ids=TRIES)
def test_a_delivery_may_be_tried(attempts: list[Attempt], expected: bool) -> None:
    assert may_try(attempts, NOW) is expected


def test_the_wait_doubles_from_five_minutes_to_six_hours_and_never_ends() -> None:
    def wait(failures: int) -> dt.timedelta:
        step = dt.timedelta(minutes=1)
        return next(n * step for n in range(1000) if may_try([Attempt(BAD, NOW)] * failures, NOW + n * step))

    waits = [wait(n) for n in range(1, 10)]
    assert waits[0] == FIRST_RETRY
    assert all(later == min(2 * earlier, LONGEST_WAIT) for earlier, later in pairwise(waits))
    assert waits[-1] == wait(500) == LONGEST_WAIT


def test_a_delivery_is_another_when_month_content_or_destinations_are() -> None:
    restated = {"2026-08": BillingMonth("2026-08", {**AUGUST.digests, day(1): "A"})}
    names = {
        delivery_name(Due("2026-08", ["a", "b"]), [MONTHS]),
        delivery_name(Due("2026-08", ["a"]), [MONTHS]),
        delivery_name(Due("2026-09", ["a", "b"]), [MONTHS]),
        delivery_name(Due("2026-08", ["a", "b"]), [restated]),
        delivery_name(Due("2026-08", ["a", "b"]), [MONTHS, restated]),
    }
    assert len(names) == 5
    assert delivery_name(Due("2026-08", ["a"]), [MONTHS]) == delivery_name(
        Due("2026-08", ["a"]), [dict(MONTHS)]
    )
