"""An object store on a bad day: a delivery is right in the end, or fails by name with nothing published."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from focus_assets.delivery import (
    DeliveryRaced,
    DeliveryResult,
    DeliveryRun,
    DestinationError,
    deliver,
    entries,
    verify,
)
from focus_assets.delivery.gate import PassedMonth, require_days, require_rules
from focus_assets.lake import Lake, ObjectStore, open_store
from focus_assets.settings import Destination
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import days, row, write_day
from focus_assets_tests.faulty_s3 import FaultyS3, Kind, Request
from focus_assets_tests.s3_server import S3Bucket

AUGUST = "2026-08"
LATER = NOW + dt.timedelta(days=1)
pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, PassedMonth]:
    """The month before and after it was restated, past the gate: asked once, for no fault here is the gate's."""
    lake, found = Lake.open(str(tmp_path_factory.mktemp("gate") / "lake")), {}
    for restated in (False, True):
        fill(lake, restated=restated)
        found[restated] = require_rules(lake, require_days(lake, AUGUST), "1.3")
    return found


def fill(lake: Lake, *, restated: bool = False) -> None:
    """Two days of two customers; equal bytes each time."""
    first, second = days("2026-08-01", "2026-08-02")
    write_day(lake, first, [row(first, quantity=99)] if restated else [row(first), row(first, "globex")])
    write_day(lake, second, [row(second), row(second, "globex")])


class World:
    """A lake in a folder and a destination behind the proxy."""

    def __init__(
        self, root: Path, bucket: S3Bucket, proxy: FaultyS3, passed: dict[bool, PassedMonth], name: str
    ) -> None:
        self.lake = Lake.open(str(root / name))
        self.destination = Destination(
            name="warehouse",
            url=f"{bucket.url}/{name}",
            focus_version="1.3",
            layout="aws",
            mode="new_version",
        )
        self._options, self._proxy, self._passed, self._restated = bucket.options, proxy, passed, False
        fill(self.lake)

    def store(self, *, direct: bool = False) -> ObjectStore:
        endpoint = {} if direct else {"endpoint": self._proxy.url}
        return open_store(self.destination.url, self._options | endpoint)

    def deliver(self, now: dt.datetime, *, direct: bool = False) -> DeliveryResult:
        return deliver(
            self.lake,
            self.destination,
            AUGUST,
            DeliveryRun(now, opener=lambda _: self.store(direct=direct)),
            passed=self._passed[self._restated],
        )

    def restate(self) -> None:
        fill(self.lake, restated=True)
        self._restated = True

    def objects(self) -> dict[str, bytes]:
        store = self.store(direct=True)
        return {info.path: store.get(info.path) for info in store.list("")}

    def problems(self) -> list[tuple[str, ...]]:
        return [found.problems for found in verify(self.destination.url, options=self._options)]


@pytest.fixture
def make(
    tmp_path: Path, s3_bucket: S3Bucket, proxy: FaultyS3, passed: dict[bool, PassedMonth]
) -> Callable[[str], World]:
    def made(name: str) -> World:
        world = World(tmp_path, s3_bucket, proxy, passed, name)
        world.deliver(NOW, direct=True)
        world.restate()
        return world

    return made


@pytest.mark.parametrize("kind", ["500", "503", "lost", "unsent"])
def test_one_fault_at_any_request_changes_nothing_in_the_end(
    make: Callable[[str], World], proxy: FaultyS3, kind: Kind
) -> None:
    calm = make("calm")
    proxy.fail(kind, lambda _: False)
    calm.deliver(LATER)
    requests, expected = list(proxy.came), calm.objects()
    assert len(requests) >= 8
    for number in range(1, len(requests) + 1):
        world = make(f"fault-{number}")
        proxy.fail(kind, lambda request, number=number: request.number == number)

        result = world.deliver(LATER)

        what = f"{kind} at {requests[number - 1]}"
        assert proxy.failed == 1, what
        assert result.outcome == "delivered", what
        assert world.objects() == expected, what
        assert world.problems() == [()], what
        assert entries(world.lake)["delivered_at"].to_list() == [NOW, LATER], what


def test_a_read_that_ends_in_the_middle_is_read_again(make: Callable[[str], World], proxy: FaultyS3) -> None:
    calm = make("calm")
    proxy.fail("truncated", lambda _: False)
    calm.deliver(LATER)
    gets, expected = [each for each in proxy.came if each.method == "GET"], calm.objects()
    assert len(gets) >= 3
    for read in gets:
        world = make(f"cut-{read.number}")
        proxy.fail("truncated", lambda request, read=read: request.number == read.number)
        assert world.deliver(LATER).outcome == "delivered"
        assert proxy.failed == 1
        assert world.objects() == expected, read
        assert world.problems() == [()]


