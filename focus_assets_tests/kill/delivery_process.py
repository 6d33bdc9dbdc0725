"""Deliveries in a process that can be killed: at a write that was chosen, or from outside.

What belongs here: the process, and the lake and destinations that it delivers. What does not: what must hold afterwards
(``test_killed_deliveries``). Run as ``python -m focus_assets_tests.kill.delivery_process``: it says ``ready`` once
everything is imported. For each line that it reads it forks a process that delivers; so one to kill costs no start of
Python. It may fork because it never asks Polars for anything itself: Polars' threads are in no fork.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from focus_assets.delivery import DeliveryFailure, DeliveryResult, DeliveryRun, deliver_all
from focus_assets.delivery.ledger import remembering
from focus_assets.delivery.run import open_destination
from focus_assets.delivery.signature import Signer
from focus_assets.lake import Lake, ObjectStore
from focus_assets.settings import Destination
from focus_assets_tests.delivery.focus_rows import days, row, write_day

AUGUST = "2026-08"
NOW = dt.datetime(2026, 9, 2, 6, 0, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(days=1)
CUSTOMERS = ("acme", "globex", "initech", "umbrella", "hooli")
_WRITES = ("put", "put_file", "delete")
_SIGNER = Signer.from_pem(
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEy\n"
    "-----END PRIVATE KEY-----\n"
)


def make_lake(root: Path) -> None:
    """Three days of five customers, one of them empty."""
    lake = Lake.open(str(root / "lake"))
    for day in days("2026-08-01", "2026-08-03"):
        write_day(lake, day, [] if day.day == 2 else [row(day, name, day.day) for name in CUSTOMERS])


def restate(root: Path) -> None:
    """The first day again, with other quantities."""
    first = dt.date(2026, 8, 1)
    write_day(Lake.open(str(root / "lake")), first, [row(first, name, 50) for name in CUSTOMERS])


def destinations(root: Path, number: int) -> list[Destination]:
    """Up to six, in all layouts and both formats; from five on the month is taken apart for them."""
    kinds: list[dict[str, Any]] = [
        {"customers": "all", "layout": "aws", "keep_hours": 0},
        {"customers": ("acme",)},
        {"customers": ("globex",), "layout": "finops-hubs", "format": "csv"},
        {"customers": ("initech", "acme"), "focus_version": "1.4"},
        {"customers": ("umbrella",), "mode": "new_version"},
        {"customers": ("hooli",), "layout": "aws", "keep_hours": 0},
    ]
    return [
        Destination(name=f"d{n}", url=str(root / "bucket" / f"d{n}"), **kind)
        for n, kind in enumerate(kinds[:number])
    ]


def deliver_to(
    root: Path, number: int, now: dt.datetime, watch: Callable[[ObjectStore], Any] | None = None
) -> list[DeliveryResult | DeliveryFailure]:
    """As the export does: the lake's writer, to all destinations, with signed manifests."""
    lake = Lake.open(str(root / "lake"))
    with lake.writer("delivery of a test", wait=dt.timedelta(seconds=30)):
        if watch is not None:
            lake.store = watch(lake.store)
        opener = open_destination if watch is None else lambda each: watch(open_destination(each))
        run = DeliveryRun(now, opener=opener, signer=_SIGNER)
        with remembering(lake):
            return deliver_all(lake, destinations(root, number), AUGUST, run)


class Ended:
    """Ends this process by SIGKILL at the n-th write to any store, before or after it took effect."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.calls = at, after, 0
        self._turn = threading.Lock()

    def __call__(self, store: ObjectStore) -> Any:
        return _Watched(store, self)

    def write(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        with self._turn:
            self.calls += 1
            last = self.calls == self.at
            if last and not self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = call(*arguments, **options)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer


class _Watched:
    def __init__(self, store: ObjectStore, ended: Ended) -> None:
        self._store, self._ended = store, ended

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in _WRITES:
            return found
        return lambda *arguments, **options: self._ended.write(found, *arguments, **options)


def deliver_as(asked: dict[str, Any]) -> None:
    """Say who delivers, deliver as asked, and say what came of it."""
    _say(os.getpid())
    ended = Ended(asked["at"], after=asked["after"])
    found = deliver_to(
        Path(asked["root"]), asked["number"], dt.datetime.fromisoformat(asked["now"]), watch=ended
    )
    failed = [str(each.error) for each in found if isinstance(each, DeliveryFailure)]
    _say({"writes": ended.calls, "failed": failed})


def _say(what: Any) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201


def main() -> None:
    """Fork a delivery as each line of standard input says; a line more, and its end is waited for and told."""
    _say("ready")
    while line := sys.stdin.readline():
        deliverer = os.fork()
        if deliverer == 0:
            try:
                deliver_as(json.loads(line))
            finally:
                os._exit(0)
        # Until then its number stays its own: whoever kills it kills no other process.
        sys.stdin.readline()
        _, status = os.waitpid(deliverer, 0)
        _say({"ended_by": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0})


if __name__ == "__main__":
    main()
