"""One interface to folders and buckets: whole objects under relative paths, put atomically.

What belongs here: the interface and how to open a store. What does not: what the objects mean.
"""

from __future__ import annotations

import datetime as dt
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from focus_assets.lake.errors import AnswerCutShort, ObjectNotFound
from focus_assets.lake.urls import FolderLocation, parse_url

_T = TypeVar("_T")
_AGAIN_AFTER: Final = (0.1, 0.5)
"""Seconds to wait before a read is tried again whose answer ended in the middle."""


@dataclass(frozen=True)
class ObjectInfo:
    """An object without its content; ``size`` in bytes, ``last_modified`` by the store's clock.

    ``etag`` names the version; listings of folders leave it out, where it would cost reading every file, and so do
    Google's.
    """

    path: str
    size: int
    last_modified: dt.datetime
    etag: str | None


@dataclass(frozen=True)
class StoredObject:
    """An object's content, and the etag that a later conditional put names it by."""

    data: bytes
    etag: str


class ObjectStore(ABC):
    """Objects below one folder or bucket prefix.

    Paths are relative, with ``/``, and never leave the store (``ValueError``). A put is all or nothing:
    readers see the old object or the new one. Every failure is a :class:`StoreError` that names the store.
    """

    url: str
    """The store's address, without options; safe to print."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """The same text for every way of naming the same place; safe to print."""

    @property
    @abstractmethod
    def local_root(self) -> Path | None:
        """The folder itself for local stores, else None."""

    @abstractmethod
    def read(self, path: str) -> StoredObject | None:
        """Content and etag of one version, or None where there is no such object."""

    @abstractmethod
    def put(self, path: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        """Store ``data``; returns its etag.

        Raises:
            ConditionFailed: with ``if_absent`` the object exists; with ``if_match`` it is not that version.
        """

    @abstractmethod
    def put_file(self, path: str, local_path: Path, *, if_absent: bool = False) -> str:
        """Store a copy of a local file without holding it in memory; returns its etag.

        With ``if_absent`` remote stores need a single request, which holds the file in memory.
        """

    @abstractmethod
    def download(self, path: str, local_path: Path) -> None:
        """Write the object to a local file, streaming; a failed download leaves no file."""

    @abstractmethod
    def chunks(self, path: str) -> Iterator[bytes]:
        """The object's bytes, piece by piece."""

    @abstractmethod
    def head(self, path: str) -> ObjectInfo | None:
        """Size, time and etag, or None where there is no such object."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Objects below the folder ``prefix`` (``''``: all), sorted by path, without unfinished files."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove the object; it is no error if it is gone already."""

    def get(self, path: str) -> bytes:
        """The object's content.

        Raises:
            ObjectNotFound: there is no such object.
        """
        found = self.read(path)
        if found is None:
            raise ObjectNotFound(f"{self.url} has no object {path!r}.")
        return found.data

    def get_or_none(self, path: str) -> bytes | None:
        """The object's content, or None where there is no such object."""
        found = self.read(path)
        return None if found is None else found.data

    def exists(self, path: str) -> bool:
        """Whether there is such an object."""
        return self.head(path) is not None


def read_whole(read: Callable[[], _T]) -> _T:
    """What ``read`` returns, asked for again where an answer ended in the middle; the last error where all do.

    Clients of object stores try again what was not answered, but not, as a rule, what was answered in part.
    """
    for pause in _AGAIN_AFTER:
        try:
            return read()
        except AnswerCutShort:
            time.sleep(pause)
    return read()


def open_store(
    url: str,
    options: Mapping[str, str] | None = None,
    credential_provider: Callable[[], Any] | None = None,
) -> ObjectStore:
    """The store at a plain path, ``file://``, ``s3://``, ``gs://`` or ``az://`` URL; nothing is contacted.

    ``options`` are obstore's settings of the scheme (for S3 ``endpoint``, ``region``, ``allow_http``, ...);
    what they leave out comes from the environment (``AWS_*``). ``credential_provider`` is called for keys and
    again when they expire.

    Raises:
        StoreError: an unknown scheme or option.
    """
    location = parse_url(url)
    if isinstance(location, FolderLocation):
        from focus_assets.lake.folder import FolderStore

        return FolderStore(location)
    from focus_assets.lake.bucket import BucketStore

    return BucketStore(location, options or {}, credential_provider)
