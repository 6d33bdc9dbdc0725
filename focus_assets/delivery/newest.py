"""The newest entry of each destination's billing month, remembered in one object beside the ledger.

What belongs here: the object, and when it may be trusted. What does not: entries and where they lie (``ledger``).

It is a copy of what the ledger says, so that who asks for what is newest need not list and read all that was ever
delivered. It is true for as long as it is there, whoever appends, also where two processes take themselves for the
lake's writer: its place holds either the copy or a note of who is appending. A process is in that note before it
appends, by a conditional put, so that it replaces the copy; and the copy is put in place of the very note that named
nobody else before the ledger was listed. A process that was killed stays in the note and is passed over after
:data:`FORGOTTEN_AFTER`; until then the ledger itself is read.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import polars as pl

from focus_assets.lake.errors import ConditionFailed, StoreError
from focus_assets.lake.store import ObjectStore, StoredObject

PATH: Final = "_ledger/newest.parquet"

FORGOTTEN_AFTER: Final = dt.timedelta(minutes=15)
"""How long a note names a process that does not renew it."""

_RENEWED_AFTER: Final = dt.timedelta(minutes=5)
_APPENDING: Final = "appending"
_guard = threading.RLock()


@dataclass(frozen=True)
class _Named:
    """Under which name this process stands in a store's note, and since when."""

    name: str
    since: dt.datetime

    def older_than(self, age: dt.timedelta) -> bool:
        return _now() - self.since > age


_named: dict[str, _Named] = {}
_under_way: Counter[str] = Counter()
_blocks: Counter[str] = Counter()


@contextmanager
def appending(store: ObjectStore) -> Iterator[None]:
    """Let nothing be remembered while the ``with`` block appends."""
    with _guard:
        held = _named.get(store.identity)
        if held is None or held.older_than(_RENEWED_AFTER):
            _enter(store)
        _under_way[store.identity] += 1
    try:
        yield
        with _guard:
            # Others may have passed it over: it slept in the middle, or their clock is ahead of this one.
            if not _stands(store):
                _enter(store)
    finally:
        with _guard:
            _under_way[store.identity] -= 1
            _leave_if_done(store)


@contextmanager
def together(store: ObjectStore) -> Iterator[None]:
    """Keep this process in the note from its first append to the end of the block."""
    with _guard:
        _blocks[store.identity] += 1
    try:
        yield
    finally:
        with _guard:
            _blocks[store.identity] -= 1
            _leave_if_done(store)


def found(store: ObjectStore, schema: pl.Schema) -> tuple[pl.DataFrame | None, str | None]:
    """What is remembered, in ``schema``, and the version of what lies in its place.

    None where nothing is remembered, or by a version of the program with other columns.
    """
    there = store.read(PATH)
    if there is None:
        return None, None
    try:
        held = pl.read_parquet(io.BytesIO(there.data))
    except pl.exceptions.PolarsError:
        return None, there.etag
    return (held if held.schema == schema else None), there.etag


def remembered(store: ObjectStore, schema: pl.Schema) -> pl.DataFrame | None:
    """What is remembered, in ``schema``; None where nothing is."""
    return found(store, schema)[0]


def version(store: ObjectStore) -> str | None:
    """The version of what lies in the place: as long as it is the same, nobody has begun to append."""
    there = store.read(PATH)
    return None if there is None else there.etag


@dataclass(frozen=True)
class Claim:
    """A version of the note in which nobody stood but ``name``."""

    version: str
    name: str


def claim(store: ObjectStore) -> Claim | None:
    """The note as it names nobody but this process; None while another, or a thread of it, appends.

    List the ledger after that. The next append of this process enters the note anew.
    """
    with _guard:
        if _under_way[store.identity]:
            return None
        if store.identity not in _named or not _stands(store):
            # Also where it was passed over: what lies there may lack what this process appended.
            _enter(store)
        mine = _named.pop(store.identity)
        there = store.read(PATH)
        if there is not None and set(_names(there)) == {mine.name}:
            return Claim(there.etag, mine.name)
        _strike(store, mine.name)
        return None


def remember(store: ObjectStore, newest: pl.DataFrame, claimed: Claim) -> None:
    """Remember the newest entries, read after :func:`claim`; not where somebody has begun to append since."""
    packed = io.BytesIO()
    newest.write_parquet(packed, compression="zstd")
    try:
        store.put(PATH, packed.getvalue(), if_match=claimed.version)
    except StoreError:
        _strike(store, claimed.name)


def _enter(store: ObjectStore) -> None:
    """Put this process into the note, under a name of its own, in place of what is remembered."""
    before = _named.get(store.identity)
    mine = _Named(uuid.uuid4().hex, _now())
    _change(store, add={mine.name: mine.since}, strike=None if before is None else before.name)
    _named[store.identity] = mine


def _stands(store: ObjectStore) -> bool:
    """Whether this process is in the note still."""
    there = store.read(PATH)
    return there is not None and _named[store.identity].name in _names(there)


def _leave_if_done(store: ObjectStore) -> None:
    if not _under_way[store.identity] and not _blocks[store.identity] and store.identity in _named:
        _strike(store, _named.pop(store.identity).name)


def _strike(store: ObjectStore, name: str) -> None:
    # One that stays is passed over after a while.
    with suppress(StoreError):
        _change(store, add={}, strike=name)


def _change(store: ObjectStore, *, add: Mapping[str, dt.datetime], strike: str | None) -> None:
    for attempt in range(1_000):
        there = store.read(PATH)
        names = {} if there is None else _names(there)
        if add.keys() <= names.keys() and strike not in names:
            # Also after a put whose answer was lost.
            return
        wanted = {name: since for name, since in names.items() if name != strike} | dict(add)
        data = _note(wanted)
        try:
            if there is None:
                store.put(PATH, data, if_absent=True)
            else:
                store.put(PATH, data, if_match=there.etag)
            return
        except ConditionFailed:
            time.sleep(min(0.001 * attempt, 0.1))
    raise StoreError(f"{store.url}: {PATH} changes faster than it can be replaced. Nothing was appended.")


def _note(names: Mapping[str, dt.datetime]) -> bytes:
    # No two notes are the same bytes: one that came back would have its old version, and a claim on that would hold.
    said = {_APPENDING: {name: since.isoformat() for name, since in names.items()}, "note": uuid.uuid4().hex}
    return json.dumps(said, sort_keys=True).encode() + b"\n"


def _names(there: StoredObject) -> dict[str, dt.datetime]:
    """Who is appending, by what lies in the place; nobody where that is the copy."""
    try:
        said = json.loads(there.data)[_APPENDING]
        since = {str(name): dt.datetime.fromisoformat(at) for name, at in said.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {name: at for name, at in since.items() if _now() - at <= FORGOTTEN_AFTER}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