def is_manifest_put(request: Request) -> bool:
    return request.method == "PUT" and request.path.endswith("-Manifest.json")


def test_a_conflict_of_two_conditional_puts_is_tried_again(
    make: Callable[[str], World], proxy: FaultyS3
) -> None:
    world = make("conflict")
    proxy.fail("409", is_manifest_put)

    try:
        world.deliver(LATER)
    except DeliveryRaced:
        # Told as a race, which it is; the manifest before still stands and the next delivery ends it.
        assert world.problems() == [()]
        world.deliver(LATER)

    assert proxy.failed == 1
    assert world.problems() == [()]
    assert entries(world.lake)["delivered_at"].to_list() == [NOW, LATER]


def test_another_that_was_faster_wins_and_is_named(make: Callable[[str], World], proxy: FaultyS3) -> None:
    world = make("raced")

    def other(request: Request) -> Kind | None:
        if is_manifest_put(request) and not proxy.failed:
            proxy.failed += 1
            world.deliver(LATER, direct=True)
        return None

    proxy.fault = other
    with pytest.raises(DeliveryRaced, match=r"destination warehouse: another delivery of 2026-08"):
        world.deliver(LATER + dt.timedelta(hours=1))

    assert world.problems() == [()]
    assert entries(world.lake)["delivered_at"].to_list() == [NOW, LATER]


@pytest.mark.parametrize(
    ("kind", "which"),
    [
        ("503", is_manifest_put),
        ("500", lambda request: request.method == "PUT" and request.path.endswith(".parquet")),
        ("503", lambda request: request.method == "GET"),
        ("unsent", is_manifest_put),
    ],
    ids=["throttled at the manifest", "failing data", "failing reads", "cut off at the manifest"],
)
def test_a_store_that_goes_on_failing_is_named_and_what_stood_stands(
    make: Callable[[str], World], proxy: FaultyS3, kind: Kind, which: Callable[[Request], bool]
) -> None:
    world = make("down")
    manifest = {path: data for path, data in world.objects().items() if path.endswith("-Manifest.json")}
    proxy.fail(kind, which, times=1_000)

    with pytest.raises(DestinationError, match=r"destination warehouse .* refused: Cannot") as failed:
        world.deliver(LATER)

    assert proxy.failed > 1, "it was tried again"
    assert "focus-test-secret" not in str(failed.value)
    assert {path: world.objects()[path] for path in manifest} == manifest
    assert world.problems() == [()]
    assert entries(world.lake)["delivered_at"].to_list() == [NOW]
    proxy.fail(kind, lambda _: False)
    assert world.deliver(LATER).outcome == "delivered"


def test_throttling_for_a_while_is_waited_out(make: Callable[[str], World], proxy: FaultyS3) -> None:
    world = make("slow")
    proxy.fail("503", lambda request: request.number % 2 == 1, times=6)

    assert world.deliver(LATER).outcome == "delivered"

    assert proxy.failed == 6
    assert world.problems() == [()]


def test_of_several_writers_at_once_one_wins_and_the_others_notice(make: Callable[[str], World]) -> None:
    world, found = make("writers"), list[Any]()
    start = threading.Barrier(4)

    def write(hour: int) -> None:
        start.wait()
        try:
            found.append(world.deliver(LATER + dt.timedelta(hours=hour)).outcome)
        except DeliveryRaced as error:
            found.append(error)

    threads = [threading.Thread(target=write, args=(hour,)) for hour in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    raced = [each for each in found if isinstance(each, DeliveryRaced)]
    # Who comes after the winner has put its manifest finds that nothing is left to do.
    assert sorted(set(map(str, found)) - set(map(str, raced))) in (["delivered"], ["delivered", "unchanged"])
    assert [each for each in found if each == "delivered"] == ["delivered"]
    assert world.problems() == [()]
    assert entries(world.lake).filter(result="delivered").height == 2


def test_more_than_a_thousand_objects_are_listed(s3_bucket: S3Bucket) -> None:
    store = open_store(f"{s3_bucket.url}/many", s3_bucket.options)
    names = [f"billing_period=2026-08/{n:04}.txt" for n in range(1_100)]
    for name in names:
        store.put(name, b"-")

    assert [info.path for info in store.list("billing_period=2026-08/")] == names
