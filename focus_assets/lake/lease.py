"""Who may write a lake: one process at a time, found out without a server.

What belongs here: sharing a lease within a process, and waiting for it. What does not: how a folder
(``lease_folder``) or a bucket (``lease_bucket``) tells its writers apart.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from focus_assets.lake import lease_bucket, lease_folder
from focus_assets.lake.errors import LakeBusy
from focus_assets.lake.folder import FolderStore
from focus_assets.lake.lease_note import Busy, Lease
from focus_assets.lake.store import ObjectStore

DEFAULT_EXPIRY: Final = dt.timedelta(seconds=60)
"""How long a writer of a bucket that died keeps others out."""

_POLL: Final = 0.2


@dataclass
class _Held:
    lease: Lease
    uses: int


_held: dict[tuple[str, int], _Held] = {}
_guard = threading.RLock()


@contextmanager
def hold(
    store: ObjectStore, holder: str, *, wait: dt.timedelta, expiry: dt.timedelta = DEFAULT_EXPIRY
) -> Iterator[Lease]:
    """Hold the store's lease inside a ``with`` block, sharing one this process holds already.

    Raises:
        LakeBusy: another process holds it and did not let go within ``wait``.
    """
    key = (store.identity, os.getpid())
    lease = _enter(key, store, holder, wait, expiry)
    try:
        yield lease
    finally:
        _leave(key)


def _enter(
    key: tuple[str, int], store: ObjectStore, holder: str, wait: dt.timedelta, expiry: dt.timedelta
) -> Lease:
    deadline = time.monotonic() + wait.total_seconds()
    while True:
        with _guard:
            held = _held.get(key)
            if held is not None:
                held.uses += 1
                return held.lease
            taken = _try(store, holder, expiry)
            if not isinstance(taken, Busy):
                _held[key] = _Held(taken, uses=1)
                return taken
        left = deadline - time.monotonic()
        if left <= 0:
            raise LakeBusy(
                f"The lake {store.url} is being written by {taken.holder} ({taken.where}); "
                f"nothing was written. A lake has one writer at a time: wait until it ends{taken.advice}.",
                holder=taken.holder,
            )
        time.sleep(min(left, _POLL))


def _leave(key: tuple[str, int]) -> None:
    with _guard:
        held = _held[key]
        held.uses -= 1
        if held.uses == 0:
            del _held[key]
            held.lease.release()


def _try(store: ObjectStore, holder: str, expiry: dt.timedelta) -> Lease | Busy:
    if isinstance(store, FolderStore):
        return lease_folder.take(store, holder)
    return lease_bucket.take(store, holder, expiry)
