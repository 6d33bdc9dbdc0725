from __future__ import annotations

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from focus_assets.lake import (
    CorruptPartition,
    Lake,
    LakeBusy,
    LeaseLost,
    MissingPartitions,
    ObjectStore,
    StoreError,
    open_store,
)
from focus_assets.lake.lease_bucket import take
from focus_assets.lake.lease_note import Busy, Lease
from focus_assets_tests.lake.endless_writer import DAYS, ROWS, rows_of
from focus_assets_tests.s3_server import S3Bucket

SHORT = dt.timedelta(seconds=0.9)
LONG = dt.timedelta(seconds=60)


@contextmanager
def writing_elsewhere(url: str, environment: Mapping[str, str], expiry: float = 60) -> Iterator[int]:
    """Another process that is the lake's writer; killed at the end. Gives its process id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "focus_assets_tests.lake.endless_writer", url, "the nightly run", str(expiry)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"writing\n"
        yield process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def one_row() -> pl.LazyFrame:
    return pl.LazyFrame({"value": [1]})


def taken(store: ObjectStore, holder: str, expiry: dt.timedelta) -> Lease:
    lease = take(store, holder, expiry)
    assert not isinstance(lease, Busy)
    return lease


@pytest.fixture
def bucket_store(s3_bucket: S3Bucket) -> ObjectStore:
    return open_store(s3_bucket.url, s3_bucket.options)


def test_a_second_process_is_told_who_is_writing_and_takes_over_at_once_when_that_one_is_killed(
    tmp_path: Path,
) -> None:
    lake = Lake.open(str(tmp_path))
    with writing_elsewhere(lake.url, {}) as pid:
        with pytest.raises(
            LakeBusy, match=rf"the nightly run \(process {pid} on .*nothing was written"
        ) as busy:
            lake.write("other", DAYS[0], one_row())
        assert busy.value.holder == "the nightly run"
        started = time.monotonic()
        with pytest.raises(LakeBusy), lake.writer("me", wait=dt.timedelta(seconds=0.5)):
            pass
        assert time.monotonic() - started >= 0.5
    with lake.writer("me"):
        lake.write("other", DAYS[0], one_row())
    assert not (tmp_path / "_lease.json").exists()


def check_after_a_kill(lake: Lake) -> None:
    """Each day is whole, missing, or said to be corrupt; and writing it again mends it."""
    for day in DAYS:
        try:
            rows = lake.scan("usage", [day]).collect()
            assert rows.height == ROWS
            assert rows["value"].n_unique() == 1
        except (CorruptPartition, MissingPartitions):
            lake.write("usage", day, rows_of(-1))
            assert lake.scan("usage", [day]).collect().height == ROWS


@pytest.mark.kill
def test_a_writer_killed_at_any_moment_leaves_no_wrong_data_and_no_unfinished_files(tmp_path: Path) -> None:
    dice = random.Random(7)
    lake = Lake.open(str(tmp_path))
    for _ in range(8):
        with writing_elsewhere(lake.url, {}):
            time.sleep(dice.uniform(0.0, 0.3))
        with lake.writer("me"):
            assert list(tmp_path.rglob("._tmp*")) == []
            check_after_a_kill(lake)


def test_unfinished_files_of_a_killed_writer_are_removed_by_the_next(tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path))
    lake.write("usage", DAYS[0], one_row())
    left_over = tmp_path / "usage" / "charge_date=2026-08-03" / "._tmp-0123"
    left_over.write_bytes(b"half a file")
    (tmp_path / "_lease.json").write_text("{}")
    assert "._tmp-0123" not in "".join(info.path for info in lake.store.list())
    with lake.writer("me"):
        assert not left_over.exists()


def test_writers_of_one_process_share_the_lease(lake: Lake, open_lake: Callable[[], Lake]) -> None:
    with lake.writer("outer") as outer:
        with open_lake().writer("inner") as inner:
            assert inner is outer
            open_lake().write("usage", DAYS[0], one_row())
        outer.ensure()
        found: list[bool] = []

        def in_a_thread() -> None:
            with open_lake().writer("thread") as lease:
                found.append(lease is outer)

        thread = threading.Thread(target=in_a_thread)
        thread.start()
        thread.join()
        assert found == [True]
        lake.write("usage", DAYS[1], one_row())
    with lake.writer("next") as following:
        assert following is not outer


def test_a_waiting_writer_starts_when_the_other_ends(tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path))
    with writing_elsewhere(lake.url, {}) as pid:
        threading.Timer(0.6, os.kill, (pid, signal.SIGKILL)).start()
        with lake.writer("me", wait=dt.timedelta(seconds=30)):
            lake.write("usage", DAYS[1], one_row())
    assert lake.scan("usage", [DAYS[1]]).collect().height == 1


def test_the_lease_is_given_back_when_the_work_fails(lake: Lake) -> None:
    with pytest.raises(RuntimeError), lake.writer("me"):
        raise RuntimeError
    with lake.writer("me again") as lease:
        lease.ensure()


@pytest.mark.s3
def test_a_bucket_has_one_writer_until_it_gives_its_lease_back(bucket_store: ObjectStore) -> None:
    first = taken(bucket_store, "first", LONG)
    second = take(bucket_store, "second", LONG)
    assert isinstance(second, Busy)
    assert second.holder == "first"
    assert "expires at" in second.advice
    first.release()
    taken(bucket_store, "second", LONG).release()


@pytest.mark.s3
def test_of_many_that_want_a_bucket_one_gets_it(s3_bucket: S3Bucket) -> None:
    results: list[Lease | Busy] = []
    gate = threading.Barrier(6)

    def attempt(number: int) -> None:
        store = open_store(s3_bucket.url, s3_bucket.options)
        gate.wait()
        results.append(take(store, f"writer {number}", LONG))

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    leases = [result for result in results if not isinstance(result, Busy)]
    assert len(results) == 6
    assert len(leases) == 1
    leases[0].release()


@pytest.mark.s3
def test_a_living_writer_keeps_its_bucket_beyond_the_expiry(bucket_store: ObjectStore) -> None:
    first = taken(bucket_store, "first", SHORT)
    time.sleep(2 * SHORT.total_seconds())
    assert isinstance(take(bucket_store, "second", SHORT), Busy)
    first.ensure()
    first.release()


@pytest.mark.s3
def test_a_writer_that_was_cut_off_loses_its_bucket_and_writes_no_more(
    s3_bucket: S3Bucket, bucket_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = taken(bucket_store, "first", SHORT)

    def unreachable(*_: object, **__: object) -> str:
        raise StoreError("no route")

    other_store = open_store(s3_bucket.url, s3_bucket.options)
    with monkeypatch.context() as patch:
        patch.setattr(bucket_store, "put", unreachable)
        time.sleep(1.5 * SHORT.total_seconds())
        second = taken(other_store, "second", LONG)
    with pytest.raises(LeaseLost, match="taken over"):
        first.ensure()
    first.release()
    second.ensure()
    second.release()


@pytest.mark.s3
def test_a_writer_that_was_cut_off_but_not_replaced_goes_on(
    bucket_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = taken(bucket_store, "first", SHORT)

    def unreachable(*_: object, **__: object) -> str:
        raise StoreError("no route")

    with monkeypatch.context() as patch:
        patch.setattr(bucket_store, "put", unreachable)
        time.sleep(1.5 * SHORT.total_seconds())
    lease.ensure()
    assert isinstance(take(bucket_store, "second", LONG), Busy)
    lease.release()


@pytest.mark.s3
def test_a_put_whose_answer_got_lost_still_takes_the_lease(
    bucket_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = bucket_store.put

    def sent_twice(path: str, data: bytes, **options: bool | str | None) -> str:
        put(path, data, **options)  # type: ignore[arg-type]
        return put(path, data, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(bucket_store, "put", sent_twice)
        lease = taken(bucket_store, "first", LONG)
    lease.ensure()
    assert isinstance(take(bucket_store, "second", LONG), Busy)
    lease.release()


@pytest.mark.s3
def test_something_else_in_the_place_of_the_lease_is_not_overwritten(bucket_store: ObjectStore) -> None:
    bucket_store.put("_lease.json", b"my shopping list")
    with pytest.raises(StoreError, match=r"not a lease.*delete it"):
        take(bucket_store, "first", LONG)
    assert bucket_store.get("_lease.json") == b"my shopping list"


@pytest.mark.s3
@pytest.mark.kill
def test_a_killed_writer_of_a_bucket_is_replaced_when_its_lease_expires(s3_bucket: S3Bucket) -> None:
    lake = Lake.open(s3_bucket.url, options=s3_bucket.options)
    with writing_elsewhere(lake.url, s3_bucket.server.environment, expiry=3):
        time.sleep(0.3)
        with pytest.raises(LakeBusy, match=r"the nightly run.*expires at"), lake.writer("me"):
            pass
    with pytest.raises(LakeBusy), lake.writer("me"):
        pass
    with lake.writer("me", wait=dt.timedelta(seconds=20)):
        check_after_a_kill(lake)
