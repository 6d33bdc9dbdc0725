"""What a price says about a quantity to date: bands with a unit price, and fees for entering them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext


@dataclass(frozen=True)
class Band:
    """The quantities above ``start`` up to the next band: a price for each, a fee for the first of them.

    ``free``: the units that a discount leaves free.
    """

    start: Decimal
    unit_price: Decimal | None
    flat_price: Decimal | None = None
    free: bool = False


@dataclass(frozen=True)
class Schedule:
    """Bands in rising order, the first from zero.

    ``tiered``: the bands are tiers and have numbers.
    ``refuses_negative``: a quantity to date below zero is an error and not merely free.
    ``prices_negative``: a quantity to date below zero has the first band's price and is not merely free.
    ``by_total``: the band that holds the quantity to date prices all of it; the others then price nothing.
    """

    bands: tuple[Band, ...]
    tiered: bool
    refuses_negative: bool
    prices_negative: bool = False
    by_total: bool = False

    def at(self, quantity: Decimal) -> Band:
        """The band that begins at ``quantity`` or holds what lies just above it."""
        return max((band for band in self.bands if band.start <= quantity), key=lambda band: band.start)


def times(price: Decimal | None, factor: Decimal) -> Decimal | None:
    """``factor`` times ``price``, exactly."""
    with localcontext() as context:
        context.prec = 60
        return price if price is None or factor == 1 else price * factor
