"""What is no event becomes a quarantine row with its reason; what is odd but an event is metered."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from duckdb import DuckDBPyConnection

from focus_assets.cloudevents import CloudEventsSource, EventFilesUnreadable, ingest, lines
from focus_assets_tests.cloudevents.opening import (
    COUNT,
    DAY,
    Settings,
    event,
    read,
    read_day,
    total,
    write_lines,
)

GOOD = json.dumps(event("good"))

REFUSED: dict[str, tuple[bytes | dict[str, Any], str]] = {
    "a broken object": (b'{"id": ', "not JSON"),
    "an array": (b"[1, 2]", "json type array"),
    "a batch on a line": (f"[{GOOD}]".encode(), "json type array"),
    "a number": (b"17", "json type"),
    "a text": (b'"event"', "json type varchar"),
    "null": (b"null", "json type null"),
    "an empty object": (b"{}", "id is missing"),
    "two objects": (f"{GOOD} {GOOD}".encode(), "not JSON"),
    "two objects and a carriage return": (f"{GOOD}\r{GOOD}".encode(), "not JSON"),
    "comma separated values": (b"id,source,type", "not JSON"),
    "single quotes": (b"{'id': 'x'}", "not JSON"),
    "a comment": (b'{"id": "x"} // x', "not JSON"),
    "half a surrogate pair": (json.dumps(event(subject="\ud800")).encode(), "not JSON"),
    "a raw control character": (GOOD.replace("acme", "ac\x01me").encode(), "not JSON"),
    "not UTF-8": (GOOD.replace("acme", "acm\xe9").encode("latin-1"), "not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "not UTF-8"),
    "deep nesting without an end": (b'{"data":' + b"[" * 100_000, "not JSON"),
    "no id": (event(id=...), "id is missing"),
    "a null id": (event(id=None), "id is missing"),
    "an empty id": (event(id=""), "id is empty"),
    "a number as id": (event(id=7), "id is not a text"),
    "an object as id": (event(id={}), "id is not a text"),
    "no source": (event(source=...), "source is missing"),
    "an empty source": (event(source=""), "source is empty"),
    "no type": (event(type=...), "type is missing"),
    "a list as type": (event(type=["request"]), "type is not a text"),
    "no subject": (event(subject=...), "subject is missing"),
    "a null subject": (event(subject=None), "subject is missing"),
    "an empty subject": (event(subject=""), "subject is empty"),
    "no specversion": (event(specversion=...), "specversion is missing"),
    "an old specversion": (event(specversion="0.3"), "only 1.0"),
    "a number as specversion": (event(specversion=1.0), "specversion is not a text"),
    "a text as data": (event(data="tokens"), "data is not an object"),
    "a list as data": (event(data=[1]), "data is not an object"),
    "a number as data": (event(data=1), "data is not an object"),
    "no time": (event(time=...), "time is missing"),
    "a null time": (event(time=None), "time is missing"),
    "an empty time": (event(time=""), "RFC 3339"),
    "seconds as time": (event(time=1786790000), "time is not a text"),
    "a time without zone": (event(time="2026-08-15T10:30:00"), "RFC 3339"),
    "a date": (event(time="2026-08-15"), "RFC 3339"),
    "a blank for the T": (event(time="2026-08-15 10:30:00Z"), "RFC 3339"),
    "the 30th of February": (event(time="2026-02-30T10:30:00Z"), "RFC 3339"),
    "hour 24": (event(time="2026-08-15T24:00:00Z"), "RFC 3339"),
    "a leap second": (event(time="2026-08-15T23:59:60Z"), "RFC 3339"),
    "a zone without colon": (event(time="2026-08-15T10:30:00+0200"), "RFC 3339"),
    "a zone by name": (event(time="2026-08-15T10:30:00 Europe/Berlin"), "RFC 3339"),
    "yesterday": (event(time="yesterday"), "RFC 3339"),
    "a value of 19 digits": (event(data={"tokens": 10**18}), "too large"),
    "a negative value of 19 digits": (event(data={"tokens": -(10**18)}), "too large"),
    "a value beyond float": (GOOD.replace(": 1}", ": 1e400}").encode(), "too large"),
    "a long value": (GOOD.replace(": 1}", f": {'9' * 5000}}}").encode(), "too large"),
    "a text of a value too large": (event(data={"tokens": "1e30"}), "too large"),
    "a line beyond 16 MiB": (event(data={"x": "y" * (17 * 1024 * 1024)}), "longer than 16 MiB"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_event_is_quarantined_with_its_line_and_reason(
    what: str, connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    written, reason = REFUSED[what]
    line = written if isinstance(written, bytes) else json.dumps(written).encode()
    (tmp_path / "a.ndjson").write_bytes(f"{GOOD}\n\n".encode() + line + b"\n")
    days = [DAY, dt.date(2026, 2, 28)]
    found = read(connection, tmp_path, days)
    rows = pl.concat(d.quarantined for d in found.values()).to_dicts()
    assert [(row["file"], row["line"]) for row in rows] in (
        [("a.ndjson", 3)],
        [("a.ndjson", 3), ("a.ndjson", 4)],
    )
    assert reason.lower() in rows[0]["reason"].lower()
    assert len(rows[0]["event"]) <= 1000
    assert rows[0]["event"][:5] == line.decode(errors="replace")[:5]
    assert sum(d.counts["quarantined"] for d in found.values()) == len(rows)
    assert found[DAY].counts["metered"] == 1
    assert total(found[DAY], "requests") == 1


ACCEPTED: dict[str, str] = {
    "no data": json.dumps(event(data=...)),
    "null data": json.dumps(event(data=None)),
    "empty data": json.dumps(event(data={})),
    "a carriage return at the end": f"{json.dumps(event())}\r",
    "blanks around": f"  {json.dumps(event())}\t",
    "extension attributes": json.dumps(event(traceparent="x", dataschema=None)),
    "a lower case t and z": json.dumps(event(time="2026-08-15t10:30:00z")),
    "nanoseconds": json.dumps(event(time="2026-08-15T10:30:00.123456789Z")),
    "an offset": json.dumps(event(time="2026-08-16T01:30:00+05:30")),
    "deep nesting": json.dumps(event()).replace('"tokens": 1', '"x": ' + "[" * 50_000 + "]" * 50_000),
    "names and texts in every script": json.dumps(
        event(subject="顧客 🦆 \u0000", source="ü"), ensure_ascii=False
    ),
    "a value that is no number": json.dumps(event(data={"tokens": "many"})),
    "a value of 18 digits": json.dumps(event(data={"tokens": 10**18 - 1})),
    "NaN": json.dumps(event(data={"tokens": float("nan")})),
    "a long number nobody meters": json.dumps(event(data={"other": 10**40})),
    "a year of long ago": json.dumps(event("other", time="0001-01-01T00:00:00Z")),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_an_odd_event_is_an_event(what: str, connection: DuckDBPyConnection, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.ndjson", [ACCEPTED[what], json.dumps(event("second"))])
    found = read_day(connection, tmp_path)
    assert found.quarantined.is_empty()
    assert total(found, "requests") == (1 if "long ago" in what else 2)


def test_of_a_name_that_stands_twice_the_first_counts(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    twice = json.dumps(event()).replace('"tokens": 1', '"tokens": 5, "tokens": 7')
    write_lines(tmp_path / "a.ndjson", [twice])
    assert total(read_day(connection, tmp_path)) == 5


def test_a_byte_order_mark_is_no_part_of_the_first_event(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    (tmp_path / "b.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(event("b")).encode())
    found = read_day(connection, tmp_path)
    assert (found.counts["metered"], found.counts["quarantined"]) == (2, 0)


def _half_gzip(path: Path) -> None:
    whole = gzip.compress("".join(f"{json.dumps(event(str(i)))}\n" for i in range(50_000)).encode())
    path.write_bytes(whole[: len(whole) // 2])


def _half_zstd(path: Path) -> None:
    text = "".join(f"{json.dumps(event(str(i)))}\n" for i in range(50_000)).encode()
    whole = bytes(pa.compress(text, codec="zstd", asbytes=True))
    path.write_bytes(whole[: len(whole) // 2])


DEFECTIVE_FILES = {
    "half a gzip": ("2026-08-15.ndjson.gz", _half_gzip),
    "half a zstd": ("2026-08-15.ndjson.zst", _half_zstd),
    "no gzip": ("2026-08-15.ndjson.gz", lambda path: path.write_bytes(GOOD.encode())),
    "no zstd": ("2026-08-15.jsonl.zst", lambda path: path.write_bytes(GOOD.encode())),
    "an empty gzip": ("2026-08-15.ndjson.gz", lambda path: path.write_bytes(b"")),
    "an empty zstd": ("2026-08-15.ndjson.zst", lambda path: path.write_bytes(b"")),
    "a gzip with a tail": (
        "2026-08-15.ndjson.gz",
        lambda path: path.write_bytes(gzip.compress(GOOD.encode()) + b"tail"),
    ),
    "a batch cut short": ("2026/08/15/a.json", lambda path: path.write_text(f"[{GOOD}, {GOOD}, {{", "utf-8")),
    "a batch without end": ("2026/08/15/a.json", lambda path: path.write_text(f"[{GOOD}", "utf-8")),
    "a batch without commas": (
        "2026/08/15/a.json",
        lambda path: path.write_text(f"[{GOOD} {GOOD}]", "utf-8"),
    ),
    "a batch with one comma more": ("2026/08/15/a.json", lambda path: path.write_text(f"[{GOOD},]", "utf-8")),
    "lines in a .json": ("2026/08/15/a.json", lambda path: path.write_text(f"{GOOD}\n{GOOD}\n", "utf-8")),
    "a batch not in UTF-8": ("2026/08/15/a.json", lambda path: path.write_bytes(GOOD.encode() + b"\xff")),
    "a batch nested too deeply": ("2026/08/15/a.json", lambda path: path.write_text("[" * 100_000, "utf-8")),
}


@pytest.mark.parametrize("what", DEFECTIVE_FILES)
def test_a_file_that_cannot_be_read_to_its_end_counts_for_nothing(
    what: str, connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    name, write = DEFECTIVE_FILES[what]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path)
    write_lines(tmp_path / "z.ndjson", [event("other file")])
    found = read_day(connection, tmp_path)
    assert found.quarantined["file"].to_list() == [name]
    assert "whole file is refused" in found.quarantined["reason"].item()
    assert found.counts["metered"] == 1


def test_an_element_of_a_batch_is_quarantined_by_its_position(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(
        json.dumps([event("1"), event("2", time="never"), event("3"), 7]), "utf-8"
    )
    found = read_day(connection, tmp_path)
    assert found.quarantined["line"].to_list() == [2, 4]
    assert found.counts["metered"] == 2


def test_a_quarantined_event_belongs_to_the_day_of_its_own_time(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    write_lines(tmp_path / "a.ndjson", [event("1"), event(id=..., time="2026-08-16T23:00:00-05:00")])
    days = [dt.date(2026, 8, d) for d in (15, 16, 17)]
    found = read(connection, tmp_path, days)
    assert [found[day].counts["quarantined"] for day in days] == [0, 0, 1]
    assert found[days[2]].quarantined["charge_date"].item() == days[2]


def test_an_undated_quarantined_event_belongs_to_the_earliest_day_of_its_file(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    write_lines(
        tmp_path / "a.ndjson",
        ["{", event("1", time="2026-08-17T00:00:00Z"), event("2", time="2026-08-16T00:00:00Z")],
    )
    days = [dt.date(2026, 8, d) for d in (15, 16, 17)]
    found = read(connection, tmp_path, days)
    assert [found[day].counts["quarantined"] for day in days] == [0, 1, 0]


def test_a_quarantined_file_without_any_date_goes_to_the_day_asked_for(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    write_lines(tmp_path / "a.ndjson", ["{"])
    start, day = dt.date(2026, 8, 1), DAY
    source = CloudEventsSource(Settings(str(tmp_path)), connection)
    with source.open([day], [COUNT]) as metered:
        assert metered.counts(day)["quarantined"] == 1
    with source.open([day], [COUNT], undated_day=start) as metered:
        assert metered.counts(day)["quarantined"] == 0
        assert metered.counts(start)["quarantined"] == 1


def test_every_event_read_is_counted_once(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    write_lines(
        tmp_path / "a.ndjson",
        [event("1"), event("1"), event("2", type="nobody meters"), "{", event("3", time="?"), event("4")],
    )
    assert read_day(connection, tmp_path).counts == {
        "read": 6,
        "metered": 2,
        "unmetered": 1,
        "duplicates": 1,
        "quarantined": 2,
    }


def test_a_missing_folder_is_an_error_that_says_what_is_needed(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    with pytest.raises(
        EventFilesUnreadable, match=r"absent.*set source\.cloudevents\.url.*Nothing was written"
    ):
        read(connection, tmp_path / "absent")


def test_a_folder_without_events_gives_empty_days(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "empty.ndjson").touch()
    found = read_day(connection, tmp_path)
    assert found.raw.is_empty()
    assert found.quarantined.is_empty()
    assert found.counts["read"] == 0


@pytest.mark.parametrize("write", [_half_gzip, _half_zstd])
def test_events_read_before_a_defect_are_taken_back_and_say_which_day_it_concerns(
    write: Any, connection: DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 100_000)
    monkeypatch.setattr(ingest, "_INSERT_ROWS", 1)
    write(tmp_path / ("events.ndjson.gz" if write is _half_gzip else "events.ndjson.zst"))
    found = read(connection, tmp_path, [DAY - dt.timedelta(days=1), DAY])
    assert found[DAY].counts["metered"] == 0
    assert found[DAY].counts["quarantined"] == 1
    assert found[DAY].quarantined["line"].item() > 1000
    assert found[DAY].raw.is_empty()


VERSIONS = {
    "a number": '{"specversion":1.0,%s,"data":{"tokens":1,"model":"m"}}',
    "a number, and a text of that name within the data": (
        '{"specversion":1.0,%s,"data":{"tokens":1,"model":"m","specversion":"1.0"}}'
    ),
    "within the data only": '{%s,"data":{"tokens":1,"model":"m","specversion":"1.0"}}',
    "a number under an escaped name": (
        '{"\\u0073pecversion":1.0,%s,"data":{"tokens":1,"model":"m","specversion":"1.0"}}'
    ),
    "a number first and a text later": '{"specversion":1.0,%s,"specversion":"1.0","data":{"tokens":1,"model":"m"}}',
}


@pytest.mark.parametrize("what", VERSIONS)
def test_a_version_that_only_looks_like_the_text_is_refused(
    what: str, connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    rest = json.dumps(event(specversion=..., data=...))[1:-1]
    write_lines(tmp_path / "a.ndjson", [VERSIONS[what] % rest])
    found = read_day(connection, tmp_path)
    assert found.quarantined["reason"].item().startswith("specversion is ")


PROPERTIES = {
    "5": {"model": "5"},
    "1.0": {"model": "1.0"},
    "1": {"model": 1.0},
    "true": {"model": True},
    "[]": {"model": "[]"},
    "": {"model": []},
    "null": {"model": None},
    "null ": {"model": "null "},
    "\u0001": {"model": "\u0001"},
}


@pytest.mark.parametrize("text", PROPERTIES)
def test_a_dimension_is_what_openmeter_makes_of_it_whatever_it_looks_like(
    text: str, connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    write_lines(tmp_path / "a.ndjson", [event(data={"tokens": 1} | PROPERTIES[text])])
    rows = read_day(connection, tmp_path).raw.filter(pl.col("meter") == "tokens")
    assert json.loads(rows["dimensions"].item()) == {"model": text}
