"""The texts of a file's events, each with its line, whatever the compression, line ends and encoding.

What belongs here: bytes to texts. What does not: what a text means (``envelope``). A file is read in blocks
of bounded size, so memory does not grow with the file, except for ``.json`` documents, which are read whole.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, cast

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from focus_assets.cloudevents.errors import EventFilesUnreadable
from focus_assets.cloudevents.files import Compression, EventFile, Form

BLOCK_BYTES: Final = 8 * 1024 * 1024
MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
_LEAD: Final = 64 * 1024
"""Place before a block for the beginning of its first line."""
EXCERPT_CHARACTERS: Final = 1_000

LINES_PER_FILE: Final = 2**40
"""``seq`` is file number × this + line: one number that orders events by (file path, line)."""

_BOM = b"\xef\xbb\xbf"
_JSON_SPACE = " \t\r\n"
_SCHEMA = pa.schema([("line", pa.int64()), ("event", pa.string()), ("defect", pa.string())])


class UnreadableFile(Exception):
    """A file that cannot be read to its end; ``line`` is where reading stopped, from 1."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        super().__init__(reason)


def read_lines(file: EventFile) -> Iterator[pa.Table]:
    """The file's events as tables of ``line`` Int64, ``event`` String and ``defect`` String or null.

    ``defect`` says why a text is no event text at all: it is not UTF-8, or longer than 16 MiB. Blank lines give no
    row. Raises UnreadableFile where the content cannot be read to its end; what came before is then to be
    discarded. Raises EventFilesUnreadable and StoreError where the file itself cannot be read.
    """
    with file.on_disk() as local:
        yield from (_documents if file.form is Form.DOCUMENT else _lines)(file, local)


def _room() -> bytearray:
    """Where a file's blocks are read to, one after the other: a new place for each costs more than reading it."""
    return bytearray(_LEAD + BLOCK_BYTES)


def _blocks(file: EventFile, local: Path, room: bytearray, line: list[int]) -> Iterator[int]:
    """Read decompressed blocks to ``room`` from ``_LEAD`` on; gives where each ends.

    ``line[0]`` is the line being read, for the message where reading fails.
    """
    if file.compression and not file.size:
        raise UnreadableFile(1, f"the file is empty, without even a {file.compression} header")
    try:
        # Blocks are large: a buffer in between costs as much again as reading them.
        with local.open("rb", buffering=0) as stored, memoryview(room)[_LEAD:] as block:
            try:
                with _decompressed(stored, file.compression) as stream:
                    while count := stream.readinto(block):
                        yield _LEAD + count
            except (OSError, EOFError, zlib.error) as error:
                if not file.compression:
                    raise
                what = f"the {file.compression} data is damaged or cut short: {_first_line(error)}"
                raise UnreadableFile(line[0], what) from error
    except OSError as error:
        raise EventFilesUnreadable(
            f"event file {file.path!r} of {file.store.url} cannot be read: {error.strerror or error}. Make it readable "
            "or take it out of the folder. Nothing was written."
        ) from error


def _decompressed(stored: io.RawIOBase, compression: Compression) -> io.RawIOBase:
    if compression is Compression.GZIP:
        return cast("io.RawIOBase", gzip.GzipFile(fileobj=cast("IO[bytes]", stored)))
    if compression is Compression.ZSTD:
        return cast("io.RawIOBase", pa.CompressedInputStream(stored, "zstd"))
    return stored


def _lines(file: EventFile, local: Path) -> Iterator[pa.Table]:
    line = [1]
    rest, skipping = b"", False
    room = _room()
    for end in _blocks(file, local, room, line):
        start = _LEAD
        if skipping:
            start = room.find(b"\n", _LEAD, end) + 1
            if not start:
                continue
            skipping = False
            line[0] += 1
        cut = room.rfind(b"\n", start, end)
        if cut >= 0:
            yield from _split(_joined(rest, room, start, cut), line)
            rest = bytes(room[cut + 1 : end])
        else:
            rest += room[start:end]
        if len(rest) > MAX_EVENT_BYTES:
            yield _row(line[0], rest, _TOO_LONG)
            rest, skipping = b"", True
    if rest:
        yield from _split(rest, line)


def _joined(rest: bytes, room: bytearray, start: int, end: int) -> memoryview:
    """``rest`` and the bytes of ``room`` after it, without a copy where there is place for it before them."""
    if len(rest) > start:
        return memoryview(rest + room[start:end])
    room[start - len(rest) : start] = rest
    return memoryview(room)[start - len(rest) : end]


_TOO_LONG = f"the line is longer than {MAX_EVENT_BYTES // 1024 // 1024} MiB, the most an event may have"


