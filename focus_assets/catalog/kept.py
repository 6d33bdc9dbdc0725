"""The catalogs that a lake holds, each read once however many stages ask for it.

What belongs here: reading snapshots out of a lake. What does not: what one says (``snapshot``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections import OrderedDict
from typing import Final

import polars as pl

from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import CATALOG
from focus_assets.lake import Lake

_MANY: Final = 64
"""Snapshots that are remembered; most days of a range have the same."""

_read: OrderedDict[str, Catalog] = OrderedDict()
"""By the sha256 of the file that says so, the one asked for last at the end."""


def catalog_in(lake: Lake, day: dt.date) -> Catalog:
    """The snapshot of one day, from a file that is proven against its record every time.

    Raises:
        MissingPartitions: the lake holds none.
        CorruptPartition: the file is not what its record says.
    """
    sha256 = lake.records(CATALOG.name, [day])[day].sha256
    [file] = lake.files(CATALOG.name, [day])
    known = _read.pop(sha256, None)
    if known is None:
        content = file.read_bytes()
        known = Catalog.from_frame(pl.read_parquet(io.BytesIO(content)).lazy())
        # A writer may have replaced the file since: what it holds then is another snapshot than the record's.
        if hashlib.sha256(content).hexdigest() != sha256:
            return known
    _read[sha256] = known
    if len(_read) > _MANY:
        _read.popitem(last=False)
    return known
