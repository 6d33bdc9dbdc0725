"""OpenMeter's own line of a charge's whole period, to compare days with."""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from focus_assets.catalog.charges import Charge
from focus_assets.decimals import minor_unit
from focus_assets.rating.detailed_lines import Line, detailed_lines, line_tables

FINE = minor_unit("CREDITS", 12)
"""Rounding far below anything that is compared."""


def whole_line(of: Charge, quantity: Decimal, unit: Decimal = FINE) -> pl.DataFrame:
    """The detailed lines of ``quantity`` in the whole period, rounded to ``unit``."""
    tables = line_tables(
        [
            Line(
                line_id="line",
                price=of.rate_card.price,
                discounts=of.rate_card.discounts,
                unit_config=of.rate_card.unit_config,
                minor_unit=unit,
                period=of.period,
                full_period=of.period,
                quantity=quantity,
            )
        ]
    )
    return detailed_lines(tables.lines, tables.tiers, tables.credits).collect()


def invoiced(of: Charge, quantity: Decimal, unit: Decimal = FINE) -> Decimal:
    """What OpenMeter bills for ``quantity`` in the whole period."""
    total: Decimal = whole_line(of, quantity, unit).select(pl.col("total").sum()).item()
    return total
