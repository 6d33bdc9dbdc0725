"""SIGKILL at every write of a delivery and at random moments: the next delivery ends as an undisturbed one.

40 kills; as many as ``FOCUS_ASSETS_KILLS`` says where it is set, at the moments of ``FOCUS_ASSETS_KILLS_SEED``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from focus_assets.delivery import DeliveryResult, NothingDelivered, entries, latest_deliveries, verify
from focus_assets.delivery.newest import PATH
from focus_assets.lake import Lake
from focus_assets_tests.kill.delivery_process import LATER, NOW, deliver_to, make_lake, restate

pytestmark = pytest.mark.kill
KILLS = int(os.environ.get("FOCUS_ASSETS_KILLS", "40"))
SEED = int(os.environ.get("FOCUS_ASSETS_KILLS_SEED", "20260901"))
MANY = 6
_NEVER = 10**9


class Deliverer:
    """A process that forks one that delivers whenever it is asked to."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "focus_assets_tests.kill.delivery_process"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._hear() == "ready"

    def ask(self, root: Path, number: int, now: dt.datetime, at: int = _NEVER, *, after: bool = False) -> int:
        """Begin a delivery; it ends its process, whose number is returned, at the write ``at``, if it comes to it."""
        self._say({"root": str(root), "number": number, "now": now.isoformat(), "at": at, "after": after})
        deliverer = self._hear()
        assert isinstance(deliverer, int)
        return deliverer

    def answer(self) -> dict[str, Any] | None:
        """What came of the delivery, once it has ended; None where its process was killed before."""
        self._say(None)
        heard = self._hear()
        assert isinstance(heard, dict)
        if "ended_by" not in heard:
            # A kill may still have met it after that.
            assert self._hear()["ended_by"] in (0, signal.SIGKILL)
            return heard
        assert heard["ended_by"] == signal.SIGKILL, "it ended in an error"
        return None

    def end(self) -> None:
        """Let it go."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        assert self._process.wait(30) == 0

    def _say(self, what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def deliverer() -> Iterator[Deliverer]:
    process = Deliverer()
    yield process
    process.end()


class World:
    """A lake and its destinations in a folder, made by copying one."""

    def __init__(self, root: Path, of: Path) -> None:
        self.root = root
        shutil.copytree(of, root)

    def undisturbed(self, number: int, now: dt.datetime) -> None:
        found = deliver_to(self.root, number, now)
        assert [type(each) for each in found] == [DeliveryResult] * number, found

    def bucket(self) -> dict[str, str]:
        """Digests of every object of every destination; unfinished files are none."""
        place = self.root / "bucket"
        files = (f for f in place.rglob("*") if f.is_file() and not f.name.startswith("."))
        return {str(f.relative_to(place)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    def ledger(self) -> list[dict[str, Any]]:
        lake = Lake.open(str(self.root / "lake"))
        assert lake.store.exists(PATH), (
            "what is newest is remembered after a run that ended, or who was killed stands there"
        )
        self.require_newest("before the run that ended")
        return entries(lake).drop("manifest_url", "terms_digest").to_dicts()

    def require_newest(self, when: str) -> None:
        """What is told to be newest is: no kill leaves older entries remembered."""
        lake = Lake.open(str(self.root / "lake"))
        found, of_each = entries(lake), ("destination", "billing_month", "dataset")
        newest = found.group_by(of_each, maintain_order=True).last().select(found.columns)
        assert latest_deliveries(lake).equals(newest), f"killed {when}"

    def require_whole(self, number: int, when: str) -> None:
        """No manifest names a file that is missing or different."""
        for n in range(number):
            place = self.root / "bucket" / f"d{n}"
            try:
                problems = [found.problems for found in verify(str(place))] if place.exists() else []
            except NothingDelivered:
                continue
            assert problems in ([], [()]), f"killed {when}: {problems}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Lakes of which nothing was delivered yet, and one that changed since it was."""
    folder = tmp_path_factory.mktemp("kills")
    make_lake(folder / "first")
    for number in (1, MANY):
        again = World(folder / f"again-{number}", folder / "first")
        again.undisturbed(number, NOW)
        restate(again.root)
    return {
        "first": folder / "first",
        "again-1": folder / "again-1",
        f"again-{MANY}": folder / f"again-{MANY}",
    }


def of(made: dict[str, Path], kind: str, number: int) -> Path:
    return made["first" if kind == "first" else f"again-{number}"]


@pytest.mark.parametrize("kind", ["first", "again"])
def test_killed_at_any_write_the_next_delivery_ends_as_an_undisturbed_one(
    made: dict[str, Path], deliverer: Deliverer, tmp_path: Path, kind: str
) -> None:
    source = of(made, kind, 1)
    calm = World(tmp_path / "calm", source)
    deliverer.ask(calm.root, 1, LATER)
    counted = deliverer.answer()
    assert counted is not None
    assert counted["failed"] == []
    expected, kills = (calm.bucket(), calm.ledger()), 0
    for at in range(1, counted["writes"] + 1):
        for after in (False, True):
            disturbed = World(tmp_path / f"{at}-{after}", source)
            deliverer.ask(disturbed.root, 1, LATER, at, after=after)
            assert deliverer.answer() is None, "it was to die"
            kills += 1
            when = f"{'after' if after else 'before'} write {at}"
            disturbed.require_whole(1, when)
            disturbed.require_newest(when)
            disturbed.undisturbed(1, LATER)
            assert (disturbed.bucket(), disturbed.ledger()) == expected, f"killed {when}"
            shutil.rmtree(disturbed.root)
    assert kills >= 8


def test_killed_at_random_moments_deliveries_to_many_end_as_undisturbed_ones(
    made: dict[str, Path], deliverer: Deliverer, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    expected, takes = {}, {}
    for kind in ("first", "again"):
        calm = World(tmp_path / f"calm-{kind}", of(made, kind, MANY))
        deliverer.ask(calm.root, MANY, LATER)
        began = time.monotonic()
        answer = deliverer.answer()
        assert answer is not None
        assert answer["failed"] == []
        takes[kind], expected[kind] = time.monotonic() - began, (calm.bucket(), calm.ledger())
    kills = survived = 0
    while kills < KILLS:
        kind = ("first", "again")[kills % 2]
        disturbed = World(tmp_path / f"{kills}", of(made, kind, MANY))
        victim = deliverer.ask(disturbed.root, MANY, LATER)
        moment = chance.uniform(0, takes[kind])
        time.sleep(moment)
        os.kill(victim, signal.SIGKILL)
        if deliverer.answer() is None:
            when = f"{moment * 1000:.0f} ms into {kind}, kill {kills} of seed {SEED}"
            disturbed.require_whole(MANY, when)
            disturbed.require_newest(when)
            survived += disturbed.bucket() == expected[kind][0]
            disturbed.undisturbed(MANY, LATER)
            assert (disturbed.bucket(), disturbed.ledger()) == expected[kind], f"killed {when}"
            kills += 1
            # A machine with other work is slower than it was: kills have to reach the end of a delivery.
            takes[kind] *= 1.02
        else:
            takes[kind] = moment
        shutil.rmtree(disturbed.root)
    assert survived < KILLS * 3 / 4, "kills have to come while something is left to do"