def _split(block: bytes | memoryview, line: list[int]) -> Iterator[pa.Table]:
    """One table per block of whole lines, which holds a copy of them; moves ``line`` past them."""
    if line[0] == 1 and block[: len(_BOM)] == _BOM:
        block = block[len(_BOM) :]
    whole = pa.Array.from_buffers(
        pa.binary(), 1, [None, pa.py_buffer(struct.pack("=2i", 0, len(block))), pa.py_buffer(block)]
    )
    pieces = pc.split_pattern(whole, b"\n").values
    first = line[0]
    line[0] += len(pieces)
    numbers = pl.int_range(first, line[0], dtype=pl.Int64, eager=True).to_arrow()
    if len(block) > MAX_EVENT_BYTES and pc.max(pc.binary_length(pieces)).as_py() > MAX_EVENT_BYTES:
        yield from (
            _guarded(number, text)
            for number, text in zip(numbers.to_pylist(), pieces.to_pylist(), strict=True)
        )
        return
    try:
        texts = pieces.cast(pa.string())
    except pa.ArrowInvalid:
        yield from (
            _guarded(number, text)
            for number, text in zip(numbers.to_pylist(), pieces.to_pylist(), strict=True)
        )
        return
    table = pa.table(
        {"line": numbers, "event": texts, "defect": pa.nulls(len(pieces), pa.string())}, schema=_SCHEMA
    )
    # To trim is to copy, and nearly every line of every file begins an object.
    if not pc.all(pc.starts_with(texts, "{")).as_py():
        table = table.filter(pc.not_equal(pc.ascii_trim(texts, _JSON_SPACE), ""))
    yield table


def _guarded(line: int, text: bytes) -> pa.Table:
    if len(text) > MAX_EVENT_BYTES:
        return _row(line, text, _TOO_LONG)
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        return _row(line, text, f"the line is not UTF-8 at byte {error.start + 1}")
    return _table([(line, decoded, None)] if decoded.strip(_JSON_SPACE) else [])


def _row(line: int, text: bytes, defect: str) -> pa.Table:
    return _table([(line, text[: 4 * EXCERPT_CHARACTERS].decode(errors="replace"), defect)])


def _table(rows: list[tuple[int, str, str | None]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(_SCHEMA.names, row, strict=True)) for row in rows], schema=_SCHEMA)


def _documents(file: EventFile, local: Path) -> Iterator[pa.Table]:
    """A ``.json`` file: its one event, or each event of its array with the event's own text and position."""
    whole = io.BytesIO()
    room = _room()
    for end in _blocks(file, local, room, [1]):
        whole.write(memoryview(room)[_LEAD:end])
    try:
        text = whole.getvalue().removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        raise UnreadableFile(1, f"the file is not UTF-8 at byte {error.start + 1}") from error
    start = _skip(text, 0)
    if start == len(text):
        return
    rows: list[tuple[int, str, str | None]] = []
    at = _elements(text, start + 1, rows) if text[start] == "[" else _element(text, start, rows)
    if _skip(text, at) != len(text):
        raise UnreadableFile(
            len(rows) + 1,
            f"more follows the JSON value at character {_skip(text, at) + 1}; a .json file holds one event "
            "or one array of events, files with one event a line are named .ndjson or .jsonl",
        )
    yield _table(rows)


def _elements(text: str, at: int, rows: list[tuple[int, str, str | None]]) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == "]":
        return at + 1
    while True:
        at = _skip(text, _element(text, _skip(text, at), rows))
        if text[at : at + 1] == "]":
            return at + 1
        if text[at : at + 1] != ",":
            raise UnreadableFile(
                len(rows) + 1, f"the JSON array is broken at character {at + 1}: expected , or ]"
            )
        at += 1


def _element(text: str, at: int, rows: list[tuple[int, str, str | None]]) -> int:
    try:
        _, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise UnreadableFile(
            len(rows) + 1, f"the JSON is broken at character {error.pos + 1}: {error.msg}"
        ) from error
    except RecursionError as error:
        raise UnreadableFile(len(rows) + 1, "the JSON is nested too deeply") from error
    long = len(text[at:end].encode()) > MAX_EVENT_BYTES if end - at > MAX_EVENT_BYTES // 4 else False
    rows.append(
        (
            len(rows) + 1,
            text[at : at + EXCERPT_CHARACTERS] if long else text[at:end],
            _TOO_LONG if long else None,
        )
    )
    return end


def _as_written(number: str) -> Any:
    """Numbers stay texts: nothing is computed here, and Python refuses integers of more than 4,300 digits."""
    return number


_DECODER = json.JSONDecoder(parse_float=_as_written, parse_int=_as_written, parse_constant=_as_written)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _JSON_SPACE:
        at += 1
    return at


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
