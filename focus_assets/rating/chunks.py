"""Lines of many charges a chunk of charges at a time, so that sorting them needs the memory of one chunk.

Lines are in the order of their charge first, and nothing but the charge ties them together: chunks of charges that
follow each other, each sorted, are all of it sorted. Whoever sinks the lines to a file never holds more than a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Final

import polars as pl
from polars.io.plugins import register_io_source

from focus_assets.rating.lines import RATED_LINES

WINDOWS_AT_ONCE: Final = 2_000_000
"""Windows of usage in a chunk; of one charge there may be more. A million of them take some 0.5 GB to rate."""

_ROWS_HANDED_ON: Final = 100_000


@dataclass(frozen=True)
class ChargeRange:
    """Charges from ``first`` on and before ``end``, in the order of their ids; null: no bound."""

    first: str | None
    end: str | None

    def of(self, table: pl.LazyFrame) -> pl.LazyFrame:
        """The rows of ``table`` that are of these charges."""
        if self.first is not None:
            table = table.filter(pl.col("charge_id") >= self.first)
        return table if self.end is None else table.filter(pl.col("charge_id") < self.end)


def charge_ranges(moved: pl.LazyFrame, at_once: int) -> list[ChargeRange]:
    """All charges, whose windows ``moved`` (charge_id, windows) counts, in as few ranges of ``at_once`` as hold them.

    Ranges are about equal; each may go beyond by the windows of its last charge.
    """
    counts = moved.group_by("charge_id").agg(pl.col("windows").sum()).sort("charge_id")
    total = counts.select(pl.col("windows").sum()).collect().item() or 0
    chunks = max(ceil(total / at_once), 1)
    size = max(ceil(total / chunks), 1)
    before = pl.col("windows").cum_sum() - pl.col("windows")
    firsts = (
        counts.with_columns((before // size).alias("_range"))
        .group_by("_range")
        .agg(pl.col("charge_id").min())
        .sort("_range")
    )
    bounds = firsts.collect()["charge_id"].to_list()[1:]
    return [ChargeRange(first, end) for first, end in pairwise([None, *bounds, None])]


def one_after_the_other(
    ranges: list[ChargeRange], lines_of: Callable[[ChargeRange], pl.LazyFrame]
) -> pl.LazyFrame:
    """:data:`~focus_assets.rating.lines.RATED_LINES` of ``ranges`` in their order, each computed when it is reached."""

    def read(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        for each in ranges:
            lines = lines_of(each)
            if predicate is not None:
                lines = lines.filter(predicate)
            if with_columns is not None:
                lines = lines.select(with_columns)
            if n_rows is None:
                yield from _handed_on(lines)
            elif n_rows > 0:
                n_rows -= yield from _handed_on(lines.head(n_rows))

    return register_io_source(read, schema=RATED_LINES, explain_name="RATED LINES")


def _handed_on(lines: pl.LazyFrame) -> Generator[pl.DataFrame, None, int]:
    """The rows of ``lines``, and how many there are; nothing is held of them when the next chunk is computed."""
    found = lines.collect(engine="streaming")
    yield from found.iter_slices(_ROWS_HANDED_ON)
    return found.height
