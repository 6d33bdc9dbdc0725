"""What it costs to look every event of a day up among the keys of the 32 days before.

Both sides read and judge the same day of events and write its keys. One looks nothing up, the other every event
among as many keys a day as the day has events, kept as a lake keeps them. No event came before, so that both
sides come to the same result; what is looked up and not found costs as much.
"""

# ruff: noqa: S608 - SQL is assembled here from constants

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Benchmark
from benchmarks.metering import DAY, Settings, connected, tokens, write_events

DAYS = 32


def prepare(folder: Path, events: int) -> int:
    """The day's events, and the keys of each of the days before."""
    from focus_assets.cloudevents.seen_keys import BUCKET

    written = write_events(folder / "events", events)
    (folder / "keys").mkdir()
    for n in range(1, DAYS + 1):
        day = DAY - dt.timedelta(days=n)
        with connected(folder) as connection:
            connection.execute(
                f"""
                COPY (
                    SELECT DATE '{day:%F}' AS charge_date, {BUCKET} AS bucket, source, id FROM (
                        SELECT 'my-app-' || (n % 10) AS source, md5((n + {n * events})::VARCHAR) AS id
                        FROM range({events}) AS r(n)
                    ) ORDER BY bucket, id, source
                ) TO '{folder}/keys/{day:%F}.parquet' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 250000)
                """
            )
    return written


def alone(given: Path, own: Path) -> int:
    """No day is looked back on."""
    return _read(given, own, [])


def looked_up(given: Path, own: Path) -> int:
    """Thirty-two days are."""
    return _read(given, own, sorted((given / "keys").iterdir()))


def _read(given: Path, own: Path, kept: Sequence[Path]) -> int:
    from focus_assets.cloudevents import CloudEventsSource
    from focus_assets.cloudevents.seen_keys import mark_seen_before
    from focus_assets.lake import Lake

    lake = Lake.open(str(own / "lake"))
    with connected(own) as connection:
        source = CloudEventsSource(Settings(str(given / "events"), lookback_days=DAYS), connection)
        with source.open([DAY], [tokens()]) as opened:
            mark_seen_before(opened.events, kept, DAYS)
            lake.write("event_keys", DAY, opened.keys(DAY))
            return opened.counts(DAY)["duplicates"]


BENCHMARK = Benchmark(
    name="look-back",
    question=(
        f"What does the look-back over {DAYS} days cost? A day's events read, judged and their keys written, with and "
        "without looking each up among as many keys for every day before."
    ),
    unit="events a day",
    size=1_000_000,
    prepare=prepare,
    sides={"no look-back": alone, "look-back": looked_up},
    packages=("duckdb", "polars", "pyarrow"),
)
