"""Which days of the lake were read from something else than what the source holds now.

What belongs here: comparing records with the source. What does not: what is done about it (``orchestration``).
A server cannot be asked what changed since a day was read; for it only the way of asking is compared.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import duckdb

from focus_assets.cloudevents.file_days import DaysOfFile, FileDays, remember, remembered
from focus_assets.cloudevents.files import EventFile, list_event_files
from focus_assets.cloudevents.ingest import days_of_files
from focus_assets.cloudevents.inputs import source_input, span_of_input
from focus_assets.lake import Lake, PartitionRecord
from focus_assets.openmeter.source import server_input
from focus_assets.settings import Settings
from focus_assets.settings.access import open_place

Records = Mapping[dt.date, PartitionRecord]


@dataclass(frozen=True)
class SourceNow:
    """What the source holds now, as far as it can be known without reading usage.

    ``files`` are the days of event files by path. ``unread`` files were not read yet; days that they hold may seem
    unchanged. ``gone`` were read once and are not listed any more.
    """

    settings: Settings
    files: Mapping[str, DaysOfFile]
    unread: tuple[EventFile, ...] = ()
    gone: Mapping[str, DaysOfFile] = field(default_factory=dict)

    def changed(self, records: Records) -> dict[dt.date, str]:
        """The days of ``records`` (of ``raw_usage``) that were read from something else, with today's digest."""
        return {
            day: next(iter(now.values()))
            for day, record in records.items()
            if not (now := self._input(record, self.files)).items() <= record.inputs.items()
        }

    def made_from_gone(self, records: Records) -> set[dt.date]:
        """The days of ``records`` that rest on files which are gone; running them again would lose these events."""
        days = {day for file in self.gone.values() for day in file}
        with_gone = {**self.gone, **self.files}
        return {
            day
            for day, record in records.items()
            if day in days
            and self._input(record, self.files) != self._input(record, with_gone)
            and not self._input(record, self.files).items() <= record.inputs.items()
        }

    def late(self, records: Records) -> dict[dt.date, str]:
        """As :meth:`changed`, without days of which nothing but files is gone: these were put into an archive."""
        with_gone = {**self.gone, **self.files}
        return {
            day: digest
            for day, digest in self.changed(records).items()
            if not self._input(records[day], with_gone).items() <= records[day].inputs.items()
        }

    def _input(self, record: PartitionRecord, files: Mapping[str, DaysOfFile]) -> dict[str, str]:
        if self.settings.source.openmeter is not None:
            return server_input(self.settings.source.openmeter)
        first, last = span_of_input(record.inputs) or (record.day, record.day)
        return source_input(self.settings.source.cloudevents, files, first, last)


def source_now(
    settings: Settings, lake: Lake, *, worth_reading: Callable[[list[EventFile]], list[EventFile]] = list
) -> SourceNow:
    """List the source's files and read those that changed since they were last read; remember them in the lake.

    ``worth_reading`` chooses among files that changed; of the others what was known of them before still holds.
    Raises EventFilesUnreadable and StoreError.
    """
    if settings.source.openmeter is not None:
        return SourceNow(settings, {})
    listing = list_event_files(open_place(settings.source.cloudevents)).files
    known = remembered(lake.store, settings.start_date)
    changed = [file for file in listing if known.of(file) is None]
    chosen = worth_reading(changed)
    read = _read(settings, chosen)
    remember(lake.store, known.with_read(listing, read, dt.datetime.now(dt.UTC)), known)
    unread = tuple(file for file in changed if file.path not in read)
    files = {**_before(known, unread), **known.known(listing), **read}
    return SourceNow(settings, files, unread, known.gone(listing))


def _before(known: FileDays, unread: tuple[EventFile, ...]) -> dict[str, DaysOfFile]:
    return {file.path: known.files[file.path][1] for file in unread if file.path in known.files}


def _read(settings: Settings, files: list[EventFile]) -> dict[str, DaysOfFile]:
    if not files:
        return {}
    limits = settings.duckdb
    config: dict[str, Any] = {"memory_limit": limits.memory_limit, "threads": limits.threads}
    with closing(duckdb.connect(":memory:", config=config)) as connection:
        connection.execute("SET enable_progress_bar = false")
        return days_of_files(connection, files, settings.start_date)
