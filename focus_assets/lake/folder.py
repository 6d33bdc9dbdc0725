"""A store in a folder of this machine: temporary file, fsync, rename.

What belongs here: making files behave like objects. What does not: anything that knows of lakes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from focus_assets.lake.errors import ConditionFailed, ObjectNotFound, StoreError
from focus_assets.lake.paths import TEMPORARY_PREFIX, object_path
from focus_assets.lake.store import ObjectInfo, ObjectStore, StoredObject
from focus_assets.lake.urls import FolderLocation

_CHUNK = 1 << 20
_PUT_LOCK = ".put.lock"


class FolderStore(ObjectStore):
    """Objects as files below a folder, which the first put creates. An etag is the content's sha256."""

    def __init__(self, location: FolderLocation) -> None:
        self.url = location.url
        self._root = location.root

    @property
    def identity(self) -> str:
        return str(self._root.resolve())

    @property
    def local_root(self) -> Path:
        return self._root

    def read(self, path: str) -> StoredObject | None:
        with self._mended("read", path):
            try:
                data = self._file(path).read_bytes()
            except FileNotFoundError:
                self._refuse_a_file_as_root()
                return None
        return StoredObject(data, hashlib.sha256(data).hexdigest())

    def put(self, path: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        def write(out: BinaryIO) -> None:
            out.write(data)

        return self._put(path, write, if_absent=if_absent, if_match=if_match)

    def put_file(self, path: str, local_path: Path, *, if_absent: bool = False) -> str:
        def write(out: BinaryIO) -> None:
            with local_path.open("rb") as source:
                shutil.copyfileobj(source, out, _CHUNK)

        return self._put(path, write, if_absent=if_absent, if_match=None)

    def download(self, path: str, local_path: Path) -> None:
        try:
            with local_path.open("wb") as out:
                for chunk in self.chunks(path):
                    out.write(chunk)
        except BaseException:
            local_path.unlink(missing_ok=True)
            raise

    def chunks(self, path: str) -> Iterator[bytes]:
        with self._mended("read", path):
            try:
                source = self._file(path).open("rb")
            except FileNotFoundError:
                raise ObjectNotFound(f"{self.url} has no object {path!r}.") from None
            with source:
                while chunk := source.read(_CHUNK):
                    yield chunk

    def head(self, path: str) -> ObjectInfo | None:
        with self._mended("read", path):
            file = self._file(path)
            if not file.is_file():
                self._refuse_a_file_as_root()
                return None
            return self._info(path, file.stat(), self._digest(file))

    def exists(self, path: str) -> bool:
        with self._mended("read", path):
            return self._file(path).is_file()

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        with self._mended("list", prefix):
            self._refuse_a_file_as_root()
            start = self._root / object_path(prefix.rstrip("/")) if prefix.rstrip("/") else self._root
            found = sorted(self._walk(start)) if start.is_dir() else []
        return iter([self._info(path, stat, None) for path, stat in found])

    def delete(self, path: str) -> None:
        with self._mended("delete", path):
            self._file(path).unlink(missing_ok=True)

    def publish(self, path: str, finished: Path) -> None:
        """Put a file of :meth:`temporary` in place under its path; the temporary name is gone afterwards."""
        with self._mended("write", path):
            _sync_file(finished)
            target = self._file(path)
            finished.replace(target)
            _sync_folder(target.parent)

    def temporary(self, path: str) -> Path:
        """A new unfinished file in the folder of ``path``, so that renaming it stays on one filesystem."""
        with self._mended("write", path):
            folder = self._file(path).parent
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
            # Not mkstemp: it hides its files from everyone else, and what is published keeps its rights.
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return file

    def sweep(self, below: str = "") -> int:
        """Remove unfinished files that killed writers left ``below`` a folder; returns how many.

        Only for the sole writer: it would take another's files from under it.
        """
        count = 0
        with self._mended("clean", ""):
            for folder, _, names in os.walk(self._file(below) if below else self._root):
                for name in names:
                    if name.startswith(TEMPORARY_PREFIX):
                        Path(folder, name).unlink(missing_ok=True)
                        count += 1
        return count

    def _put(
        self, path: str, write: Callable[[BinaryIO], None], *, if_absent: bool, if_match: str | None
    ) -> str:
        temporary = self.temporary(path)
        try:
            with self._mended("write", path):
                with temporary.open("wb") as out:
                    write(out)
                etag = self._digest(temporary)
                if if_match is not None:
                    self._replace_version(path, temporary, if_match)
                elif if_absent:
                    _sync_file(temporary)
                    try:
                        os.link(temporary, self._file(path))
                    except FileExistsError:
                        raise ConditionFailed(f"{self.url} already has an object {path!r}.") from None
                    _sync_folder(temporary.parent)
                else:
                    self.publish(path, temporary)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        return etag

    def _replace_version(self, path: str, temporary: Path, if_match: str) -> None:
        """Compare and rename under a lock: no system call replaces a file only if it is a given version."""
        with FileLock(self._root / _PUT_LOCK, timeout=60):
            file = self._file(path)
            if not file.is_file() or self._digest(file) != if_match:
                raise ConditionFailed(f"The object {path!r} in {self.url} was changed by someone else.")
            self.publish(path, temporary)

    def _file(self, path: str) -> Path:
        return self._root / object_path(path)

    def _walk(self, folder: Path) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    yield from self._walk(Path(entry.path))
                else:
                    # A writer may replace or remove a file while it is being listed.
                    with suppress(FileNotFoundError):
                        yield Path(entry.path).relative_to(self._root).as_posix(), entry.stat()

    def _info(self, path: str, stat: os.stat_result, etag: str | None) -> ObjectInfo:
        return ObjectInfo(path, stat.st_size, dt.datetime.fromtimestamp(stat.st_mtime, dt.UTC), etag)

    @staticmethod
    def _digest(file: Path) -> str:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def _refuse_a_file_as_root(self) -> None:
        if self._root.exists() and not self._root.is_dir():
            raise NotADirectoryError(f"{self._root} is not a folder")

    @contextmanager
    def _mended(self, verb: str, path: str) -> Iterator[None]:
        """Turn what the operating system says into what a person can do about it."""
        where = f"{path!r} in {self.url}" if path else self.url
        try:
            yield
        except PermissionError as error:
            raise StoreError(
                f"Cannot {verb} {where}: permission denied for {error.filename or self.url}. "
                "Give this user the right to read and write the folder, or name another folder."
            ) from error
        except (NotADirectoryError, FileExistsError, IsADirectoryError) as error:
            obstacle = error.filename2 or error.filename or error
            raise StoreError(
                f"Cannot {verb} {where}: {obstacle} is in the way; a part of the path is a file "
                "where a folder is needed, or the reverse. Name a folder, or remove what lies there."
            ) from error
        except OSError as error:
            raise StoreError(
                f"Cannot {verb} {where}: {error.strerror or error}. Check the disk and its free space."
            ) from error


def _sync_file(file: Path) -> None:
    with file.open("rb") as content:
        os.fsync(content.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut; systems that cannot open folders do not need it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except (PermissionError, IsADirectoryError):
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
