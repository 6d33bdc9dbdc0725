"""Which files are read, in which form and order."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from duckdb import DuckDBPyConnection

from focus_assets.cloudevents import CloudEventsSource, EventFilesUnreadable, lines
from focus_assets.cloudevents.file_days import FileDays
from focus_assets.cloudevents.files import list_event_files
from focus_assets.lake.store import open_store
from focus_assets_tests.cloudevents.opening import COUNT, DAY, Settings, event, read_day, total, write_lines
from focus_assets_tests.s3_server import S3Bucket

FORMS = ["a.ndjson", "a.jsonl", "a.json", "A.NDJSON", "deep/er/a.ndjson", "2026-08-15T10.30.events.json"]
COMPRESSIONS = {
    "": lambda raw: raw,
    ".gz": gzip.compress,
    ".zst": lambda raw: pa.compress(raw, "zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_usage(
    name: str, suffix: str, connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    events = [event(str(i), data={"tokens": i, "model": f"m{i % 3}"}) for i in range(100)]
    text = json.dumps(events) if name.endswith(".json") else "".join(f"{json.dumps(e)}\n" for e in events)
    path = tmp_path / f"{name}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(COMPRESSIONS[suffix](text.encode()))
    found = read_day(connection, tmp_path)
    assert found.counts["metered"] == 100
    assert total(found) == sum(range(100))


def test_a_json_file_may_hold_one_event(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(f" \n{json.dumps(event(), indent=2)}\n ", "utf-8")
    assert read_day(connection, tmp_path).counts["metered"] == 1


def test_a_batch_may_be_empty(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[ ]", "utf-8")
    (tmp_path / "b.json").write_text(" \n", "utf-8")
    found = read_day(connection, tmp_path)
    assert found.counts["read"] == 0


def test_several_gzip_members_are_one_file(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    members = [gzip.compress(f"{json.dumps(event(str(i)))}\n".encode()) for i in range(3)]
    (tmp_path / "a.ndjson.gz").write_bytes(b"".join(members))
    assert read_day(connection, tmp_path).counts["metered"] == 3


def test_files_are_listed_by_path_and_others_counted(tmp_path: Path) -> None:
    for name in (
        "b.ndjson",
        "a/z.json.gz",
        "a.jsonl.zst",
        "a/b.ndjson",
        "README.md",
        ".half.ndjson",
        "c.csv",
        "d.gz",
    ):
        write_lines(tmp_path / name, [])
    write_lines(tmp_path / ".git" / "e.json", [])
    listing = list_event_files(open_store(str(tmp_path)))
    assert [file.path for file in listing.files] == ["a.jsonl.zst", "a/b.ndjson", "a/z.json.gz", "b.ndjson"]
    assert listing.ignored == 5


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n\n", "\n \t\n"])
def test_line_ends_and_blank_lines_change_nothing(
    end: str, connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    text = end.join([json.dumps(event("1")), json.dumps(event("2")), json.dumps(event("3"))])
    (tmp_path / "a.ndjson").write_bytes(text.encode())
    found = read_day(connection, tmp_path)
    assert (found.counts["metered"], found.counts["quarantined"]) == (3, 0)


@pytest.mark.parametrize("block", [1, 7, 100, 1_000])
def test_lines_keep_their_numbers_wherever_a_block_ends(
    block: int, connection: DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", block)
    monkeypatch.setattr(lines, "MAX_EVENT_BYTES", 250)
    written = [
        "{",
        *(json.dumps(event(str(i), subject="é" * i)) for i in range(1, 5)),
        "",
        json.dumps(event("x" * 300)),
        "}",
    ]
    (tmp_path / "a.ndjson").write_bytes(b"\xef\xbb\xbf" + "\n".join(written).encode())
    found = read_day(connection, tmp_path)
    assert found.quarantined["line"].to_list() == [1, 7, 8]
    assert "longer than" in found.quarantined["reason"][1]
    assert found.counts["metered"] == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_an_error_and_no_quarantine_row(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    write_lines(tmp_path / "a.ndjson", [event()]).chmod(0)
    with pytest.raises(EventFilesUnreadable, match=r"'a.ndjson'.*Nothing was written"):
        read_day(connection, tmp_path)


def test_a_dangling_link_is_an_error_that_names_it(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").symlink_to(tmp_path / "gone")
    with pytest.raises(EventFilesUnreadable, match=r"a\.ndjson.*Nothing was written"):
        read_day(connection, tmp_path)


def test_files_of_a_bucket_are_read_like_those_of_a_folder(
    connection: DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket is a folder that says it is not one; buckets themselves are tested with the lake."""
    write_lines(tmp_path / "a" / "b.ndjson", [event("1"), "{"])
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(json.dumps([event("2"), event("3")]).encode()))
    (tmp_path / "d.txt").touch()
    in_folder = read_day(connection, tmp_path)
    store = open_store(str(tmp_path))
    monkeypatch.setattr(type(store), "local_root", None)
    listing = list_event_files(store)
    assert ([file.path for file in listing.files], listing.ignored) == (["a/b.ndjson", "c.json.gz"], 1)
    in_bucket = read_day(connection, tmp_path)
    assert in_bucket.raw.equals(in_folder.raw)
    assert in_bucket.quarantined.equals(in_folder.quarantined)
    assert in_bucket.counts == in_folder.counts


@pytest.mark.s3
def test_a_real_bucket_of_every_form_is_metered_and_its_versions_tell_what_changed(
    connection: DuckDBPyConnection, s3_bucket: S3Bucket
) -> None:
    store = open_store(f"{s3_bucket.url}/events", s3_bucket.options)
    line = "".join(f"{json.dumps(event(str(n)))}\n" for n in range(3)).encode()
    batch = json.dumps([event(str(n)) for n in range(3, 5)]).encode()
    for path, data in {
        "2026/08/15/a.ndjson": line,
        "b.ndjson.gz": gzip.compress(line),
        "c.json": batch,
        "c.json.gz": gzip.compress(batch),
        "d.jsonl.zst": pa.compress(line, "zstd", asbytes=True),
        "e.txt": b"",
    }.items():
        store.put(path, data)
    source = CloudEventsSource(Settings(store.url, lookback_days=0), connection, store)
    with source.open([DAY], [COUNT], undated_day=DAY) as opened:
        assert (opened.counts(DAY)["metered"], opened.counts(DAY)["duplicates"]) == (5, 8)
        later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        known = FileDays(DAY, {}).with_read(opened.listing.files, opened.days_read, later)
    store.put("c.json", json.dumps([event("new"), event("newer")]).encode())
    listing = list_event_files(store).files
    assert [file.path for file in listing if known.of(file) is None] == ["c.json"]
    with source.open([DAY + dt.timedelta(days=1)], [COUNT], undated_day=DAY, known=known) as opened:
        assert set(opened.days_read) == {"c.json"}, "nothing else is new, or of that day"
