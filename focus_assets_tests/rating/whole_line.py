"""OpenMeter's own line of a charge's whole period, to compare days with."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import polars as pl

from focus_assets.catalog.charges import Charge
from focus_assets.decimals import minor_unit
from focus_assets.rating.detailed_lines import Line, detailed_lines, line_tables

FINE = minor_unit("CREDITS", 12)
"""Rounding far below anything that is compared."""


def whole_lines(of: Sequence[tuple[Charge, Decimal]], unit: Decimal = FINE) -> pl.DataFrame:
    """The detailed lines of each charge's quantity in its whole period, rounded to ``unit``; called by number."""
    tables = line_tables(
        [
            Line(
                line_id=f"{number}",
                price=charge.rate_card.price,
                discounts=charge.rate_card.discounts,
                unit_config=charge.rate_card.unit_config,
                minor_unit=unit,
                period=charge.period,
                full_period=charge.period,
                quantity=quantity,
            )
            for number, (charge, quantity) in enumerate(of)
        ]
    )
    return detailed_lines(tables.lines, tables.tiers, tables.credits).collect()


def invoiced(of: Sequence[tuple[Charge, Decimal]], unit: Decimal = FINE) -> list[Decimal]:
    """What OpenMeter bills for each charge's quantity in its whole period."""
    totals = whole_lines(of, unit).group_by("line_id").agg(pl.col("total").sum())
    found = dict(totals.iter_rows())
    return [found.get(f"{number}", Decimal(0)) for number in range(len(of))]


def invoiced_for(of: Charge, quantity: str, unit: Decimal = FINE) -> Decimal:
    """What OpenMeter bills for ``quantity`` in the whole period."""
    [amount] = invoiced([(of, Decimal(quantity))], unit)
    return amount
