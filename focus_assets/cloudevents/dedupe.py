"""Which events were seen before.

An event is known by its source and id, whatever its type, subject and time. Of several the first is kept, by
(UTC day of the event's time, file path, line), and an event counts as seen for ``lookback_days`` days after every
day it came on. The day comes first so that what a day keeps never depends on later days: a day metered alone and
the same day metered within a range give the same rows.

What belongs here: marking events. What does not: where the keys of earlier days are kept (``seen_keys``).
"""

# ruff: noqa: S608 - SQL is assembled here; sql_text quotes

from __future__ import annotations

from duckdb import DuckDBPyConnection

from focus_assets.cloudevents.sql_text import identifier


def mark_duplicates(connection: DuckDBPyConnection, table: str, lookback_days: int) -> None:
    """Mark every event of ``table`` that another of it makes a duplicate.

    Keys are compared whole. A hash only says which need not be: keys whose hash stands once are equal to no other,
    and to count numbers takes a third of what texts take.
    """
    name = identifier(table)
    connection.execute(
        f"""
        UPDATE {name} SET duplicate = true FROM (
            WITH candidate AS (
                SELECT hash(source, id) AS key FROM {name} WHERE reason IS NULL AND id IS NOT NULL
                GROUP BY key HAVING count(*) > 1
            )
            SELECT seq, day - lag(day) OVER (PARTITION BY source, id ORDER BY day, seq) AS days_since
            FROM {name} SEMI JOIN candidate ON hash({name}.source, {name}.id) = candidate.key
            WHERE reason IS NULL AND id IS NOT NULL
        ) AS again
        WHERE {name}.seq = again.seq AND again.days_since <= $lookback_days
        """,
        {"lookback_days": lookback_days},
    )


def mark_seen(connection: DuckDBPyConnection, table: str, seen: str, lookback_days: int) -> None:
    """Mark every event of ``table`` whose key is in ``seen`` (source, id, day: the last day it came on before)."""
    name = identifier(table)
    connection.execute(
        f"UPDATE {name} SET duplicate = true FROM {identifier(seen)} AS seen WHERE {name}.reason IS NULL "
        f"AND {name}.source = seen.source AND {name}.id = seen.id AND {name}.day > seen.day "
        f"AND {name}.day - seen.day <= $lookback_days",
        {"lookback_days": lookback_days},
    )
