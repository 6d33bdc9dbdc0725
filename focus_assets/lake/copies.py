"""Verified files to scan: every reader of a partition goes through here, local or remote.

What belongs here: proving that bytes are what their record says, and keeping the proof. What does not:
which partitions a reader wants.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from focus_assets.lake.errors import CorruptPartition, ObjectNotFound
from focus_assets.lake.paths import data_path
from focus_assets.lake.records import PartitionRecord
from focus_assets.lake.store import ObjectStore, read_whole

_SETTLED: Final = 2.0
"""Seconds after which an unchanged modification time proves an unchanged file (the coarsest clock of a
filesystem); a younger file could be changed once more within the same tick."""

PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds to wait for a writer that is between a partition's file and its record."""

_FOLDER_PREFIX: Final = "focus-assets-copies-"
_ALIVE: Final = ".alive"
_kept: list[object] = []
_turn = threading.Lock()

_proven: dict[tuple[str, str], tuple[object, str]] = {}
"""Of each store and path, the version (an etag, or what the filesystem says) last found to have a sha256."""


class VerifiedCopies:
    """Local files whose sha256 is the record's.

    Folders are read in place. Objects of a bucket are downloaded once per process into a temporary folder
    (under ``TMPDIR``), named by digest, so a file in use never changes.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def file(self, record: PartitionRecord, reread: Callable[[], PartitionRecord | None]) -> Path:
        """A local file that holds what the partition's record says.

        A writer replaces the file first and the record right after, so a mismatch is looked at again with
        the record of that moment (``reread``) before it is called corruption.

        Raises:
            CorruptPartition: file and record do not become one.
        """
        for pause in (*PAUSES, None):
            path = self._matching(record)
            if path is not None:
                return path
            if pause is not None:
                time.sleep(pause)
                record = reread() or record
        raise self._corrupt(record.dataset, record.day, "its file is not the one its record describes")

    def adopt(self, record: PartitionRecord, finished: Path, etag: str) -> None:
        """Keep a file that was just uploaded, so that this process need not download it again."""
        finished.replace(_cached(record.sha256))
        _proven[self._store.identity, data_path(record.dataset, record.day)] = (etag, record.sha256)

    def matches(self, record: PartitionRecord) -> bool:
        """Whether the store itself holds the record's file now, without trusting any copy."""
        info = self._store.head(data_path(record.dataset, record.day))
        if info is None or info.size != record.bytes:
            return False
        if self._store.local_root is not None:
            return info.etag == record.sha256
        return read_whole(lambda: self._stored_sha256(record)) == record.sha256

    def _stored_sha256(self, record: PartitionRecord) -> str:
        digest = hashlib.sha256()
        for chunk in self._store.chunks(data_path(record.dataset, record.day)):
            digest.update(chunk)
        return digest.hexdigest()

    def _matching(self, record: PartitionRecord) -> Path | None:
        path = data_path(record.dataset, record.day)
        root = self._store.local_root
        if root is not None:
            return self._matching_in_place(root / path, path, record)
        info = self._store.head(path)
        if info is None or info.size != record.bytes:
            return None
        cached = _cached(record.sha256)
        if _proven.get((self._store.identity, path)) == (info.etag, record.sha256) and cached.exists():
            return cached
        arriving = cached.with_name(f"{cached.name}.{threading.get_ident()}")
        try:
            self._store.download(path, arriving)
        except ObjectNotFound:
            return None
        if _sha256(arriving) != record.sha256:
            arriving.unlink()
            return None
        _proven[self._store.identity, path] = (info.etag, record.sha256)
        return arriving.replace(cached)

    def _matching_in_place(self, file: Path, path: str, record: PartitionRecord) -> Path | None:
        if not self._store.exists(path):
            return None
        stat = file.stat()
        state = (stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)
        if _proven.get((self._store.identity, path)) == (state, record.sha256):
            return file
        info = self._store.head(path)
        if info is None or info.etag != record.sha256:
            return None
        if abs(time.time() - stat.st_ctime) > _SETTLED:
            _proven[self._store.identity, path] = (state, record.sha256)
        return file

    def _corrupt(self, dataset: str, day: dt.date, what: str) -> CorruptPartition:
        return CorruptPartition(dataset, day, self._store.url, what)


def temporary_folder() -> Path:
    """This process's folder for copies and unfinished files, removed when the process ends.

    What a killed process leaves is removed by the next that asks for one or takes over its lease. It belongs
    to the process, not to a lake: a frame may outlive the lake it was scanned from.
    """
    with _turn:
        return _folder_of_this_process()


@cache
def _folder_of_this_process() -> Path:
    remove_folders_of_the_dead()
    while True:
        folder = tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX, ignore_cleanup_errors=True)
        alive = FileLock(Path(folder.name) / _ALIVE, thread_local=False)
        try:
            alive.acquire(timeout=0)
        except (Timeout, FileNotFoundError):
            # Nobody had locked it yet, so another process took it for a dead one's, and has removed it.
            folder.cleanup()
            continue
        _kept.append((folder, alive))
        return Path(folder.name)


def remove_folders_of_the_dead() -> None:
    """Remove the temporary folders of killed processes: their locks are free, which no living process's is.

    One that has no lock is of a process that was killed before it made it, or while it removed that folder.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER_PREFIX}*"):
        # Folders of other users refuse, and another process may be removing the same one.
        with suppress(OSError), FileLock(folder / _ALIVE, timeout=0, thread_local=False):
            shutil.rmtree(folder, ignore_errors=True)


def _cached(sha256: str) -> Path:
    return temporary_folder() / f"{sha256}.parquet"


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
