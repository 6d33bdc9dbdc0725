"""Event files into one table of judged events, file by file.

What belongs here: the table and its quarantine. What does not: duplicates (``dedupe``) and aggregation
(``meter``).
"""

# ruff: noqa: S608 - SQL is assembled here; sql_text quotes

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from duckdb import DuckDBPyConnection, InvalidInputException

from focus_assets.cloudevents.dedupe import mark_duplicates
from focus_assets.cloudevents.envelope import Properties, judged_events, plain_events
from focus_assets.cloudevents.file_days import DaysOfFile, EventsOfDay
from focus_assets.cloudevents.files import EventFile
from focus_assets.cloudevents.lines import LINES_PER_FILE, UnreadableFile, read_lines
from focus_assets.cloudevents.memory import limited, memory_limit, part_of
from focus_assets.cloudevents.sql_text import identifier

_BATCH_ROWS: Final = 32_768
_INSERT_ROWS: Final = 524_288
_DATED_PATH: Final = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-/_]?(0[1-9]|1[0-2])[-/_]?(0[1-9]|[12]\d|3[01])(?!\d)"
)
_names = itertools.count()


@dataclass(frozen=True)
class Span:
    """Which days a run needs events of.

    Of [``since``, ``until``] everything; of [``keys_since``, ``keys_until``], which may be empty and ends before
    ``since``, only source and id: what was seen before.
    """

    since: dt.date
    until: dt.date
    keys_since: dt.date
    keys_until: dt.date

    def needs(self, day: dt.date) -> bool:
        """Whether a day's events are read at all."""
        return self.since <= day <= self.until or self.keys_since <= day <= self.keys_until


@dataclass(frozen=True)
class Events:
    """Judged events in a temporary table of the connection.

    ``table`` has: seq BIGINT, digest UBIGINT, day DATE, id, source, type, subject VARCHAR, occurred TIMESTAMP (UTC),
    metered BOOLEAN, reason and excerpt VARCHAR (set where quarantined), duplicate BOOLEAN, and the columns of
    ``properties``. Events before ``span.since`` have keys only. ``days_read`` are the days of each file that was
    read, by path; files that were known to hold none of the days needed were not. ``memory`` is the connection's own
    limit in bytes, of which a part is in force as long as the table lives.
    """

    connection: DuckDBPyConnection
    table: str
    properties: Properties
    files: tuple[EventFile, ...]
    span: Span
    days_read: dict[str, DaysOfFile]
    memory: int | None = None

    @property
    def since(self) -> dt.date:
        """The first day whose events can be metered."""
        return self.span.since

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
    keys_before: dt.date | None = None,
    known: Mapping[str, DaysOfFile] = MappingProxyType({}),
) -> Iterator[Events]:
    """Read ``files`` for the days [since, until]; the table lives as long as the context.

    Source and id are also read of the ``lookback_days`` before, as far as these lie before ``keys_before`` (by
    default all of them): the keys of later days are kept elsewhere. ``known`` are the days of files that were read
    before, by path; the others are read whole, for nothing but its content says which days a file holds.

    A file that cannot be read to its end gives one quarantine row and no event: half a file would be half a day's
    usage without anyone noticing. A quarantined event belongs to the UTC day of its own time, else to the earliest
    day of a valid event in its file, else to the day written in its file's path, else to ``undated_day``.
    """
    number = next(_names)
    span = _span(since, until, lookback_days, keys_before)
    memory = memory_limit(connection)
    events = Events(connection, f"events_{number}", properties, tuple(files), span, {}, memory)
    with limited(connection, part_of(memory)):
        connection.execute(_create(events))
        try:
            read = [
                i
                for i, file in enumerate(files)
                if file.path not in known or any(map(span.needs, known[file.path]))
            ]
            _ingest(events, f"lines_{number}", read)
            _date_quarantined(events, undated_day)
            events.days_read.update(_days_read(events, read))
            mark_duplicates(connection, events.table, lookback_days)
            yield events
        finally:
            connection.execute(f"DROP TABLE {identifier(events.table)}")


def days_of_files(
    connection: DuckDBPyConnection, files: Sequence[EventFile], undated_day: dt.date
) -> dict[str, DaysOfFile]:
    """The days of each of ``files``, by path, and nothing else of them.

    Raises EventFilesUnreadable and, for buckets, StoreError.
    """
    with ingested(
        connection,
        files,
        Properties.of(()),
        since=undated_day,
        until=undated_day,
        lookback_days=0,
        undated_day=undated_day,
    ) as events:
        return events.days_read


def _span(since: dt.date, until: dt.date, lookback_days: int, keys_before: dt.date | None) -> Span:
    first_key = since - dt.timedelta(days=min(lookback_days, (since - dt.date.min).days))
    last_key = min(since, keys_before or since) - dt.timedelta(days=1) if since > dt.date.min else since
    return Span(since, until, first_key, last_key)


