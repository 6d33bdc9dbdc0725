from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from focus_assets.lake import (
    CorruptPartition,
    Lake,
    LeaseLost,
    MissingPartitions,
    PartitionRecord,
    StoreError,
)
from focus_assets.lake import copies as copies_module

DAY = dt.date(2026, 8, 3)


def frame(*values: int) -> pl.LazyFrame:
    return pl.LazyFrame({"value": values}, schema={"value": pl.Int64})


def values(lake: Lake, *days: dt.date, dataset: str = "usage") -> list[int]:
    return lake.scan(dataset, days).collect()["value"].to_list()


def later(days: int) -> dt.date:
    return DAY + dt.timedelta(days=days)


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("copies", "partitions"):
        monkeypatch.setattr(f"focus_assets.lake.{module}.PAUSES", (0.01,))


def test_what_is_written_is_read_back_by_another_reader(lake: Lake, open_lake: Callable[[], Lake]) -> None:
    record = lake.write("usage", DAY, frame(3, 1, 2))
    other = open_lake()
    assert values(other, DAY) == [3, 1, 2]
    assert other.record("usage", DAY) == record
    assert (record.rows, record.dataset, record.day) == (3, "usage", DAY)
    assert lake.path("usage", DAY) == "usage/charge_date=2026-08-03/part-0.parquet"
    info = other.store.head(lake.path("usage", DAY))
    assert info is not None
    assert info.size == record.bytes


def test_a_lake_shows_nothing_but_its_partitions_and_its_lease(lake: Lake) -> None:
    lake.write("usage", DAY, frame(1))
    assert {info.path for info in lake.store.list()} - {"_lease.json"} == {
        "usage/charge_date=2026-08-03/_record.json",
        "usage/charge_date=2026-08-03/part-0.parquet",
    }


def test_the_record_holds_inputs_and_facts_but_nothing_that_varies(lake: Lake) -> None:
    def facts(written: pl.LazyFrame) -> dict[str, object]:
        return {"sum": str(written.select(pl.col("value").sum()).collect().item()), "months": ("2026-08",)}

    record = lake.write(
        "focus", DAY, frame(1, 2), inputs={"usage/2026-08-03": "b", "source/x": "a"}, facts=facts
    )
    assert record.facts == {"sum": "3", "months": ["2026-08"]}
    stored = lake.store.get("focus/charge_date=2026-08-03/_record.json")
    assert PartitionRecord.from_json(stored) == record
    assert list(json.loads(stored)) == ["bytes", "dataset", "day", "facts", "inputs", "rows", "sha256"]
    assert list(record.inputs) == ["source/x", "usage/2026-08-03"]


def test_facts_that_json_cannot_hold_exactly_stop_the_write(lake: Lake) -> None:
    with pytest.raises(TypeError):
        lake.write("usage", DAY, frame(1), facts=lambda _: {"cost": Decimal("0.1")})
    assert lake.days("usage") == []
    assert not lake.store.exists(lake.path("usage", DAY))


def test_an_empty_day_is_a_file_with_the_full_schema(lake: Lake) -> None:
    assert lake.write("usage", DAY, frame()).rows == 0
    assert lake.scan("usage", [DAY]).collect().schema == {"value": pl.Int64}


def test_days_come_back_in_order_each_once(lake: Lake) -> None:
    for day in (later(2), DAY, later(1)):
        lake.write("usage", day, frame(day.day))
    lake.write("usage_totals", later(9), frame(0))
    assert lake.days("usage") == [DAY, later(1), later(2)]
    assert values(lake, later(2), DAY, later(2)) == [3, 5]
    assert lake.days("nothing") == []


def test_days_that_are_missing_are_all_named_in_ranges(lake: Lake) -> None:
    lake.write("usage", later(5), frame(1))
    wanted = [later(n) for n in (0, 1, 2, 3, 4, 5, 8)]
    with pytest.raises(
        MissingPartitions, match=r"usage .*2026-08-03 to 2026-08-07, 2026-08-11 in "
    ) as raised:
        lake.scan("usage", wanted)
    assert raised.value.dataset == "usage"
    assert raised.value.days == [later(n) for n in (0, 1, 2, 3, 4, 8)]


