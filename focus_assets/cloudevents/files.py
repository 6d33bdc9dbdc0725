"""Which files of a folder hold events, in which form, in which order.

What belongs here: listing. What does not: what is in a file (``lines``).
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from focus_assets.cloudevents.errors import EventFilesUnreadable
from focus_assets.lake.copies import temporary_folder
from focus_assets.lake.store import ObjectStore


class Form(StrEnum):
    """How events lie in a file."""

    LINES = "one event a line"
    DOCUMENT = "one event, or an array of events"


class Compression(StrEnum):
    """How a file is compressed."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"


_FORMS = {".ndjson": Form.LINES, ".jsonl": Form.LINES, ".json": Form.DOCUMENT}
_COMPRESSIONS = {".gz": Compression.GZIP, ".zst": Compression.ZSTD}


@dataclass(frozen=True)
class EventFile:
    """A file of events; ``path`` is relative to the folder, with forward slashes.

    ``version`` says whether a file changed since an earlier listing: a bucket's etag, a folder's size and time.
    ``store`` is where it lies.
    """

    path: str
    form: Form
    compression: Compression
    size: int
    modified: dt.datetime
    version: str
    store: ObjectStore

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """The file as a local one: itself, or a copy that lasts as long as the context. Raises StoreError."""
        root = self.store.local_root
        if root is not None:
            yield root / self.path
            return
        with TemporaryDirectory(prefix="events-", dir=temporary_folder()) as folder:
            copy = Path(folder) / "copy"
            self.store.download(self.path, copy)
            yield copy


@dataclass(frozen=True)
class Listing:
    """The event files of a folder in the order of their paths, and how many other files lie beside them."""

    files: tuple[EventFile, ...]
    ignored: int


def form_of(path: str) -> tuple[Form, Compression] | None:
    """Form and compression by a file's name; ``None`` where it is no event file."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes]
    compression = Compression.NONE
    if suffixes and suffixes[-1] in _COMPRESSIONS:
        compression = _COMPRESSIONS[suffixes.pop()]
    form = _FORMS.get(suffixes[-1]) if suffixes else None
    return None if form is None else (form, compression)


def list_event_files(store: ObjectStore) -> Listing:
    """Every event file of a folder or bucket prefix, sorted by path compared byte by byte.

    Names that begin with a dot are other files: editors and uploads leave half-written copies under such names.
    Raises EventFilesUnreadable where a folder is missing or a part of it cannot be listed, StoreError where a
    bucket cannot.
    """
    found: list[EventFile] = []
    ignored = 0
    root = store.local_root
    for path, size, modified, version in _objects(store) if root is None else _folder_files(root):
        kind = form_of(path)
        if kind is None or any(part.startswith(".") for part in PurePosixPath(path).parts):
            ignored += 1
        else:
            found.append(EventFile(path, *kind, size, modified, version, store))
    return Listing(tuple(sorted(found, key=lambda file: os.fsencode(file.path))), ignored)


def _objects(store: ObjectStore) -> Iterator[tuple[str, int, dt.datetime, str]]:
    """Path, size, time and version of every object of a bucket prefix."""
    for found in store.list():
        version = f"{found.size} {found.etag or found.last_modified.isoformat()}"
        yield found.path, found.size, found.last_modified, version


def _folder_files(folder: Path) -> Iterator[tuple[str, int, dt.datetime, str]]:
    """Like :func:`_objects`, of a folder: also files whose names no object may have."""
    if not folder.is_dir():
        raise EventFilesUnreadable(
            f"events folder {str(folder)!r} does not exist or is no folder; set source.cloudevents.url to "
            "the folder that holds .ndjson, .jsonl or .json files, plain, .gz or .zst. Nothing was written."
        )

    def refuse(error: OSError) -> None:
        raise EventFilesUnreadable(
            f"{str(error.filename)!r} cannot be listed: {error.strerror}. Nothing was written."
        )

    for parent, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            local = Path(parent) / name
            try:
                stat = local.stat()
            except OSError as error:
                refuse(error)
                raise
            modified = dt.datetime.fromtimestamp(stat.st_mtime, dt.UTC)
            version = f"{stat.st_size} {stat.st_mtime_ns}"
            yield local.relative_to(folder).as_posix(), stat.st_size, modified, version
