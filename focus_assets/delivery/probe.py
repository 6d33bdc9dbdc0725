"""Trying a destination out: whether its store does all that a delivery needs, without a delivery.

What belongs here: the steps and what each needs to be called fine. What does not: opening the store, and what only a
service itself can tell (``settings.aws``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from focus_assets.errors import FocusAssetsError
from focus_assets.lake.errors import ConditionFailed
from focus_assets.lake.store import ObjectStore

PROBE: Final = "focus-assets-probe.txt"
"""The object that is written and removed; a delivery never has this name."""

_FIRST: Final = b"written by focus-assets destination test; safe to delete\n"
_SECOND: Final = b"written by focus-assets destination test, again; safe to delete\n"


class Lacking(FocusAssetsError):
    """A store that answers, but not as a delivery needs it."""


@dataclass(frozen=True)
class Step:
    """One thing that was tried, and what came of it."""

    what: str
    said: str
    fine: bool


def probe(store: ObjectStore, look: Callable[[], Iterator[Step]] = lambda: iter(())) -> Iterator[Step]:
    """Write, read, replace and remove a probe object, and do nothing else; a step for each.

    ``look`` is asked while the object is there. A step that fails ends the probe, but for its removal.
    """
    etag = ""

    def write() -> str:
        nonlocal etag
        store.delete(PROBE)
        etag = store.put(PROBE, _FIRST, if_absent=True)
        return f"{PROBE} written"

    def read() -> str:
        if store.get(PROBE) != _FIRST:
            raise Lacking(f"{store.url} gives back other bytes than were written; use another store")
        return "the same bytes came back"

    def listed() -> str:
        if PROBE not in {info.path for info in store.list()}:
            raise Lacking(f"{store.url} does not list what was written; allow s3:ListBucket for this prefix")
        return "it is listed"

    def created_once() -> str:
        try:
            store.put(PROBE, _SECOND, if_absent=True)
        except ConditionFailed:
            return "of two that create it the second is refused"
        raise Lacking(_unconditional(store, "If-None-Match"))

    def replaced_once() -> str:
        store.put(PROBE, _SECOND, if_match=etag)
        try:
            store.put(PROBE, _FIRST, if_match=etag)
        except ConditionFailed:
            return "of two that replace it the second is refused"
        raise Lacking(_unconditional(store, "If-Match"))

    def removed() -> str:
        store.delete(PROBE)
        if store.exists(PROBE):
            raise Lacking(f"{store.url} still has {PROBE} after it was removed")
        return f"{PROBE} removed"

    trials = {
        "write": write,
        "read": read,
        "list": listed,
        "create if absent": created_once,
        "replace if unchanged": replaced_once,
    }
    try:
        fine = True
        for what, trial in trials.items():
            step = _tried(what, trial)
            yield step
            if not (fine := step.fine):
                break
        if fine:
            yield from look()
    finally:
        # Also where the caller stopped listening.
        last = _tried("remove", removed)
    yield last


def _tried(what: str, trial: Callable[[], str]) -> Step:
    try:
        return Step(what, trial(), fine=True)
    except FocusAssetsError as error:
        return Step(what, str(error), fine=False)


def _unconditional(store: ObjectStore, header: str) -> str:
    return (
        f"{store.url} ignores {header}: two deliveries at once could overwrite each other's manifest. "
        "Use a store with conditional puts"
    )
