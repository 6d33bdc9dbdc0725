"""The lease of a bucket: one object, changed only by conditional puts, that expires unless it is renewed.

Writers compare the expiry with their own clocks, so clocks that disagree by more than the expiry could hand
a lease over too early; the etag is therefore compared again before every write.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import replace

from focus_assets.lake.errors import ConditionFailed, LeaseLost, StoreError
from focus_assets.lake.lease_note import Busy, Lease, Note, clock
from focus_assets.lake.paths import LEASE
from focus_assets.lake.store import ObjectStore, StoredObject


def take(store: ObjectStore, holder: str, expiry: dt.timedelta) -> Lease | Busy:
    """The bucket's lease, or who has it; a lease that expired is taken over.

    Raises:
        StoreError: the bucket cannot be read or written, or something else lies in the lease's place.
    """
    found = store.read(LEASE)
    if found is not None:
        note = _note(store, found)
        if note.nonce and note.expires is not None and note.expires > clock():
            return _busy(note)
    lease = _BucketLease(store, Note.of_this_process(holder, nonce=uuid.uuid4().hex), expiry)
    if not lease.start(found):
        return _busy(_note(store, store.read(LEASE) or StoredObject(b"", "")))
    return lease


class _BucketLease:
    def __init__(self, store: ObjectStore, note: Note, expiry: dt.timedelta) -> None:
        self._store = store
        self._note = note
        self._expiry = expiry
        self._etag = ""
        self._renewed = 0.0
        self._lost = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="lake-lease", daemon=True)

    def start(self, found: StoredObject | None) -> bool:
        """Write the lease in place of the version ``found``; False if another writer was quicker."""
        if not self._put(None if found is None else found.etag):
            return False
        self._heart.start()
        return True

    def ensure(self) -> None:
        with self._lock:
            if not self._lost:
                if time.monotonic() - self._renewed > self._expiry.total_seconds() / 2:
                    self._lost = not self._put(self._etag)
                else:
                    info = self._store.head(LEASE)
                    self._lost = info is None or info.etag != self._etag
            if self._lost:
                raise LeaseLost(
                    f"The lease of the lake {self._store.url} was taken over by another writer; this process "
                    f"({self._note.holder}) wrote nothing more. Let the other end, then run again."
                )

    def release(self) -> None:
        self._stop.set()
        self._heart.join()
        # If the store does not answer, the lease runs out by itself.
        with self._lock, suppress(StoreError):
            if not self._lost:
                free = replace(self._note, nonce="", expires=None)
                self._store.put(LEASE, free.to_json(), if_match=self._etag)

    def _beat(self) -> None:
        while not self._stop.wait(self._expiry.total_seconds() / 3):
            with self._lock, suppress(StoreError):
                if self._lost:
                    return
                self._lost = not self._put(self._etag)

    def _put(self, replaces: str | None) -> bool:
        """Write the lease with a new expiry if its version is ``replaces`` (None: if there is none)."""
        started = time.monotonic()
        note = replace(self._note, expires=clock() + self._expiry)
        try:
            self._etag = self._store.put(LEASE, note.to_json(), if_absent=replaces is None, if_match=replaces)
        except ConditionFailed:
            # A put whose answer got lost is sent again by the client, and then fails on its own success.
            found = self._store.read(LEASE)
            if found is None or found.data != note.to_json():
                return False
            self._etag = found.etag
        self._renewed = started
        return True


def _note(store: ObjectStore, found: StoredObject) -> Note:
    try:
        return Note.from_json(found.data)
    except ValueError as error:
        raise StoreError(
            f"{LEASE!r} in {store.url} is not a lease of this program ({error}); nothing was written. "
            "If no writer is running, delete it."
        ) from error


def _busy(note: Note) -> Busy:
    until = "" if note.expires is None else note.expires.isoformat(timespec="seconds")
    return Busy(note.holder, note.where, f"; if it was killed, until its lease expires at {until}")