def _days_read(events: Events, read: Sequence[int]) -> dict[str, DaysOfFile]:
    """The days of each file that was read: how many rows, and a digest that does not depend on their order."""
    found: dict[str, dict[dt.date, EventsOfDay]] = {events.files[position].path: {} for position in read}
    rows = events.connection.execute(
        f"SELECT seq // {LINES_PER_FILE}, day, count(*), sum(digest) FROM {identifier(events.table)} GROUP BY 1, 2"
    ).fetchall()
    for position, day, count, digest in rows:
        found[events.files[position].path][day] = EventsOfDay(count, f"{int(digest or 0):x}")
    return dict(found)


def _create(events: Events) -> str:
    columns = "".join(f", {name} {kind}" for name, kind in events.properties.columns.items())
    return (
        f"CREATE TEMP TABLE {identifier(events.table)} (seq BIGINT, digest UBIGINT, day DATE, id VARCHAR, "
        "source VARCHAR, type VARCHAR, subject VARCHAR, occurred TIMESTAMP, metered BOOLEAN, reason VARCHAR, "
        "excerpt VARCHAR, duplicate BOOLEAN"
        f"{columns})"
    )


def _ingest(events: Events, lines: str, read: Sequence[int]) -> None:
    """Insert the events of the files at the positions ``read``, several small files at a time."""
    plain, judged = _statements(events, lines)
    pending: list[pa.Table] = []

    def flush() -> None:
        if not pending:
            return
        batches = [batch for table in pending for batch in table.to_batches(_BATCH_ROWS)]
        events.connection.register(lines, pa.Table.from_batches(batches, schema=pending[0].schema))
        try:
            _execute(events.connection, plain, judged)
        finally:
            events.connection.unregister(lines)
            pending.clear()

    with _in_any_order(events.connection):
        for position in read:
            file, base = events.files[position], position * LINES_PER_FILE
            try:
                for table in read_lines(file):
                    pending.append(table.set_column(0, "seq", pc.add(table["line"], base)))
                    if sum(map(len, pending)) >= _INSERT_ROWS:
                        flush()
            except UnreadableFile as defect:
                flush()
                _refuse_file(events, base, defect)
        flush()


@contextmanager
def _in_any_order(connection: DuckDBPyConnection) -> Iterator[None]:
    """Let threads insert rows as they come, for ``seq`` says in which order they stood."""
    kept = connection.execute("SELECT current_setting('preserve_insertion_order')").fetchall()[0][0]
    connection.execute("SET preserve_insertion_order = false")
    try:
        yield
    finally:
        connection.execute(f"SET preserve_insertion_order = {str(kept).lower()}")


Statement = tuple[str, dict[str, object]]


def _execute(connection: DuckDBPyConnection, plain: Statement, judged: Statement) -> None:
    """Insert lines as plain events; where one of them is anything else, nothing is inserted and each is judged."""
    try:
        connection.execute(*plain)
    except InvalidInputException:
        connection.execute(*judged)


def _statements(events: Events, lines: str) -> tuple[Statement, Statement]:
    """Inserting lines of which every one is a good event of a day that is asked for, and inserting any lines.

    Of days not asked for no more is kept than later steps need.
    """
    span, source = events.span, identifier(lines)
    types: dict[str, object] = {"types": sorted(events.properties.types)}
    asked: dict[str, object] = {"since": span.since, "until": span.until}
    keys: dict[str, object] = {"keys_since": span.keys_since, "keys_until": span.keys_until}
    into = f"INSERT INTO {identifier(events.table)} SELECT seq, digest, occurred::DATE"
    needed = "occurred::DATE BETWEEN $since AND $until"
    keyed = f"{needed} OR occurred::DATE BETWEEN $keys_since AND $keys_until"
    columns = list(events.properties.columns)
    if_needed = "".join(f", CASE WHEN {needed} THEN {column} END" for column in columns)
    plain = (
        f"{into}, id, source, type, subject, occurred, CASE WHEN {needed} THEN metered ELSE error('other day') END, "
        f"reason, excerpt, false{''.join(f', {column}' for column in columns)} "
        f"FROM ({plain_events(events.properties, source)})"
    )
    judged = (
        f"{into}, CASE WHEN {keyed} THEN id END, CASE WHEN {keyed} THEN source END, CASE WHEN {needed} THEN type END, "
        f"CASE WHEN {needed} THEN subject END, occurred, metered, reason, excerpt, false{if_needed} "
        f"FROM ({judged_events(events.properties, source)})"
    )
    return (plain, types | asked), (judged, types | asked | keys)


def _refuse_file(events: Events, base: int, defect: UnreadableFile) -> None:
    """One row instead of the events that were read before the defect, on the earliest day among them."""
    name, span = identifier(events.table), {"base": base, "next": base + LINES_PER_FILE}
    of_file = "seq >= $base AND seq < $next"
    events.connection.execute(
        f"INSERT INTO {name} (seq, digest, day, metered, reason, duplicate) SELECT $seq, hash($content), "
        f"(SELECT min(day) FROM {name} WHERE reason IS NULL AND {of_file}), false, $reason, NULL",
        span
        | {
            "seq": base + defect.line,
            "content": f"{events.files[base // LINES_PER_FILE].size} {defect}",
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
