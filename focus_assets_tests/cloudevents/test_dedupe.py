"""An event counts once, whatever file, day, type or subject it comes with again."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from focus_assets.cloudevents import dedupe
from focus_assets_tests.cloudevents.opening import (
    COUNT,
    DAY,
    catalog,
    event,
    read,
    read_day,
    total,
    write_lines,
)

DAYS = [DAY + dt.timedelta(days=n) for n in range(40)]


def at(day: dt.date) -> str:
    return f"{day:%F}T12:00:00Z"


def test_of_events_with_one_source_and_id_the_first_in_file_and_line_order_is_kept(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    write_lines(tmp_path / "b.ndjson", [event("x", data={"tokens": 100})])
    write_lines(
        tmp_path / "a.ndjson",
        [
            event("x", data={"tokens": 10}),
            event("x", data={"tokens": 20}, time="2026-08-15T01:00:00Z"),
            event("x", data={"tokens": 30}, subject="other"),
        ],
    )
    found = read_day(connection, tmp_path)
    assert total(found) == 10
    assert found.counts["duplicates"] == 3


def test_more_keys_than_are_sorted_at_a_time_are_told_apart_all_the_same(
    connection: DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dedupe, "HASHES_AT_A_TIME", 7)
    twice = [event(f"e{n}") for n in range(40)]
    write_lines(tmp_path / "a.ndjson", [*twice, event("once"), *twice, event("e3")])
    found = read_day(connection, tmp_path)
    assert (total(found), found.counts["duplicates"]) == (41, 41)


def test_another_source_or_id_is_another_event(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    write_lines(
        tmp_path / "a.ndjson",
        [event("ab", source="c"), event("a", source="bc"), event("AB", source="c"), event("ab ", source="c")],
    )
    assert read_day(connection, tmp_path).counts["duplicates"] == 0


def test_an_event_of_another_type_was_seen_before(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.ndjson", [event("x", type="nobody meters"), event("x")])
    found = read_day(connection, tmp_path)
    assert (found.counts["unmetered"], found.counts["duplicates"], found.counts["metered"]) == (1, 1, 0)


def test_a_quarantined_event_was_not_seen(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.ndjson", [event("x", data="bad"), event("x")])
    found = read_day(connection, tmp_path)
    assert (found.counts["quarantined"], found.counts["metered"]) == (1, 1)


def test_an_event_counts_as_seen_for_as_long_as_the_look_back(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    write_lines(tmp_path / "a.ndjson", [event("x", time=at(DAYS[0])), event("y", time=at(DAYS[0]))])
    write_lines(tmp_path / "b.ndjson", [event("x", time=at(DAYS[32])), event("y", time=at(DAYS[33]))])
    found = read(connection, tmp_path, [DAYS[32], DAYS[33]])
    assert found[DAYS[32]].counts["duplicates"] == 1
    assert found[DAYS[33]].counts["metered"] == 1
    shorter = read(connection, tmp_path, [DAYS[32]], lookback_days=31)
    assert shorter[DAYS[32]].counts["metered"] == 1


def test_a_day_by_itself_keeps_what_it_keeps_within_a_range(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    """The earlier day keeps an event even where a later day's stands first among the files."""
    write_lines(tmp_path / "a.ndjson", [event("x", time=at(DAYS[5])), event("y", time=at(DAYS[1]))])
    write_lines(tmp_path / "b.ndjson", [event("x", time=at(DAYS[2])), event("y", time=at(DAYS[38]))])
    write_lines(tmp_path / "c.ndjson", [event("x", time=at(DAYS[36])), event("z", time=at(DAYS[36]))])
    together = read(connection, tmp_path, DAYS)
    for day in DAYS:
        alone = read(connection, tmp_path, [day])[day]
        assert alone.raw.equals(together[day].raw)
        assert alone.counts == together[day].counts
    assert sum(found.counts["metered"] for found in together.values()) == 4


def test_many_duplicates_over_many_files_leave_each_event_once(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    events = [
        event(str(i % 1000), data={"tokens": Decimal(i % 1000).to_integral_value().__int__()})
        for i in range(5000)
    ]
    for part in range(5):
        write_lines(tmp_path / f"{part}.ndjson", events[part::5])
    found = read_day(connection, tmp_path, of=catalog(COUNT))
    assert total(found, "requests") == 1000
    assert found.counts["duplicates"] == 4000
