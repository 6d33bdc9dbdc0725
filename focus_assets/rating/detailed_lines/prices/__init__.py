"""One module for each type of price; a further type is one more module and one more entry here.

Each takes the lines of its type, quantities already in billed units and without free ones, and returns
:data:`~focus_assets.rating.detailed_lines.tables.PRICED`. A price without a module is free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import polars as pl

from focus_assets.rating.detailed_lines.prices.dynamic import dynamic_lines
from focus_assets.rating.detailed_lines.prices.flat import flat_lines
from focus_assets.rating.detailed_lines.prices.graduated import graduated_lines
from focus_assets.rating.detailed_lines.prices.package import package_lines
from focus_assets.rating.detailed_lines.prices.unit import unit_lines
from focus_assets.rating.detailed_lines.prices.volume import volume_lines

Pricer = Callable[[pl.LazyFrame, pl.LazyFrame], pl.LazyFrame]

PRICERS: Final[Mapping[str, Pricer]] = {
    "flat": flat_lines,
    "unit": unit_lines,
    "dynamic": dynamic_lines,
    "package": package_lines,
    "graduated": graduated_lines,
    "volume": volume_lines,
}


def priced(lines: pl.LazyFrame, tiers: pl.LazyFrame) -> pl.LazyFrame:
    """PRICED of all lines, each by its own price."""
    return pl.concat(price(lines.filter(pl.col("price") == name), tiers) for name, price in PRICERS.items())
