"""Event files into one table of judged events, file by file.

What belongs here: the table and its quarantine. What does not: duplicates (``dedupe``) and aggregation
(``meter``).
"""

# ruff: noqa: S608 - SQL is assembled here; sql_text quotes

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from duckdb import DuckDBPyConnection

from focus_assets.cloudevents.dedupe import mark_duplicates
from focus_assets.cloudevents.envelope import Properties, judged_events
from focus_assets.cloudevents.files import EventFile
from focus_assets.cloudevents.lines import UnreadableFile, read_lines
from focus_assets.cloudevents.sql_text import identifier

LINES_PER_FILE: Final = 2**40
"""``seq`` is file number × this + line: one number that orders events by (file path, line)."""

_BATCH_ROWS: Final = 8_192
_INSERT_ROWS: Final = 65_536
_DATED_PATH: Final = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-/_]?(0[1-9]|1[0-2])[-/_]?(0[1-9]|[12]\d|3[01])(?!\d)"
)
_names = itertools.count()


@dataclass(frozen=True)
class Events:
    """Judged events in a temporary table of the connection.

    ``table`` has: seq BIGINT, day DATE, id, source, type, subject VARCHAR, occurred TIMESTAMP (UTC), metered
    BOOLEAN, reason and excerpt VARCHAR (set where quarantined), duplicate BOOLEAN, and the columns of
    ``properties``. Events before ``since`` have keys only.
    """

    connection: DuckDBPyConnection
    table: str
    properties: Properties
    files: tuple[EventFile, ...]
    since: dt.date

    def path_of(self, seq: int) -> str:
        """The file an event came from."""
        return self.files[seq // LINES_PER_FILE].path


@contextmanager
def ingested(
    connection: DuckDBPyConnection,
    files: Sequence[EventFile],
    properties: Properties,
    *,
    since: dt.date,
    until: dt.date,
    lookback_days: int,
    undated_day: dt.date,
) -> Iterator[Events]:
    """Read ``files`` for the days [since, until]; the table lives as long as the context.

    Every file is read whole, for nothing but its content says which days it holds. A file that cannot be read
    to its end gives one quarantine row and no event: half a file would be half a day's usage without anyone
    noticing. A quarantined event belongs to the UTC day of its own time, else to the earliest day of a valid
    event in its file, else to the day written in its file's path, else to ``undated_day``.
    """
    number = next(_names)
    events = Events(connection, f"events_{number}", properties, tuple(files), since)
    connection.execute(_create(events))
    try:
        _ingest(events, f"lines_{number}", until, lookback_days)
        _date_quarantined(events, undated_day)
        mark_duplicates(connection, events.table, lookback_days)
        yield events
    finally:
        connection.execute(f"DROP TABLE {identifier(events.table)}")


def _create(events: Events) -> str:
    columns = "".join(f", {name} {kind}" for name, kind in events.properties.columns.items())
    return (
        f"CREATE TEMP TABLE {identifier(events.table)} (seq BIGINT, day DATE, id VARCHAR, source VARCHAR, "
        "type VARCHAR, subject VARCHAR, occurred TIMESTAMP, metered BOOLEAN, reason VARCHAR, "
        "excerpt VARCHAR, duplicate BOOLEAN"
        f"{columns})"
    )


def _ingest(events: Events, lines: str, until: dt.date, lookback_days: int) -> None:
    """Insert the events of every file, several small files at a time."""
    insert, parameters = _insert(events, lines, until, lookback_days)
    pending: list[pa.Table] = []

    def flush() -> None:
        if not pending:
            return
        batches = [batch for table in pending for batch in table.to_batches(_BATCH_ROWS)]
        events.connection.register(lines, pa.Table.from_batches(batches, schema=pending[0].schema))
        try:
            events.connection.execute(insert, parameters)
        finally:
            events.connection.unregister(lines)
            pending.clear()

    for position, file in enumerate(events.files):
        base = position * LINES_PER_FILE
        try:
            for table in read_lines(file):
                pending.append(table.set_column(0, "seq", pc.add(table["line"], base)))
                if sum(map(len, pending)) >= _INSERT_ROWS:
                    flush()
        except UnreadableFile as defect:
            flush()
            _refuse_file(events, base, defect)
    flush()


def _insert(events: Events, lines: str, until: dt.date, lookback_days: int) -> tuple[str, dict[str, object]]:
    """The statement that judges and inserts; of days not asked for it keeps no more than later steps need."""
    first_key = events.since - dt.timedelta(days=min(lookback_days, (events.since - dt.date.min).days))
    needed = "occurred::DATE BETWEEN $since AND $until"
    keyed = "occurred::DATE BETWEEN $first_key AND $until"
    kept = "".join(f", CASE WHEN {needed} THEN {column} END" for column in events.properties.columns)
    statement = (
        f"INSERT INTO {identifier(events.table)} SELECT seq, occurred::DATE, CASE WHEN {keyed} THEN id END, "
        f"CASE WHEN {keyed} THEN source END, CASE WHEN {needed} THEN type END, "
        f"CASE WHEN {needed} THEN subject END, occurred, metered, reason, excerpt, false{kept} "
        f"FROM ({judged_events(events.properties, identifier(lines))})"
    )
    types = sorted(events.properties.types)
    return statement, {"since": events.since, "until": until, "first_key": first_key, "types": types}


def _refuse_file(events: Events, base: int, defect: UnreadableFile) -> None:
    """One row instead of the events that were read before the defect, on the earliest day among them."""
    name, span = identifier(events.table), {"base": base, "next": base + LINES_PER_FILE}
    of_file = "seq >= $base AND seq < $next"
    events.connection.execute(
        f"INSERT INTO {name} (seq, day, metered, reason, duplicate) SELECT $seq, "
        f"(SELECT min(day) FROM {name} WHERE reason IS NULL AND {of_file}), false, $reason, NULL",
        span
        | {
            "seq": base + defect.line,
            "reason": f"the whole file is refused, none of its events counts: {defect}",
        },
    )
    events.connection.execute(f"DELETE FROM {name} WHERE {of_file} AND duplicate IS NOT NULL", span)
    events.connection.execute(f"UPDATE {name} SET duplicate = false WHERE {of_file}", span)


def _date_quarantined(events: Events, undated_day: dt.date) -> None:
    """Give quarantine rows whose event has no time a day."""
    name = identifier(events.table)
    positions = events.connection.execute(
        f"SELECT DISTINCT seq // {LINES_PER_FILE} FROM {name} WHERE day IS NULL"
    ).fetchall()
    for (position,) in sorted(positions):
        events.connection.execute(
            f"UPDATE {name} SET day = coalesce((SELECT min(day) FROM {name} WHERE reason IS NULL AND "
            "seq >= $base AND seq < $next), $fallback) WHERE day IS NULL AND seq >= $base AND seq < $next",
            {
                "base": position * LINES_PER_FILE,
                "next": (position + 1) * LINES_PER_FILE,
                "fallback": day_in_path(events.files[position].path) or undated_day,
            },
        )


def day_in_path(path: str) -> dt.date | None:
    """The last date written in a path, as 2026-08-15, 2026/08/15, 2026_08_15 or 20260815."""
    found = None
    for year, month, day in _DATED_PATH.findall(path):
        try:
            found = dt.date(int(year), int(month), int(day))
        except ValueError:
            continue
    return found