def test_a_scan_of_no_days_is_a_mistake_of_the_caller(lake: Lake) -> None:
    with pytest.raises(ValueError, match="no days of usage"):
        lake.scan("usage", [])


@pytest.mark.parametrize("dataset", ["../usage", "a/b", "", ".hidden", "/usage"])
def test_a_dataset_is_a_plain_name(lake: Lake, dataset: str) -> None:
    with pytest.raises(ValueError, match="no dataset name"):
        lake.write(dataset, DAY, frame(1))


def test_an_instant_is_not_a_day(lake: Lake) -> None:
    with pytest.raises(TypeError, match="not the instant"):
        lake.record("usage", dt.datetime(2026, 8, 3, 12, tzinfo=dt.UTC))


def test_the_same_content_leaves_the_files_untouched(lake: Lake) -> None:
    lake.write("usage", DAY, frame(1), inputs={"a/2026-08-03": "x"})
    before = stamps(lake)
    time.sleep(1.1 if lake.store.local_root is None else 0.05)
    lake.write("usage", DAY, frame(1), inputs={"a/2026-08-03": "x"})
    assert stamps(lake) == before
    lake.write("usage", DAY, frame(1), inputs={"a/2026-08-03": "y"})
    changed = {path for path, stamp in stamps(lake).items() if before[path] != stamp}
    assert changed == {"usage/charge_date=2026-08-03/_record.json"}


def stamps(lake: Lake) -> dict[str, dt.datetime]:
    return {info.path: info.last_modified for info in lake.store.list("usage")}


def test_a_failed_computation_leaves_the_old_partition_and_no_unfinished_file(lake: Lake) -> None:
    lake.write("usage", DAY, frame(1))
    broken = frame(1, 2).with_columns(pl.col("value").cast(pl.String) + "x").cast(pl.Int64)
    with pytest.raises(pl.exceptions.PolarsError):
        lake.write("usage", DAY, broken)
    assert values(lake, DAY) == [1]
    if lake.store.local_root is not None:
        assert list(lake.store.local_root.rglob("._tmp*")) == []


def test_a_plan_that_fails_does_not_bring_its_unfinished_file_back_later(tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path))
    broken = frame(1, 2).with_columns(pl.col("value").cast(pl.String) + "x").cast(pl.Int64)
    for _ in range(60):  # one in fifteen came back, a moment after the error
        with pytest.raises(pl.exceptions.PolarsError):
            lake.write("usage", DAY, broken)
        time.sleep(0.005)
    assert list(tmp_path.rglob("._tmp*")) == []


class Killed(BaseException):
    pass


