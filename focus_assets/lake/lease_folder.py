"""The lease of a folder: a lock the operating system drops the moment its holder is gone, however it went."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from focus_assets.lake.copies import remove_folders_of_the_dead
from focus_assets.lake.errors import LeaseLost, StoreError
from focus_assets.lake.folder import FolderStore
from focus_assets.lake.lease_note import Busy, Lease, Note
from focus_assets.lake.paths import LEASE, LOCK


def take(store: FolderStore, holder: str) -> Lease | Busy:
    """The folder's lease, or who has it.

    A note left by a killed writer means it may have left unfinished files, too; they are removed here.

    Raises:
        StoreError: the folder cannot be created or written.
    """
    root = store.local_root
    lock = FileLock(root / LOCK, thread_local=False)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        return _busy(root)
    except OSError as error:
        raise StoreError(
            f"Cannot write to the lake {store.url}: {error.strerror or error} ({error.filename or LOCK}). "
            "Name a folder this user may create and write."
        ) from error
    try:
        if (root / LEASE).exists():
            store.sweep()
            remove_folders_of_the_dead()
        # Renamed into place so that a reader of the note never sees half of it; nothing else relies on it.
        draft = root / f"{LOCK}.note"
        draft.write_bytes(Note.of_this_process(holder).to_json())
        draft.replace(root / LEASE)
    except BaseException:
        lock.release()
        raise
    return _FolderLease(root, lock)


class _FolderLease:
    def __init__(self, root: Path, lock: FileLock) -> None:
        self._root = root
        self._lock = lock
        self._inode = (root / LOCK).stat().st_ino

    def ensure(self) -> None:
        try:
            same = (self._root / LOCK).stat().st_ino == self._inode
        except OSError:
            same = False
        if not same or not self._lock.is_locked:
            raise LeaseLost(
                f"The lock of the lake {self._root} was removed while this process was writing; nothing "
                "more was written. Was the folder deleted or moved? Run again."
            )

    def release(self) -> None:
        # Before the lock: a note without a holder would read as a killed writer.
        with suppress(OSError, LeaseLost):
            self.ensure()
            (self._root / LEASE).unlink(missing_ok=True)
        self._lock.release()


def _busy(root: Path) -> Busy:
    try:
        note = Note.from_json((root / LEASE).read_bytes())
    except (OSError, ValueError):
        return Busy("another process", "it left no note yet")
    return Busy(note.holder, note.where)
