"""Decimal types of quantities and money, and the only functions that multiply, divide or round them.

What belongs here: arithmetic whose result ends up in a file. What does not: prices, tiers, currencies.

Polars multiplies half-even at the larger scale of its operands, so a product of a quantity and a price is
never written with ``*`` outside this module.
"""

from __future__ import annotations

from typing import Final

import polars as pl

METERED_QUANTITY: Final = pl.Decimal(38, 9)
"""A quantity as metered; exact to nine decimal places."""

PRICING_QUANTITY: Final = pl.Decimal(38, 16)
"""A quantity after unit conversion or proration."""

UNIT_PRICE: Final = pl.Decimal(38, 12)
"""A price of one pricing unit, in the pricing currency."""

COST: Final = pl.Decimal(38, 18)
"""An exact, unrounded cost."""

SOURCE_VALUE: Final = pl.Decimal(38, 19)
"""A value as a source returned it, before it is rounded to :data:`METERED_QUANTITY`."""

UTC_INSTANT: Final = pl.Datetime("us", "UTC")