def kill_before_the_record(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    put = lake.store.put

    def stop(path: str, data: bytes, **options: object) -> str:
        if path.endswith("_record.json"):
            raise Killed
        return put(path, data, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(lake.store, "put", stop)


@pytest.mark.parametrize("first", [True, False], ids=["first write", "rewrite"])
def test_a_writer_killed_between_file_and_record_is_noticed_and_mended_by_writing_again(
    lake: Lake, open_lake: Callable[[], Lake], monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    if not first:
        lake.write("usage", DAY, frame(1))
    with monkeypatch.context() as patch:
        kill_before_the_record(lake, patch)
        with pytest.raises(Killed):
            lake.write("usage", DAY, frame(2))
    with pytest.raises(CorruptPartition, match="Materialize usage of 2026-08-03 again") as raised:
        open_lake().scan("usage", [DAY])
    assert (raised.value.dataset, raised.value.day) == ("usage", DAY)
    open_lake().write("usage", DAY, frame(2))
    assert values(open_lake(), DAY) == [2]


def test_a_file_that_something_else_changed_is_never_read_and_mended_by_writing_again(
    lake: Lake, open_lake: Callable[[], Lake]
) -> None:
    lake.write("usage", DAY, frame(1))
    good = lake.store.get(lake.path("usage", DAY))
    lake.store.put(lake.path("usage", DAY), good[:-9] + bytes([good[-9] ^ 1]) + good[-8:])
    with pytest.raises(CorruptPartition, match="not the one its record describes"):
        open_lake().scan("usage", [DAY])
    open_lake().write("usage", DAY, frame(1))
    assert open_lake().store.get(lake.path("usage", DAY)) == good


def test_a_file_that_is_gone_is_noticed_even_where_a_copy_exists(lake: Lake) -> None:
    lake.write("usage", DAY, frame(1))
    assert values(lake, DAY) == [1]
    lake.store.delete(lake.path("usage", DAY))
    with pytest.raises(CorruptPartition):
        lake.scan("usage", [DAY])


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"dataset": "usage"}'])
def test_a_record_that_cannot_be_read_is_corruption_not_absence(lake: Lake, content: bytes) -> None:
    lake.write("usage", DAY, frame(1))
    lake.store.put("usage/charge_date=2026-08-03/_record.json", content)
    with pytest.raises(CorruptPartition, match="record is unreadable"):
        lake.scan("usage", [DAY])


def test_a_partition_copied_to_another_day_is_refused(lake: Lake) -> None:
    lake.write("usage", DAY, frame(1))
    for name in ("part-0.parquet", "_record.json"):
        copied = lake.store.get(f"usage/charge_date=2026-08-03/{name}")
        lake.store.put(f"usage/charge_date=2026-08-04/{name}", copied)
    with pytest.raises(CorruptPartition, match="that of usage/2026-08-03"):
        lake.scan("usage", [later(1)])


def test_a_proof_of_a_file_does_not_outlive_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies_module, "_SETTLED", -1.0)
    lake = Lake.open(str(tmp_path))
    lake.write("usage", DAY, frame(1))
    assert values(lake, DAY) == [1]
    file = tmp_path / lake.path("usage", DAY)
    before, content = file.stat(), bytearray(file.read_bytes())
    content[10] ^= 1
    time.sleep(0.05)
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(CorruptPartition):
        lake.scan("usage", [DAY])


def test_a_reader_between_a_file_and_its_record_waits_for_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = Lake.open(str(tmp_path)), Lake.open(str(tmp_path))
    writer.write("usage", DAY, frame(1))
    with monkeypatch.context() as patch:
        kill_before_the_record(writer, patch)
        with pytest.raises(Killed):
            writer.write("usage", DAY, frame(2))
    monkeypatch.setattr("focus_assets.lake.copies.time.sleep", lambda _: writer.write("usage", DAY, frame(2)))
    assert values(reader, DAY) == [2]


def test_a_frame_outlives_the_lake_it_was_scanned_from(lake: Lake, open_lake: Callable[[], Lake]) -> None:
    lake.write("usage", DAY, frame(7))
    assert open_lake().scan("usage", [DAY]).collect()["value"].to_list() == [7]


def test_stale_inputs_are_found_through_inputs_that_are_themselves_unchanged(lake: Lake) -> None:
    raw = lake.write("raw", DAY, frame(1))
    totals = lake.write("totals", DAY, frame(10), inputs={"raw/2026-08-03": raw.sha256, "source/events": "x"})
    lake.write("focus", DAY, frame(100), inputs=lake.digests("totals", [DAY]))
    lake.write("focus", later(1), frame(200), inputs={"totals/2026-08-03": totals.sha256})
    assert lake.stale_inputs("focus", later(1)) == []

    lake.write("raw", DAY, frame(2))
    assert lake.stale_inputs("totals", DAY) == ["raw/2026-08-03"]
    assert lake.stale_inputs("focus", later(1)) == ["raw/2026-08-03"]

    lake.write("totals", DAY, frame(20), inputs=lake.digests("raw", [DAY]))
    assert lake.stale_inputs_of("focus", [DAY, later(1)]) == {
        DAY: ["totals/2026-08-03"],
        later(1): ["totals/2026-08-03"],
    }
    lake.write("focus", DAY, frame(100), inputs=lake.digests("totals", [DAY]))
    assert lake.stale_inputs("focus", DAY) == []


def test_an_input_that_is_gone_is_stale(lake: Lake) -> None:
    lake.write("focus", DAY, frame(1), inputs={"totals/2026-08-01": "x"})
    assert lake.stale_inputs("focus", DAY) == ["totals/2026-08-01"]
    with pytest.raises(MissingPartitions):
        lake.stale_inputs("focus", later(1))


def test_a_writer_that_lost_its_lease_replaces_nothing(lake: Lake) -> None:
    lake.write("usage", DAY, frame(1))
    with lake.writer("first"):
        if lake.store.local_root is not None:
            (lake.store.local_root / ".writer.lock").unlink()
        else:
            lake.store.put("_lease.json", b"another writer's")
        with pytest.raises(LeaseLost, match=r"nothing more was written|wrote nothing more"):
            lake.write("usage", DAY, frame(2))
    assert values(lake, DAY) == [1]


BYTES_OF_ONE_FRAME = """
import datetime as dt, sys
import polars as pl
from focus_assets.lake import Lake

rows = pl.LazyFrame({"n": pl.int_range(700_000, eager=True)}).with_columns(
    key=(pl.col("n") * 7919 % 1013).cast(pl.String), cost=(pl.col("n") % 977).cast(pl.Decimal(38, 18))
)
summed = rows.group_by("key", pl.col("n") // 2).agg(pl.col("cost").sum()).sort("key", "n")
print(Lake.open(sys.argv[1]).write("usage", dt.date(2026, 8, 3), summed).sha256)
"""


def test_equal_frames_are_equal_bytes_however_many_threads_compute_them(tmp_path: Path) -> None:
    digests = set()
    for threads in (1, 2, 5):
        done = subprocess.run(
            [sys.executable, "-c", BYTES_OF_ONE_FRAME, str(tmp_path / str(threads))],
            env=os.environ | {"POLARS_MAX_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    assert len(digests) == 1


def test_row_groups_and_statistics_let_readers_skip(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    lake = Lake.open(str(tmp_path))
    lake.write("usage", DAY, pl.LazyFrame({"value": pl.int_range(600_000, eager=True)}))
    metadata = pq.read_metadata(tmp_path / lake.path("usage", DAY))
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [
        250_000,
        250_000,
        100_000,
    ]
    column = metadata.row_group(1).column(0)
    assert (column.statistics.min, column.statistics.max) == (250_000, 499_999)
    assert column.compression == "ZSTD"


def test_a_file_where_the_lake_should_be_is_an_unreadable_lake_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("not a folder")
    lake = Lake.open(str(tmp_path / "lake"))
    for attempt in (
        lambda: lake.scan("usage", [DAY]),
        lambda: lake.days("usage"),
        lambda: lake.record("usage", DAY),
        lambda: lake.write("usage", DAY, frame(1)),
    ):
        with pytest.raises(StoreError, match="lake"):
            attempt()


def test_a_folder_without_permission_is_an_unreadable_lake_not_an_empty_one(tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path / "lake"))
    lake.write("usage", DAY, frame(1))
    (tmp_path / "lake").chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)  # permissions do not bind root
    try:
        for attempt in (
            lambda: lake.scan("usage", [DAY]),
            lambda: lake.days("usage"),
            lambda: lake.write("usage", DAY, frame(1)),
        ):
            with pytest.raises(StoreError, match=r"[Pp]ermission denied"):
                attempt()
    finally:
        if is_root:
            os.seteuid(0)
        (tmp_path / "lake").chmod(0o700)
