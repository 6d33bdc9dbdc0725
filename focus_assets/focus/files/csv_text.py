"""CSV, also packed with gzip, as a Parquet file whose columns are all text.

What belongs here: reading the notation and refusing what is damaged. What does not: what the texts say.
Converting once means that a file is parsed once, whatever is asked of it, and that its size does not matter.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path
from typing import Final

import polars as pl

from focus_assets.focus.files.errors import UnusableInput
from focus_assets.focus.files.places import FoundFile

_GZIP: Final = b"\x1f\x8b"
_PIECE: Final = 1 << 22
_LONGEST_HEADER: Final = 1 << 22
_ROW_GROUP: Final = 250_000
_QUOTE: Final = b'"'


def as_parquet(file: FoundFile, target: Path) -> Path:
    """Write the rows to ``target``, every column text; an empty cell is null, a quoted empty one is empty text.

    Raises:
        UnusableInput: empty, cut off, not UTF-8, a quote that is never closed, a row with more cells than there
            are columns, or two columns of one name.
    """
    plain = _unpacked(file, target.with_suffix(".csv"))
    header = _header(plain, file.name)
    _require_whole(plain, file.name, header)
    try:
        pl.scan_csv(plain, infer_schema=False, glob=False).sink_parquet(
            target, compression="lz4", row_group_size=_ROW_GROUP, statistics=True
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UnusableInput(f"{file.name} is no CSV that can be read: {_first_line(error)}.") from error
    finally:
        if plain != file.path:
            plain.unlink(missing_ok=True)
    return target


def _unpacked(file: FoundFile, target: Path) -> Path:
    with file.path.open("rb") as packed:
        if packed.read(2) != _GZIP:
            return file.path
    try:
        with gzip.open(file.path, "rb") as source, target.open("wb") as sink:
            while piece := source.read(_PIECE):
                sink.write(piece)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UnusableInput(f"{file.name} is a damaged gzip file: {error}. Fetch it again.") from error
    return target


def _header(plain: Path, name: str) -> list[str]:
    with plain.open("rb") as source:
        start = source.read(_LONGEST_HEADER)
    if not start.strip():
        raise UnusableInput(f"{name} is empty: there is no header with the names of columns.")
    if b"\0" in start:
        raise UnusableInput(f"{name} is neither CSV nor Parquet: it holds bytes that no text has.")
    try:
        text = start.decode("utf-8-sig", errors="strict" if len(start) < _LONGEST_HEADER else "ignore")
    except UnicodeDecodeError as error:
        raise UnusableInput(
            f"{name} is not UTF-8: byte {error.start} cannot be read. Save it as UTF-8."
        ) from error
    columns = next(csv.reader([text.splitlines()[0]]), [])
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t|"):
        raise UnusableInput(f"{name} does not divide its columns by commas. Only commas are read.")
    if twice := sorted({column for column in columns if columns.count(column) > 1}, key=columns.index)[:5]:
        raise UnusableInput(f"{name} has more than one column {', '.join(map(repr, twice))}.")
    return columns


def _require_whole(plain: Path, name: str, header: list[str]) -> None:
    """A closed quote for each opened one, and a last row with all its cells: a cut file lacks one or the other."""
    quotes, tail = 0, b""
    with plain.open("rb") as source:
        while piece := source.read(_PIECE):
            quotes += piece.count(_QUOTE)
            tail = (tail + piece)[-_PIECE:]
    if quotes % 2:
        raise UnusableInput(
            f"{name}: a quotation mark is opened and never closed, so its rows cannot be told."
        )
    last = tail.rstrip(b"\r\n").rpartition(b"\n")[2]
    if tail.endswith(b"\n") or last.count(_QUOTE) % 2:
        return
    cells = next(csv.reader([last.decode("utf-8", errors="replace")]), [])
    if len(cells) < len(header):
        raise UnusableInput(
            f"{name} is cut off: its last row has {len(cells)} cells of {len(header)} and no line end."
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
