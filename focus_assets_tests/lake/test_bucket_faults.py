"""A lake in a bucket on a bad day: what is written and read is right in the end, or fails by name; never a mixture."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.errors import FocusAssetsError
from focus_assets.lake import (
    CorruptPartition,
    Lake,
    LakeBusy,
    LeaseLost,
    StoreError,
    lease_bucket,
    open_store,
)
from focus_assets.lake.paths import LEASE
from focus_assets_tests.faulty_s3 import FaultyS3, Kind, Request
from focus_assets_tests.s3_server import S3Bucket

FIRST, SECOND = dt.date(2026, 8, 1), dt.date(2026, 8, 2)
DAYS = [FIRST, SECOND]
OLD, NEW, NEXT = ([n, n + 1, n + 2] for n in (1, 10, 20))
ALL = [*NEW, *OLD, *NEXT]
pytestmark = pytest.mark.s3


class World:
    """A lake of two days behind the proxy; one of them is written again."""

    def __init__(self, bucket: S3Bucket, proxy: FaultyS3, name: str) -> None:
        self._url, self._options, self._proxy = f"{bucket.url}/{name}", bucket.options, proxy
        begin(self.open(direct=True))

    def open(self, *, direct: bool = False) -> Lake:
        endpoint = {} if direct else {"endpoint": self._proxy.url}
        store = open_store(self._url, self._options | endpoint)
        # A lease that could not be let go has to run out.
        return Lake(store, lease_expiry=dt.timedelta(seconds=2))

    def work(self, *, wait: dt.timedelta = dt.timedelta(0)) -> list[int]:
        """A run, whose requests may fail."""
        return run(self.open(), wait)

    def objects(self) -> dict[str, bytes]:
        store = open_store(self._url, self._options)
        return {info.path: store.get(info.path) for info in store.list("") if info.path != LEASE}

    def rows_of_first(self) -> list[int] | str:
        """What another process reads of the day that is written again."""
        try:
            return list(self.open(direct=True).scan("numbers", [FIRST]).collect()["n"])
        except CorruptPartition:
            return "refused"


def begin(lake: Lake) -> None:
    """What an earlier run left."""
    for day in DAYS:
        lake.write("numbers", day, frame(OLD), inputs={"source/a": "1"})


def run(lake: Lake, wait: dt.timedelta = dt.timedelta(0)) -> list[int]:
    """What a run does: it is the writer, lists days, reads them, writes one again and one more, reads them all."""
    with lake.writer("a run", wait=wait):
        before = lake.scan("numbers", lake.days("numbers")).collect()["n"].to_list()
        assert before[3:] == OLD
        assert before[:3] in (OLD, NEW), "what is read is a whole partition"
        lake.write("numbers", FIRST, frame(NEW), inputs={"source/a": "2"}, facts=facts)
        lake.write("sums", FIRST, frame(NEXT), inputs=lake.digests("numbers", DAYS))
        lake.put_note("sums", FIRST, {"at": "noon"})
        assert lake.stale_inputs("sums", FIRST) == []
    rows = pl.concat([lake.scan("numbers", DAYS), lake.scan("sums", [FIRST])])
    return list(rows.collect()["n"])


def frame(numbers: list[int]) -> pl.LazyFrame:
    return pl.LazyFrame({"n": numbers})


def facts(rows: pl.LazyFrame) -> dict[str, int]:
    return {"sum": int(rows.select(pl.col("n").sum()).collect().item())}


@pytest.fixture
def make(s3_bucket: S3Bucket, proxy: FaultyS3) -> Callable[[str], World]:
    return lambda name: World(s3_bucket, proxy, name)


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, bytes]:
    """What a run leaves that nothing disturbs; a folder holds the same bytes."""
    lake = Lake.open(str(tmp_path / "calm"))
    begin(lake)
    assert run(lake) == ALL
    return {info.path: lake.store.get(info.path) for info in lake.store.list("") if info.path != LEASE}


@pytest.mark.parametrize("kind", ["500", "503", "lost", "unsent"])
@pytest.mark.parametrize("seed", [None, 1])
def test_requests_that_fail_once_each_change_nothing_in_the_end(
    make: Callable[[str], World],
    proxy: FaultyS3,
    expected: dict[str, bytes],
    kind: Kind,
    seed: int | None,
) -> None:
    """Each of them, and each of a random half."""
    world = make("faults")
    proxy.fail_each_once(kind, lambda _: True, seed=seed)

    assert world.work() == ALL

    assert proxy.failed >= (30 if seed is None else 10)
    assert world.objects() == expected


@pytest.mark.parametrize("seed", [None, 1])
def test_answers_that_end_in_the_middle_are_asked_for_again(
    make: Callable[[str], World], proxy: FaultyS3, expected: dict[str, bytes], seed: int | None
) -> None:
    world = make("cut")
    proxy.fail_each_once("truncated", lambda request: request.method == "GET", seed=seed)

    assert world.work() == ALL

    assert proxy.failed >= (15 if seed is None else 5)
    assert world.objects() == expected


def test_a_conflict_of_two_conditional_puts_is_tried_again(
    make: Callable[[str], World], proxy: FaultyS3, expected: dict[str, bytes]
) -> None:
    world = make("conflicts")
    proxy.fail_each_once("409", lambda request: request.conditional)

    assert world.work() == ALL

    assert proxy.failed >= 2, "the lease is taken and let go"
    assert world.objects() == expected


def test_another_writer_that_was_faster_is_named_and_nothing_is_written(
    make: Callable[[str], World], proxy: FaultyS3
) -> None:
    world = make("raced")
    before, store, taken = world.objects(), world.open(direct=True).store, list[Any]()

    def other(request: Request) -> Kind | None:
        if request.conditional and not taken:
            # As another process takes it: this one's own writers would share it.
            taken.append(lease_bucket.take(store, "the other", dt.timedelta(seconds=60)))
        return None

    proxy.fault = other
    with pytest.raises(LakeBusy, match="is being written by the other"):
        world.work()

    assert world.objects() == before
    taken[0].release()
    assert world.work() == ALL


def test_a_writer_whose_lease_was_taken_over_meanwhile_replaces_nothing(
    make: Callable[[str], World], proxy: FaultyS3
) -> None:
    world = make("taken over")
    before, store = world.objects(), world.open(direct=True).store

    def take_over(request: Request) -> Kind | None:
        if request.method == "HEAD" and request.path.endswith(LEASE) and not proxy.failed:
            proxy.failed += 1
            store.put(LEASE, store.get(LEASE).replace(b"a run", b"another"))
        return None

    proxy.failed, proxy.fault = 0, take_over
    with pytest.raises(LeaseLost, match="was taken over by another writer"):
        world.work()

    assert proxy.failed == 1
    assert world.objects() == before


def puts(ending: str) -> Callable[[Request], bool]:
    return lambda request: request.method == "PUT" and request.path.endswith(ending)


def gets(part: str) -> Callable[[Request], bool]:
    return lambda request: request.method == "GET" and part in request.path


LOST_LEASE: tuple[Kind, Callable[[Request], bool]] = ("lost", puts(LEASE))


@pytest.mark.parametrize(
    ("kind", "which"),
    [
        ("503", puts(".parquet")),
        ("lost", puts(".parquet")),
        ("500", puts("_record.json")),
        ("lost", puts("_record.json")),
        ("unsent", puts(LEASE)),
        LOST_LEASE,
        ("truncated", gets("list-type")),
        ("truncated", gets(".parquet")),
        ("truncated", gets("_record.json")),
        ("503", gets("_record.json")),
        ("503", lambda request: request.method == "HEAD"),
    ],
)
def test_a_store_that_goes_on_failing_is_named_and_no_reader_sees_anything_half_written(
    make: Callable[[str], World],
    proxy: FaultyS3,
    expected: dict[str, bytes],
    kind: Kind,
    which: Callable[[Request], bool],
) -> None:
    world = make("down")
    proxy.fail(kind, which, times=1_000)

    named = failure_of(world)

    assert proxy.failed > 0
    # A lease whose answer alone is lost is found to be ours.
    assert (named is None) == ((kind, which) == LOST_LEASE)
    if named is not None:
        assert isinstance(named, StoreError | LakeBusy | LeaseLost | CorruptPartition)
        assert "/down" in str(named)
        assert "focus-test-secret" not in str(named)
    assert world.rows_of_first() in (OLD, NEW, "refused")
    proxy.fail(kind, lambda _: False)
    assert mended(world) == ALL
    assert world.objects() == expected


def failure_of(world: World) -> FocusAssetsError | None:
    """What a run fails with; one that does not has read what it wrote."""
    try:
        assert world.work() == ALL
    except FocusAssetsError as error:
        return error
    return None


def mended(world: World) -> list[int]:
    """The run once more; what is damaged is written again, as the chain does."""
    soon, lake = dt.timedelta(seconds=10), world.open()
    if world.rows_of_first() == "refused":
        with lake.writer("a run that mends", wait=soon):
            lake.write("numbers", FIRST, frame(NEW), inputs={"source/a": "2"}, facts=facts)
    return world.work(wait=soon)
