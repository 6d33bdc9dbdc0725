"""Events take a part of DuckDB's memory, and leave its owner's limit as it was."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from focus_assets.cloudevents.aggregation import aggregated
from focus_assets.cloudevents.envelope import Properties
from focus_assets.cloudevents.ingest import ingested
from focus_assets.cloudevents.memory import limited, memory_limit, part_of
from focus_assets_tests.cloudevents.opening import COUNT, DAY, event, read_day, total, write_lines

MIB = 2**20


@pytest.mark.parametrize(
    ("limit", "part"),
    [(None, None), (300 * MIB, 300 * MIB), (1024 * MIB, 512 * MIB), (3072 * MIB, 1024 * MIB)],
)
def test_events_take_a_third_of_the_memory_and_half_a_gibibyte_at_least(
    limit: int | None, part: int | None
) -> None:
    assert part_of(limit) == part


@pytest.mark.parametrize("limit", ["2GB", "1GB", "512MB", "1.5TB"])
def test_the_limit_does_not_sink_however_often_files_are_opened(tmp_path: Path, limit: str) -> None:
    write_lines(tmp_path / "a.ndjson", [event()])
    with duckdb.connect(config={"memory_limit": limit}) as connection:
        before = memory_limit(connection)
        for _ in range(3):
            assert total(read_day(connection, tmp_path)) == 1
            assert memory_limit(connection) == before


def test_no_limit_stays_none(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.ndjson", [event()])
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '-1'")
        assert total(read_day(connection, tmp_path)) == 1
        assert memory_limit(connection) is None


def test_a_question_that_needs_more_than_the_part_gets_the_whole() -> None:
    with (
        duckdb.connect(config={"memory_limit": "1GB", "temp_directory": "", "threads": 1}) as connection,
        ingested(
            connection, [], Properties.of([COUNT]), since=DAY, until=DAY, lookback_days=0, undated_day=DAY
        ) as events,
        limited(connection, 24 * MIB),
    ):
        much = "SELECT count(DISTINCT 'customer number ' || n) AS value FROM range(1_000_000) AS r(n)"
        with pytest.raises(duckdb.OutOfMemoryException):
            connection.execute(much)
        assert aggregated(events, COUNT, much, {})["value"].to_list() == [1_000_000]
        assert memory_limit(connection) == 24 * MIB
