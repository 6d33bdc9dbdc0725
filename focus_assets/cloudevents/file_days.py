"""Which days the events of each file belong to, remembered between runs.

What belongs here: the memory, what of it may be believed, and digests over it. What does not: reading files
(``ingest``). Nothing but a file's content says which days it holds, so each version of a file is read once; after
that a run reads only files that hold events of its days. The memory may be deleted at any time: files are then
read again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from focus_assets.cloudevents.files import EventFile
from focus_assets.lake.store import ObjectStore

MEMORY: Final = "_event_files.json"
"""Where a lake keeps the memory; no dataset, and nothing is computed from it that could not be read again."""

_SETTLED: Final = dt.timedelta(seconds=2)
"""A younger file could be changed once more within the same tick of the filesystem's clock."""


@dataclass(frozen=True)
class EventsOfDay:
    """A file's rows of one day, quarantined ones included, and a digest of their texts and lines."""

    rows: int
    digest: str


DaysOfFile = Mapping[dt.date, EventsOfDay]


@dataclass(frozen=True)
class FileDays:
    """The days of files by path and version (:attr:`EventFile.version`).

    ``undated_day`` decides where events without a date belong, so days that were found under another are not
    believed; nor are digests of another DuckDB, whose hash they are.
    """

    undated_day: dt.date
    files: Mapping[str, tuple[str, DaysOfFile]]

    def of(self, file: EventFile) -> DaysOfFile | None:
        """The days of this version of a file, None where it was not read yet."""
        version, days = self.files.get(file.path, ("", None))
        return days if version == file.version else None

    def known(self, files: Iterable[EventFile]) -> dict[str, DaysOfFile]:
        """The days of every file of a listing that was read, by path."""
        return {file.path: days for file in files if (days := self.of(file)) is not None}

    def with_read(
        self, listing: Sequence[EventFile], read: Mapping[str, DaysOfFile], now: dt.datetime
    ) -> FileDays:
        """The memory after a listing: what was read now, and what was known, also of files that are gone."""
        files = {**self.files}
        for file in listing:
            if file.path in read and now - file.modified > _SETTLED:
                files[file.path] = (file.version, read[file.path])
        return FileDays(self.undated_day, files)

    def gone(self, listing: Iterable[EventFile]) -> dict[str, DaysOfFile]:
        """The days of files that were read once and are not in the listing, by path."""
        listed = {file.path for file in listing}
        return {path: days for path, (_, days) in self.files.items() if path not in listed}

    def to_json(self) -> bytes:
        """Canonical JSON."""
        document = {
            "duckdb": duckdb.__version__,
            "undated_day": f"{self.undated_day:%F}",
            "files": {
                path: [version, {f"{day:%F}": [found.rows, found.digest] for day, found in days.items()}]
                for path, (version, days) in self.files.items()
            },
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes | None, undated_day: dt.date) -> FileDays:
        """What :meth:`to_json` wrote; empty where it cannot be believed."""
        try:
            document: Any = json.loads(data or b"{}")
            if document.get("duckdb") != duckdb.__version__ or document["undated_day"] != f"{undated_day:%F}":
                return cls(undated_day, {})
            return cls(
                undated_day,
                {
                    path: (
                        version,
                        {dt.date.fromisoformat(d): EventsOfDay(*found) for d, found in days.items()},
                    )
                    for path, (version, days) in document["files"].items()
                },
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls(undated_day, {})


def remembered(store: ObjectStore, undated_day: dt.date) -> FileDays:
    """The memory of a lake. Raises StoreError."""
    return FileDays.from_json(store.get_or_none(MEMORY), undated_day)


def remember(store: ObjectStore, found: FileDays, before: FileDays) -> None:
    """Keep the memory in a lake; the last writer wins, for the worst that can come of it is a file read again."""
    if found.files != before.files:
        store.put(MEMORY, found.to_json())


def events_digest(files: Mapping[str, DaysOfFile], first: dt.date, last: dt.date, *, how: str) -> str:
    """A digest of every event of the days [first, last], with file and line, and of ``how`` they are metered.

    Equal digests give equal ``raw_usage``. Lines of other days do not change it, so a file may grow.
    """
    total = hashlib.sha256(f"{how}\n".encode())
    for path in sorted(files):
        for day, found in sorted(files[path].items()):
            if first <= day <= last:
                line = f"{path}\0{day:%F}\0{found.rows}\0{found.digest}\n"
                total.update(line.encode("utf-8", "surrogateescape"))
    return total.hexdigest()
