"""The keys that were seen on each day, so that a look-back needs no old event files.

What belongs here: a day's keys as rows of ``event_keys``, and looking events up in those of earlier days. What does
not: what a duplicate is (``dedupe``) and how the lake keeps days.

Keys lie in buckets, one after the other in each day's file, so that a look-back over any number of days holds the
keys of a few buckets at a time. Equal keys share a bucket; whether two keys are equal is decided by source and id
as a whole.
"""

# ruff: noqa: S608 - SQL is assembled here; sql_text quotes

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from focus_assets.cloudevents.dedupe import mark_seen
from focus_assets.cloudevents.ingest import Events
from focus_assets.cloudevents.sql_text import identifier, literal
from focus_assets.datasets import EVENT_KEYS

BUCKETS: Final = 64
KEYS_AT_A_TIME: Final = 2_000_000
"""About how many of the run's keys are held while they are looked up; some 100 bytes each."""

BUCKET: Final = f"((31 * ord(id[-1]) + 7 * ord(id[-2]) + ord(id[-3]) + {BUCKETS}) % {BUCKETS})::INTEGER"
"""By the last characters of the id, where ids differ most; a database's own hash may change with its version."""


def keys_of_day(events: Events, day: dt.date, folder: Path) -> pl.LazyFrame:
    """The day's ``event_keys``: every source and id of a valid event, also of one that was seen before.

    They are sorted in DuckDB, which spills what its memory does not hold, by way of a file in ``folder``.
    """
    name, file = identifier(events.table), folder / f"keys-{day:%F}.parquet"
    of_day = f"day = DATE {literal(f'{day:%F}')} AND reason IS NULL"
    # Duplicates are few: only they are looked at for being of one key.
    events.connection.execute(
        f"""
        COPY (
            WITH again AS (SELECT DISTINCT source, id FROM {name} WHERE {of_day} AND duplicate),
            seen_earlier AS (
                SELECT source, id FROM again EXCEPT
                SELECT source, id FROM {name} SEMI JOIN again USING (source, id) WHERE {of_day} AND NOT duplicate
            ), keys AS (
                SELECT source, id FROM {name} WHERE {of_day} AND NOT duplicate
                UNION ALL SELECT source, id FROM seen_earlier
            )
            SELECT DATE {literal(f"{day:%F}")} AS charge_date, {BUCKET} AS bucket, source, id FROM keys
            ORDER BY bucket, id, source
        ) TO {literal(str(file))} (FORMAT parquet, COMPRESSION snappy)
        """
    )
    return pl.scan_parquet(file, glob=False, hive_partitioning=False).select(EVENT_KEYS.schema.names())


def mark_seen_before(events: Events, files: Sequence[Path], lookback_days: int) -> None:
    """Mark the events whose key is in ``files``, the ``event_keys`` of the days before those of ``events``."""
    if not files:
        return
    connection, name = events.connection, identifier(events.table)
    within = (
        f"reason IS NULL AND id IS NOT NULL AND day < DATE {literal(f'{events.since:%F}')} + {lookback_days}"
    )
    found = connection.execute(f"SELECT count(*) FROM {name} WHERE {within}").fetchone()
    keys = found[0] if found else 0
    if not keys:
        return
    seen = f"{events.table}_seen"
    listed = ", ".join(literal(str(file)) for file in files)
    connection.execute(f"CREATE TEMP TABLE {identifier(seen)} (source VARCHAR, id VARCHAR, day DATE)")
    try:
        step = max(1, BUCKETS * KEYS_AT_A_TIME // keys)
        for first in range(0, BUCKETS, step):
            last = min(first + step, BUCKETS) - 1
            some = "" if step >= BUCKETS else f"AND {BUCKET} BETWEEN {first} AND {last}"
            connection.execute(
                f"INSERT INTO {identifier(seen)} SELECT source, id, max(charge_date) "
                f"FROM read_parquet([{listed}]) AS kept "
                f"SEMI JOIN (SELECT source, id FROM {name} WHERE {within} {some}) AS asked USING (source, id) "
                f"WHERE kept.bucket BETWEEN {first} AND {last} GROUP BY source, id"
            )
        mark_seen(connection, events.table, seen, lookback_days)
    finally:
        connection.execute(f"DROP TABLE {identifier(seen)}")
