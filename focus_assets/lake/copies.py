"""Verified files to scan: every reader of a partition goes through here, local or remote.

What belongs here: proving that bytes are what their record says, and keeping the proof. What does not:
which partitions a reader wants.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final

from focus_assets.lake.errors import CorruptPartition, ObjectNotFound
from focus_assets.lake.paths import data_path
from focus_assets.lake.records import PartitionRecord
from focus_assets.lake.store import ObjectStore

_SETTLED: Final = 2.0
"""Seconds after which an unchanged modification time proves an unchanged file (the coarsest clock of a
filesystem); a younger file could be changed once more within the same tick."""

_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds to wait for a writer that is between a partition's file and its record."""


class VerifiedCopies:
    """Local files whose sha256 is the record's.

    Folders are read in place. Objects of a bucket are downloaded once per process into a temporary folder
    (under ``TMPDIR``) that is removed when the process ends, named by digest, so a file in use never changes.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._proven: dict[Path, tuple[tuple[int, ...], str]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def file(self, record: PartitionRecord, reread: Callable[[], PartitionRecord | None]) -> Path:
        """A local file that holds what the partition's record says.

        A writer replaces the file first and the record right after, so a mismatch is looked at again with
        the record of that moment (``reread``) before it is called corruption.

        Raises:
            CorruptPartition: file and record do not become one.
        """
        for pause in (*_PAUSES, None):
            path = self._matching(record)
            if path is not None:
                return path
            if pause is not None:
                time.sleep(pause)
                record = reread() or record
        raise self._corrupt(record.dataset, record.day, "its file is not the one its record describes")

    def adopt(self, record: PartitionRecord, finished: Path) -> None:
        """Keep a file that was just uploaded, so that this process need not download it again."""
        finished.replace(self._cached(record.sha256))

    def temporary_folder(self) -> Path:
        """A folder of this process, on the disk of the cache."""
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="focus-assets-", ignore_cleanup_errors=True)
                weakref.finalize(self, self._folder.cleanup)
            return Path(self._folder.name)

    def matches(self, record: PartitionRecord) -> bool:
        """Whether the store itself holds the record's file now, without trusting any copy."""
        info = self._store.head(data_path(record.dataset, record.day))
        if info is None or info.size != record.bytes:
            return False
        if self._store.local_root is not None:
            return info.etag == record.sha256
        digest = hashlib.sha256()
        for chunk in self._store.chunks(data_path(record.dataset, record.day)):
            digest.update(chunk)
        return digest.hexdigest() == record.sha256

    def _matching(self, record: PartitionRecord) -> Path | None:
        path = data_path(record.dataset, record.day)
        root = self._store.local_root
        if root is not None:
            return self._matching_in_place(root / path, record)
        cached = self._cached(record.sha256)
        if cached.exists():
            # The copy is right by its name; the object it stands for must still be there.
            info = self._store.head(path)
            return cached if info is not None and info.size == record.bytes else None
        arriving = cached.with_name(f"{cached.name}.{threading.get_ident()}")
        try:
            self._store.download(path, arriving)
        except ObjectNotFound:
            return None
        if _sha256(arriving) != record.sha256:
            arriving.unlink()
            return None
        return arriving.replace(cached)

    def _matching_in_place(self, file: Path, record: PartitionRecord) -> Path | None:
        if not self._store.exists(data_path(record.dataset, record.day)):
            return None
        stat = file.stat()
        state = (stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)
        known = self._proven.get(file)
        if known is None or known[0] != state:
            info = self._store.head(data_path(record.dataset, record.day))
            known = (state, "" if info is None or info.etag is None else info.etag)
            if abs(time.time() - stat.st_ctime) > _SETTLED:
                self._proven[file] = known
        return file if known[1] == record.sha256 else None

    def _cached(self, sha256: str) -> Path:
        return self.temporary_folder() / f"{sha256}.parquet"

    def _corrupt(self, dataset: str, day: dt.date, what: str) -> CorruptPartition:
        return CorruptPartition(dataset, day, self._store.url, what)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
