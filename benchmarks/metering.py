"""Metering events to ``raw_usage`` against the shortest DuckDB SQL that does the same.

Both sides read the same NDJSON under the same memory limit, drop the same duplicates and write Parquet of hourly
sums by subject and three dimensions. The plain side is the query one would write by hand: it trusts every line to
be a valid event, adds binary floats, and keeps neither quarantine, exact digits, requests nor what was seen before.
"""

# ruff: noqa: S608 - SQL is assembled here from constants

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from benchmarks.harness import Benchmark

if TYPE_CHECKING:
    from focus_assets.catalog.models import Meter

DAY = dt.date(2026, 8, 17)
MEMORY = "2GB"
LITTLE_MEMORY = "512MB"
THREADS = 2
_DUPLICATES = 50
"""One event in so many comes twice."""

_FILES = 8
_LINE = """
    '{"specversion":"1.0","id":"' || md5((n + OFFSET)::VARCHAR) || '","source":"my-app-' || (n % 10) ||
    '","type":"prompt","subject":"customer-' || lpad((n * 7919 % 1000)::VARCHAR, 5, '0') || '","time":"' ||
    strftime(TIMESTAMP 'DAY' + to_seconds((n * 86400) // EVENTS), '%Y-%m-%dT%H:%M:%SZ') ||
    '","data":{"tokens":' || (n * 104729 % 5000 + 1) || ',"model":"model-' || (n // 1000 % 5) ||
    '","region":"region-' || (n // 5000 % 4) || '","tier":"tier-' || (n // 20000 % 3) || '"}}'
"""


@dataclass(frozen=True)
class Settings:
    """What the event files' source reads of ``focus.yaml``."""

    url: str
    window: str = "hour"
    lookback_days: int = 32


def write_events(folder: Path, events: int, day: dt.date = DAY, offset: int = 0) -> int:
    """``events`` events of a day, every 50th once more, in files of lines in the order of their time."""
    line = _LINE.replace("DAY", f"{day:%F}").replace("EVENTS", str(events)).replace("OFFSET", str(offset))
    folder.mkdir(parents=True, exist_ok=True)
    per_file = -(-events // _FILES)
    written = 0
    with duckdb.connect(config={"threads": THREADS, "memory_limit": MEMORY}) as connection:
        for part in range(_FILES):
            first, end = part * per_file, min((part + 1) * per_file, events)
            rows = f"SELECT n FROM range({first}, {end}) AS r(n)"
            again = f"SELECT n FROM range({first}, {end}) AS r(n) WHERE n % {_DUPLICATES} = 0"
            connection.execute(
                f"COPY (SELECT {line} FROM ({rows} UNION ALL {again})) TO '{folder}/{day:%F}-{part}.ndjson' "
                "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')"
            )
            written += connection.execute(f"SELECT count(*) FROM ({rows} UNION ALL {again})").fetchall()[0][0]
    return written


def prepare(folder: Path, events: int) -> int:
    """The events of one day."""
    return write_events(folder / "events", events)


def connected(own: Path, memory: str = MEMORY) -> duckdb.DuckDBPyConnection:
    """DuckDB with the limits both sides have; what does not fit is spilled."""
    spill = own / "spill"
    return duckdb.connect(config={"memory_limit": memory, "threads": THREADS, "temp_directory": str(spill)})


def plain(given: Path, own: Path) -> str:
    """The shortest SQL."""
    with connected(own) as connection:
        connection.execute(
            f"""
            COPY (
                SELECT date_trunc('hour', time) AS window_from, subject, data.model, data.region, data.tier,
                    sum(data.tokens) AS value
                FROM (
                    SELECT DISTINCT ON (source, id) * FROM read_json(
                        '{given}/events/*.ndjson', format = 'newline_delimited', columns = {{
                            id: 'VARCHAR', source: 'VARCHAR', subject: 'VARCHAR', time: 'TIMESTAMP',
                            data: 'STRUCT(tokens DOUBLE, model VARCHAR, region VARCHAR, tier VARCHAR)'
                        }}
                    )
                )
                GROUP BY ALL ORDER BY ALL
            ) TO '{own}/raw_usage.parquet' (FORMAT parquet, COMPRESSION zstd)
            """
        )
    return answer(pl.scan_parquet(own / "raw_usage.parquet"))


def metered(given: Path, own: Path, memory: str = MEMORY) -> str:
    """The project's own source, to the same file."""
    meter_day(given, own, lambda opened: None, memory)
    return answer(pl.scan_parquet(own / "raw_usage.parquet"))


def tokens() -> Meter:
    """The meter: tokens by model, region and tier."""
    from focus_assets.catalog.models import Meter

    return Meter.model_validate(
        {
            "slug": "tokens",
            "event_type": "prompt",
            "aggregation": "SUM",
            "value_property": "$.tokens",
            "group_by": {name: f"$.{name}" for name in ("model", "region", "tier")},
        }
    )


def meter_day(given: Path, own: Path, after: Callable[..., object], memory: str = MEMORY) -> None:
    """Meter the day, write its rows, and whatever else is wanted of the opened files."""
    from focus_assets.catalog.snapshot import Catalog
    from focus_assets.cloudevents import CloudEventsSource

    meter = tokens()
    catalog = Catalog.model_validate({"defaults": {"provider_name": "Test"}, "meters": [meter]})
    with connected(own, memory) as connection:
        source = CloudEventsSource(Settings(str(given / "events")), connection)
        with source.open([DAY], [meter]) as opened:
            opened.raw_usage(DAY, catalog, []).sink_parquet(own / "raw_usage.parquet", compression="zstd")
            after(opened)


def answer(rows: pl.LazyFrame) -> str:
    """Rows, groups and their total, in a digest: both sides must come to the same."""
    found = (
        rows.group_by("window_from").agg(pl.len(), pl.col("value").cast(pl.Float64).sum()).sort("window_from")
    )
    text = "\n".join(f"{rows} {value:.0f}" for _, rows, value in found.collect().iter_rows())
    return hashlib.sha256(text.encode()).hexdigest()


BENCHMARK = Benchmark(
    name="metering",
    question=(
        "What do validation, quarantine, exact digits and a record of every file cost? Events to raw_usage (hourly "
        f"SUM by subject and three dimensions, 2 % duplicates) under a DuckDB memory limit of {MEMORY}, against the "
        "shortest SQL that gives the same sums."
    ),
    unit="events",
    size=10_000_000,
    prepare=prepare,
    sides={"shortest SQL": plain, "focus_assets": metered},
    packages=("duckdb", "polars", "pyarrow"),
)

MEMORY_BENCHMARK = Benchmark(
    name="memory",
    question=(
        f"What does a smaller memory limit cost, and what peak comes of it? Events to raw_usage as in metering, under "
        f"DuckDB memory limits of {MEMORY} and {LITTLE_MEMORY}."
    ),
    unit="events",
    size=10_000_000,
    prepare=prepare,
    sides={MEMORY: metered, LITTLE_MEMORY: partial(metered, memory=LITTLE_MEMORY)},
    packages=("duckdb", "polars", "pyarrow"),
)
