"""The slices of a day as a table that rating can join."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.rating.lines import SLICES


def slice_table(slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """:data:`~focus_assets.rating.lines.SLICES`, sorted by charge and time."""
    rows = sorted(
        (s.charge.charge_id, s.period.start, s.period.end, s.period.start == s.charge.period.start)
        for s in slices
    )
    return pl.LazyFrame(rows, schema=SLICES, orient="row")
