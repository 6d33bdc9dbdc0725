"""Parquet files in parts: which rows are read at a time, and which columns need not be read at all.

What belongs here: the file's own metadata. What does not: types and what FOCUS says about columns (``typed``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from focus_assets.focus.files.errors import UnusableInput

PART_ROWS: Final = 500_000
"""Rows that are looked at together: fewer cost more planning, more cost memory."""

MOST_COLUMNS: Final = 2_000
"""A file with more is taken for something else: FOCUS has 65 columns, and no vendor adds this many."""


@dataclass(frozen=True)
class Part:
    """Some successive rows of a file, and the columns that hold one value on all of them."""

    frame: pl.LazyFrame
    rows: int
    constant: frozenset[str]


def parts_of(path: Path, name: str) -> list[Part]:
    """A Parquet file, about :data:`PART_ROWS` rows at a time; a file without rows is one part.

    A column that the statistics prove to be null, or to be one value, throughout a part is not read.

    Raises:
        UnusableInput: damaged, cut off, or not Parquet.
    """
    try:
        metadata = pq.read_metadata(path)
        schema = pl.scan_parquet(path, glob=False, hive_partitioning=False).collect_schema()
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise UnusableInput(
            f"{name} is no whole Parquet file: {str(error).strip().splitlines()[0].rstrip('.')}. Fetch it again."
        ) from error
    if len(schema) > MOST_COLUMNS:
        raise UnusableInput(
            f"{name} has {len(schema):,} columns; a FOCUS file has at most 65 and some of its vendor's own. "
            f"More than {MOST_COLUMNS:,} are not checked."
        )
    return list(_parts(path, metadata, schema))


def _parts(path: Path, metadata: Any, schema: pl.Schema) -> Iterator[Part]:
    start, groups, rows = 0, [], 0
    for number in range(metadata.num_row_groups):
        groups.append(metadata.row_group(number))
        rows += groups[-1].num_rows
        if rows >= PART_ROWS or number == metadata.num_row_groups - 1:
            yield _part(path, schema, start, rows, groups)
            start, groups, rows = start + rows, [], 0
    if not metadata.num_row_groups:
        yield _part(path, schema, 0, 0, [])


def _part(path: Path, schema: pl.Schema, start: int, rows: int, groups: list[Any]) -> Part:
    scanned = pl.scan_parquet(path, glob=False, hive_partitioning=False).slice(start, rows)
    constant = _constants(schema, groups) if rows else {}
    frame = scanned.with_columns(pl.lit(v, schema[n]).alias(n) for n, v in constant.items())
    return Part(frame, rows, frozenset(constant))


def _constants(schema: pl.Schema, groups: list[Any]) -> dict[str, str | None]:
    """Columns whose statistics say: null on every row; or, texts alone, one value on every row.

    Statistics of long texts are shortened, the smallest down and the largest up, so they are equal only when whole.
    """
    found: dict[str, str | None] = {}
    for index in range(groups[0].num_columns):
        name = groups[0].column(index).path_in_schema
        if name not in schema:
            continue  # a value within a nested column
        chunks = [group.column(index) for group in groups]
        counts = [
            c.statistics.null_count if c.is_stats_set and c.statistics.has_null_count else None
            for c in chunks
        ]
        if all(count == chunk.num_values for count, chunk in zip(counts, chunks, strict=True)):
            found[name] = None
        elif isinstance(schema[name], pl.String) and all(count == 0 for count in counts):
            ends = {
                end
                for c in chunks
                if c.statistics.has_min_max
                for end in (c.statistics.min, c.statistics.max)
            }
            if len(ends) == 1 and all(c.statistics.has_min_max for c in chunks):
                [value] = ends
                if isinstance(value, str):
                    found[name] = value
    return found
