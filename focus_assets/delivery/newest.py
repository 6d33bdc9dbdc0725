"""The newest entry of each destination's billing month, remembered in one object beside the ledger.

What belongs here: the object, and when it may be trusted. What does not: entries and where they lie (``ledger``).

It is a copy of what the ledger says, so that who asks for what is newest need not list and read all that was ever
delivered. It is true for as long as it is there: an entry is appended after it was removed, and it is put after all
entries, by the lake's only writer. Killed in between, there is none, and the ledger itself is read.
"""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import polars as pl

from focus_assets.lake.store import ObjectStore

PATH: Final = "_ledger/newest.parquet"

_guard = threading.Lock()
_begun: Counter[str] = Counter()
_under_way: Counter[str] = Counter()


@contextmanager
def forgotten(store: ObjectStore) -> Iterator[None]:
    """Remove what is remembered, for what is appended inside the ``with`` block is newer."""
    with _guard:
        _begun[store.identity] += 1
        _under_way[store.identity] += 1
    try:
        store.delete(PATH)
        yield
    finally:
        with _guard:
            _under_way[store.identity] -= 1


def appends(store: ObjectStore) -> int | None:
    """How often this process has appended; None while some thread of it does."""
    with _guard:
        return None if _under_way[store.identity] else _begun[store.identity]


def remembered(store: ObjectStore, schema: pl.Schema) -> pl.DataFrame | None:
    """What is remembered, in ``schema``; None where nothing is, or by a version of the program with other columns."""
    data = store.get_or_none(PATH)
    if data is None:
        return None
    try:
        found = pl.read_parquet(io.BytesIO(data))
    except pl.exceptions.PolarsError:
        return None
    return found if found.schema == schema else None


def remember(store: ObjectStore, found: pl.DataFrame, after: int | None) -> None:
    """Remember the newest entries, as they were read ``after`` so many appends; not where there was another since."""
    if after is None:
        return
    packed = io.BytesIO()
    found.write_parquet(packed, compression="zstd")
    store.put(PATH, packed.getvalue())
    if appends(store) != after:
        store.delete(PATH)
