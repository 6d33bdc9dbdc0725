"""Usage that came after its day was read: which days are asked for again, and when no more."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from focus_assets.orchestration.late_usage_decisions import (
    FIRST_LOOK,
    LAG,
    DayRead,
    Opening,
    Position,
    Stored,
    events_to_read,
    range_to_request,
    request_name,
    with_days_read,
    with_events,
    with_trailing_window,
)

NOON = dt.datetime(2026, 8, 10, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def day(number: int) -> dt.date:
    return dt.date(2026, 8, number)


def at(number: int, hour: int = 6) -> dt.datetime:
    return dt.datetime(2026, 8, number, hour, tzinfo=dt.UTC)


def read_each_morning(*numbers: int) -> Position:
    """Each day read at six on the next."""
    return with_days_read(Position(), [DayRead(n, day(n), at(n + 1)) for n in numbers])


def end_of_month(of: dt.date) -> dt.date:
    return dt.date(2026, 8, 31)


def test_an_event_that_came_after_its_day_was_read_makes_the_day_late() -> None:
    position = with_events(read_each_morning(1, 2, 3), [Stored(at(2, 23), at(5))], NOON)
    assert position.late == {day(2): at(5)}
    assert range_to_request(position, end_of_month) == (day(2), day(3))


def test_an_event_that_came_before_its_day_was_read_is_not_late() -> None:
    assert with_events(read_each_morning(1), [Stored(at(1), at(1, 7))], NOON).late == {}


def test_an_event_that_came_while_its_day_was_read_counts_as_late() -> None:
    just_before = at(2) - LAG + dt.timedelta(seconds=1)
    assert with_events(read_each_morning(1), [Stored(at(1), just_before)], NOON).late == {day(1): just_before}
    assert with_events(read_each_morning(1), [Stored(at(1), at(2) - LAG)], NOON).late == {}


def test_days_that_were_never_read_are_not_late() -> None:
    assert with_events(read_each_morning(2), [Stored(at(1), at(5))], NOON).late == {}


def test_an_event_from_before_the_first_day_is_late_where_that_holds_an_opening_quantity() -> None:
    events = [Stored(at(1), at(5)), Stored(at(2, 5), at(6))]
    read = read_each_morning(3, 4)
    assert with_events(read, events, NOON, None).late == {}
    assert with_events(read, events, NOON, Opening(day(3), at(2, 0))).late == {day(3): at(6)}
    assert with_events(read, events, NOON, Opening(day(3), at(1))).late == {day(3): at(6)}
    assert with_events(read, events[:1], NOON, Opening(day(3), at(1, 7))).late == {}
    assert with_events(read, [Stored(at(3), at(6))], NOON, Opening(day(4), at(1))).late == {day(4): at(6)}


def test_an_event_that_was_read_while_its_day_was_is_read_once_more() -> None:
    """A run of hours is recorded at its end; until then nobody knows which days it has read, and when."""
    position = with_events(read_each_morning(1), [], at(3, 8))
    came = Stored(at(2), at(3, 7))
    position = with_events(position, [came], at(3, 9))
    assert position.late == {}, "nobody had read the second when it came"
    position = with_days_read(position, [DayRead(2, day(2), at(3, 6))])
    span = events_to_read(position, NOON)
    assert span == (at(3, 6) - LAG, NOON - LAG)
    assert with_events(position, [came], span[1]).late == {day(2): came.stored_at}


def test_a_run_that_began_after_what_was_read_has_nothing_read_again() -> None:
    position = with_events(read_each_morning(1), [], at(3, 8))
    position = with_days_read(position, [DayRead(2, day(2), at(3, 9))])
    assert events_to_read(position, NOON) == (at(3, 8), NOON - LAG)


def test_several_late_days_are_one_range_to_the_end_of_the_periods_they_touch() -> None:
    position = with_events(
        read_each_morning(*range(1, 10)), [Stored(at(3), at(10)), Stored(at(5), at(10))], NOON
    )
    assert range_to_request(position, lambda of: of + dt.timedelta(days=2)) == (day(3), day(7))
    assert range_to_request(position, end_of_month) == (day(3), day(9))
    assert range_to_request(position, lambda of: of) == (day(3), day(5))


def test_a_day_waits_until_a_run_that_began_after_the_event_has_read_it() -> None:
    late = with_events(read_each_morning(1), [Stored(at(1), at(5))], NOON)
    assert with_days_read(late, [DayRead(9, day(1), at(5) - HOUR)]).late, "that run began before"
    assert with_days_read(late, [DayRead(9, day(1), at(5) + HOUR)]).late == {}
    assert with_days_read(late, []).late, "a run that failed read nothing"


def test_events_are_read_from_the_watermark_to_a_lag_before_now_without_gap_or_overlap() -> None:
    position = read_each_morning(1)
    first = events_to_read(position, NOON)
    assert first == (at(2) - LAG, NOON - LAG)
    position = with_events(position, [], first[1])
    assert events_to_read(position, NOON) is None
    assert events_to_read(position, NOON + HOUR) == (NOON - LAG, NOON + HOUR - LAG)


def test_nothing_is_read_before_a_day_was() -> None:
    assert events_to_read(Position(), NOON) is None


def test_the_first_look_does_not_go_back_for_ever() -> None:
    position = with_days_read(Position(), [DayRead(1, day(1), at(2) - dt.timedelta(days=400))])
    assert events_to_read(position, NOON) == (NOON - FIRST_LOOK, NOON - LAG)


def test_new_late_usage_is_another_request_and_the_same_is_the_same() -> None:
    one = with_events(read_each_morning(1), [Stored(at(1), at(5))], NOON)
    two = with_events(one, [Stored(at(1), at(6))], NOON)
    assert request_name(one, (day(1), day(1))) == request_name(one, (day(1), day(1)))
    assert request_name(one, (day(1), day(1))) != request_name(two, (day(1), day(1)))


@given(st.lists(st.tuples(st.integers(0, 20 * 24), st.integers(0, 40 * 24)), max_size=30))
def test_every_event_that_no_run_can_have_seen_lies_in_the_range(events: list[tuple[int, int]]) -> None:
    position = read_each_morning(*range(1, 10))
    stored = [Stored(at(1, 0) + time * HOUR, at(1, 0) + came * HOUR) for time, came in events]
    position = with_events(position, stored, NOON)
    asked = range_to_request(position, lambda of: of)
    for event in stored:
        of = event.time.date()
        unseen = of <= day(9) and event.stored_at > position.read_since[of] - LAG
        if unseen:
            assert asked is not None
            assert asked[0] <= of <= asked[1]


def test_where_events_cannot_be_listed_the_last_days_are_read_again_once_a_day() -> None:
    read = read_each_morning(*range(1, 10))
    late = with_trailing_window(read, NOON, NOON - LAG)
    assert range_to_request(late, lambda of: of) == (day(3), day(9))
    assert late.stored_until == NOON - LAG
    again = with_days_read(late, [DayRead(99, day(n), NOON) for n in range(3, 10)])
    assert again.late == {}, "a run that began at once has read them"
    assert with_trailing_window(again, NOON + 23 * HOUR, NOON).late == {}
    assert with_trailing_window(again, NOON + 24 * HOUR, NOON).late


def test_what_could_not_be_listed_too_early_is_not_forgotten() -> None:
    once = with_trailing_window(read_each_morning(1), NOON, NOON - LAG)
    assert not once.unlisted
    read = with_days_read(once, [DayRead(99, day(1), NOON)])
    again = with_trailing_window(read, NOON + HOUR, NOON)
    assert (again.late, again.unlisted) == ({}, True)
    listed = with_events(again, [], NOON + 2 * HOUR)
    assert listed.unlisted, "these events were others"
    later = with_trailing_window(listed, NOON + 24 * HOUR, NOON)
    assert (set(later.late), later.unlisted) == ({day(1)}, False)


def test_a_position_survives_the_cursor() -> None:
    position = with_events(read_each_morning(1, 2), [Stored(at(1), at(5))], NOON)
    assert Position.model_validate_json(position.model_dump_json()) == position
