"""Kills, races and lost answers: the next delivery ends with what an undisturbed one would have left."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from focus_assets.delivery import (
    DeliveryRaced,
    DeliveryRun,
    DestinationError,
    billing_months,
    deliver,
    due,
    entries,
    latest_deliveries,
    verify,
)
from focus_assets.delivery.layout import layout_of
from focus_assets.delivery.manifest import Manifest
from focus_assets.delivery.verify import verify_manifest
from focus_assets.lake import ConditionFailed, Lake, ObjectStore, StoreError, open_store
from focus_assets.settings import Destination
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import days, row, write_day
from focus_assets_tests.s3_server import S3Bucket

AUGUST = "2026-08"
LATER = NOW + dt.timedelta(days=1)
WRITES = ("put", "put_file", "delete")
MANIFEST = layout_of("hive", "warehouse").manifest_path(AUGUST)


class Killed(BaseException):
    """Ends the delivery as a kill would: nothing catches it."""


@dataclass
class Fuse:
    """Blows at the n-th write to any store that shares it, before or after it took effect."""

    at: int
    after: bool
    calls: int = 0

    def burn(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise Killed
        answer = call(*arguments, **options)
        if self.calls == self.at:
            raise Killed
        return answer


class Fused:
    """A store of which every write burns the fuse; reads change nothing, so a kill there is one between."""

    def __init__(self, store: ObjectStore, fuse: Fuse) -> None:
        self._store, self._fuse = store, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in WRITES:
            return found
        return lambda *arguments, **options: self._fuse.burn(found, *arguments, **options)


@dataclass
class World:
    """A lake and a destination that can be made any number of times with the same content."""

    lake_at: str
    destination_at: str
    options: dict[str, str] = field(default_factory=dict)
    terms: dict[str, Any] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake.open(self.lake_at)

    @property
    def destination(self) -> Destination:
        return Destination(name="warehouse", url=self.destination_at, focus_version="1.3", **self.terms)

    def store(self) -> ObjectStore:
        return open_store(self.destination_at, self.options)

    def deliver(self, now: dt.datetime, fuse: Fuse | None = None) -> Any:
        lake, store = self.lake, self.store()
        if fuse is None:
            return deliver(lake, self.destination, AUGUST, DeliveryRun(now, opener=lambda _: store))
        burning = Fused(store, fuse)
        lake.store = Fused(lake.store, fuse)  # type: ignore[assignment]
        return deliver(lake, self.destination, AUGUST, DeliveryRun(now, opener=lambda _: burning))  # type: ignore[arg-type]

    def restate(self) -> None:
        second = dt.date(2026, 8, 2)
        write_day(self.lake, second, [row(second, quantity=99)])

    def bucket(self) -> dict[str, bytes]:
        store = self.store()
        return {info.path: store.get(info.path) for info in store.list("")}

    def ledger(self) -> list[dict[str, Any]]:
        return entries(self.lake).drop("manifest_url", "terms_digest").to_dicts()


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def worlds(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], World]:
    """Makes worlds that are equal but for where they are."""
    bucket: S3Bucket | None = request.getfixturevalue("s3_bucket") if request.param == "s3" else None
    made = 0

    def make() -> World:
        nonlocal made
        made += 1
        lake = Lake.open(str(tmp_path / f"{made}" / "lake"))
        for day in days("2026-08-01", "2026-08-03"):
            write_day(lake, day, [row(day)] if day.day < 3 else [])
        if bucket is None:
            return World(lake.url, str(tmp_path / f"{made}" / "bucket"))
        return World(lake.url, f"{bucket.url}/world-{made}", bucket.options)

    return make


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
def test_a_delivery_killed_at_any_write_ends_as_an_undisturbed_one(worlds, after):
    undisturbed = worlds()
    undisturbed.deliver(NOW)
    undisturbed.restate()
    fuse = Fuse(at=0, after=after)
    undisturbed.deliver(LATER, fuse)
    assert fuse.calls == 6, (
        "a data file, its metadata, the manifest, that this process appends, the ledger, that it does no more"
    )
    for at in range(1, fuse.calls + 1):
        disturbed = worlds()
        disturbed.deliver(NOW)
        disturbed.restate()

        with pytest.raises(Killed):
            disturbed.deliver(LATER, Fuse(at, after))
        assert verify_manifest(disturbed.store(), MANIFEST).problems == ()
        disturbed.deliver(LATER)

        assert disturbed.bucket() == undisturbed.bucket(), f"killed at write {at}"
        assert disturbed.ledger() == undisturbed.ledger(), f"killed at write {at}"


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
def test_a_first_delivery_killed_at_any_write_ends_as_an_undisturbed_one(worlds, after):
    undisturbed = worlds()
    fuse = Fuse(at=0, after=after)
    undisturbed.deliver(NOW, fuse)
    assert fuse.calls == 9, (
        "three data files, metadata, schema, the manifest, that this process appends, the ledger, that it does no more"
    )
    for at in range(1, fuse.calls + 1):
        disturbed = worlds()
        with pytest.raises(Killed):
            disturbed.deliver(NOW, Fuse(at, after))
        published = MANIFEST in disturbed.bucket()
        assert not published or verify_manifest(disturbed.store(), MANIFEST).problems == ()
        disturbed.deliver(NOW)
        assert disturbed.bucket() == undisturbed.bucket(), f"killed at write {at}"
        assert disturbed.ledger() == undisturbed.ledger(), f"killed at write {at}"


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize(
    "terms",
    [
        {"layout": "finops-hubs", "format": "csv"},
        {"layout": "aws", "keep_hours": 0},
        {"mode": "new_version", "compression": "snappy"},
    ],
    ids=lambda terms: str(next(iter(terms.values()))),
)
def test_files_removed_and_versions_kept_end_alike_wherever_a_delivery_is_killed(tmp_path, terms, after):
    def made(name: str) -> World:
        lake = Lake.open(str(tmp_path / name / "lake"))
        for day in days("2026-08-01", "2026-08-02"):
            write_day(lake, day, [row(day)])
        world = World(lake.url, str(tmp_path / name / "bucket"), terms=terms)
        world.deliver(NOW)
        world.restate()
        return world

    undisturbed, fuse = made("undisturbed"), Fuse(at=0, after=after)
    undisturbed.deliver(LATER, fuse)
    for at in range(1, fuse.calls + 1):
        disturbed = made(f"killed-{at}")
        with pytest.raises(Killed):
            disturbed.deliver(LATER, Fuse(at, after))
        assert [found.problems for found in verify(disturbed.destination_at)] == [()], f"killed at write {at}"
        disturbed.deliver(LATER)
        assert disturbed.bucket() == undisturbed.bucket(), f"killed at write {at}"
        assert disturbed.ledger() == undisturbed.ledger(), f"killed at write {at}"


def test_a_delivery_killed_before_its_ledger_entry_stays_in_the_ledger_when_the_next_differs(worlds):
    world = worlds()
    fuse = Fuse(at=0, after=False)
    worlds().deliver(NOW, fuse)
    with pytest.raises(Killed):
        world.deliver(NOW, Fuse(fuse.calls - 1, after=False))
    assert world.ledger() == []
    world.restate()

    world.deliver(LATER)

    assert [each["delivered_at"] for each in world.ledger()] == [NOW, LATER]
    assert [each["sequence"] for each in world.ledger()] == [1, 2]


def test_what_was_delivered_is_no_longer_due(worlds):
    world = worlds()

    def asked() -> list[Any]:
        lake = world.lake
        months = billing_months(lake)
        return due(months, [world.destination], latest_deliveries(lake), months)

    assert asked() == [(AUGUST, ["warehouse"])]
    world.deliver(NOW)
    assert asked() == []
    world.restate()
    assert asked() == [(AUGUST, ["warehouse"])]
    world.deliver(LATER)
    assert asked() == []


class Racing:
    """A store in which another delivery puts its manifest just before ours."""

    def __init__(self, store: ObjectStore, other: Callable[[], object]) -> None:
        self._store, self._other = store, other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, path: str, data: bytes, **options: Any) -> str:
        self._other()
        return self._store.put(path, data, **options)


@pytest.mark.parametrize("first", [True, False], ids=["no manifest yet", "a manifest to replace"])
def test_of_two_deliveries_that_race_one_wins_and_the_other_says_so(worlds, first):
    world = worlds()
    if not first:
        world.deliver(NOW)
        world.restate()
    store = world.store()
    racing = Racing(store, lambda: world.deliver(LATER))

    with pytest.raises(DeliveryRaced, match="warehouse: another delivery of 2026-08"):
        deliver(
            world.lake,
            world.destination,
            AUGUST,
            DeliveryRun(NOW + dt.timedelta(hours=1), opener=lambda _: racing),
        )

    there = Manifest.from_bytes(store.get(MANIFEST), "there")
    assert there.generated_at == LATER
    assert verify_manifest(store, MANIFEST).problems == ()
    assert world.ledger()[-1]["delivered_at"] == LATER


def test_a_put_whose_answer_was_lost_is_not_taken_for_a_race(worlds):
    world = worlds()

    class Forgetful(Racing):
        def put(self, path: str, data: bytes, **options: Any) -> str:
            self._store.put(path, data, **options)
            raise ConditionFailed("412 on the second try of a request that had succeeded")

    result = deliver(
        world.lake,
        world.destination,
        AUGUST,
        DeliveryRun(NOW, opener=lambda _: Forgetful(world.store(), print)),
    )

    assert result.outcome == "delivered"
    assert len(world.ledger()) == 1


def test_a_reader_that_follows_the_manifest_never_sees_a_mixture(worlds):
    world = worlds()
    world.deliver(NOW)
    lake, store, reader = world.lake, world.store(), world.store()
    done, problems, seen = threading.Event(), [], set()

    def read() -> None:
        while not done.is_set():
            found = verify_manifest(reader, MANIFEST)
            problems.extend(found.problems)
            seen.add(found.manifest.content_digest)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for n in range(1, 9):
            for day in days("2026-08-01", "2026-08-02"):
                write_day(lake, day, [row(day, quantity=n)])
            deliver(
                lake,
                world.destination,
                AUGUST,
                DeliveryRun(NOW + n * dt.timedelta(hours=1), opener=lambda _: store),
            )
    finally:
        done.set()
        thread.join()

    assert problems == []
    assert len(seen) > 1


@pytest.mark.s3
def test_a_missing_bucket_is_the_destination_s_error_and_says_what_to_do(worlds, s3_bucket):
    world = worlds()
    gone = Destination(name="gone", url="s3://no-such-bucket-here/x")

    with pytest.raises(
        DestinationError, match=r"destination gone \(s3://no-such-bucket-here/x\) refused"
    ) as raised:
        deliver(
            world.lake, gone, AUGUST, DeliveryRun(NOW, opener=lambda d: open_store(d.url, s3_bucket.options))
        )

    assert "bucket" in str(raised.value)
    assert world.ledger() == []


def test_a_destination_that_refuses_to_be_written_is_named_and_nothing_is_entered(worlds):
    world = worlds()

    class Forbidding(Racing):
        def put_file(self, *_: Any, **__: Any) -> str:
            raise StoreError("403 AccessDenied: allow s3:PutObject")

    with pytest.raises(
        DestinationError, match=r"destination warehouse .*403 AccessDenied: allow s3:PutObject"
    ):
        deliver(
            world.lake,
            world.destination,
            AUGUST,
            DeliveryRun(NOW, opener=lambda _: Forbidding(world.store(), print)),
        )

    assert world.bucket() == {}
    assert world.ledger() == []
