"""Which events were seen before.

An event is known by its source and id, whatever its type, subject and time. Of several the first is kept, by
(UTC day of the event's time, file path, line), and an event counts as seen for ``lookback_days`` days after every
day it came on. The day comes first so that what a day keeps never depends on later days: a day metered alone and
the same day metered within a range give the same rows.

What belongs here: marking events. What does not: where the keys of earlier days are kept (``seen_keys``).
"""

# ruff: noqa: S608 - SQL is assembled here; sql_text quotes

from __future__ import annotations

from typing import Final

import polars as pl
from duckdb import DuckDBPyConnection

from focus_assets.cloudevents.sql_text import identifier

HASHES_AT_A_TIME: Final = 2**24
"""How many hashes are sorted at a time, of eight bytes each."""


def mark_duplicates(connection: DuckDBPyConnection, table: str, lookback_days: int) -> None:
    """Mark every event of ``table`` that another of it makes a duplicate.

    Keys are compared whole. A hash only says which need not be: keys whose hash stands once are equal to no other.
    """
    name = identifier(table)
    hashes = f"{table}_hashes"
    connection.register(hashes, _standing_twice(connection, name).to_arrow())
    try:
        connection.execute(
            f"""
            UPDATE {name} SET duplicate = true FROM (
                SELECT seq, day - lag(day) OVER (PARTITION BY source, id ORDER BY day, seq) AS days_since
                FROM {name} SEMI JOIN {identifier(hashes)} AS candidate
                ON hash({name}.source, {name}.id) = candidate.key
                WHERE reason IS NULL AND id IS NOT NULL
            ) AS again
            WHERE {name}.seq = again.seq AND again.days_since <= $lookback_days
            """,
            {"lookback_days": lookback_days},
        )
    finally:
        connection.unregister(hashes)


def _standing_twice(connection: DuckDBPyConnection, name: str) -> pl.DataFrame:
    """The hashes of keys that more than one event has, as ``key``; sorting numbers costs a fifth of grouping them."""
    keyed = f"FROM {name} WHERE reason IS NULL AND id IS NOT NULL"
    count = connection.execute(f"SELECT count(*) {keyed}").fetchall()[0][0]
    parts = -(-count // HASHES_AT_A_TIME)
    found = []
    for part in range(parts):
        hashes = connection.sql(
            f"SELECT key FROM (SELECT hash(source, id) AS key {keyed}) WHERE key % {parts} = {part}"
        )
        keys = pl.DataFrame(hashes.to_arrow_table())["key"].sort()
        found.append(keys.filter(keys == keys.shift(1)).unique())
    return pl.DataFrame({"key": pl.concat(found) if found else pl.Series(dtype=pl.UInt64)})


def mark_seen(connection: DuckDBPyConnection, table: str, seen: str, lookback_days: int) -> None:
    """Mark every event of ``table`` whose key is in ``seen`` (source, id, day: the last day it came on before)."""
    name = identifier(table)
    connection.execute(
        f"UPDATE {name} SET duplicate = true FROM {identifier(seen)} AS seen WHERE {name}.reason IS NULL "
        f"AND {name}.source = seen.source AND {name}.id = seen.id AND {name}.day > seen.day "
        f"AND {name}.day - seen.day <= $lookback_days",
        {"lookback_days": lookback_days},
    )
