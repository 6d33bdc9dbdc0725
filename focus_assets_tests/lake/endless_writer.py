"""A process that writes a lake until it is killed: ``python -m ... URL HOLDER EXPIRY_SECONDS``.

It prints a line once it is the writer. Each partition it writes has one value in all its rows, and two of
its partitions change in turn, so that a kill can hit any step.
"""

from __future__ import annotations

import datetime as dt
import itertools
import sys

import polars as pl

from focus_assets.lake import Lake, open_store

DAYS = (dt.date(2026, 8, 3), dt.date(2026, 8, 4))
ROWS = 20_000


def rows_of(value: int) -> pl.LazyFrame:
    """What one write writes."""
    return pl.LazyFrame({"value": pl.repeat(value, ROWS, eager=True), "n": range(ROWS)})


def main(url: str, holder: str, expiry: str) -> None:
    lake = Lake(open_store(url), lease_expiry=dt.timedelta(seconds=float(expiry)))
    with lake.writer(holder):
        print("writing", flush=True)  # noqa: T201
        for value, day in zip(itertools.count(), itertools.cycle(DAYS), strict=False):
            lake.write("usage", day, rows_of(value))


if __name__ == "__main__":
    main(*sys.argv[1:])
