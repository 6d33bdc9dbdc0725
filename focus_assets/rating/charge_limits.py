"""What is agreed for a charge as a whole: a percentage off, the least and the most a rating period costs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.catalog.charges import Charge, ChargeSlice
from focus_assets.catalog.prices import FlatPrice, FreePrice
from focus_assets.decimals import COST, UNIT_PRICE, UTC_INSTANT
from focus_assets.rating.prices import schedule_of

_UNIT_PRICE_PLACES: Final = 12

LIMITS: Final = pl.Schema(
    {
        "charge_id": pl.String(),
        "charge_to": UTC_INSTANT,
        "paid_share": UNIT_PRICE,
        "minimum_amount": COST,
        "maximum_amount": COST,
    }
)
"""A charge of which not simply the contracted cost is paid; ``paid_share``: 0.85 of it after 15 % off.

``charge_to``: when the charge ends, and a minimum is known to be missed. Limits are null where not agreed.
"""


def limit_table(slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """:data:`LIMITS` of the charges in ``slices`` that have any, sorted."""
    charges = {s.charge.charge_id: s.charge for s in slices}
    rows = []
    for charge_id, charge in sorted(charges.items()):
        price, share = charge.rate_card.price, paid_share(charge)
        limits = (
            (None, None)
            if isinstance(price, FreePrice | FlatPrice)
            else (price.minimum_amount, price.maximum_amount)
        )
        if share != 1 or limits != (None, None):
            rows.append((charge_id, charge.period.end, share, *limits))
    return pl.LazyFrame(rows, schema=LIMITS, orient="row")


def paid_share(charge: Charge) -> Decimal:
    """What is paid of the contracted cost: less than 1 where the published plan takes the same percentage off.

    A percentage that is this customer's own lowers the contracted price instead, see :func:`contracted_factor`.
    """
    return Decimal(1) if _is_negotiated(charge) else left_of_percentage(charge)


def contracted_factor(charge: Charge) -> Decimal:
    """What contracted unit prices are multiplied by: less than 1 where the percentage was negotiated."""
    return left_of_percentage(charge) if _is_negotiated(charge) else Decimal(1)


def left_of_percentage(charge: Charge) -> Decimal:
    """What is paid of the gross amount, however the percentage came about."""
    return 1 - (charge.rate_card.discounts.percentage or Decimal(0)) / 100


def _is_negotiated(charge: Charge) -> bool:
    """A product finer than a unit price can be stays out of the price and is taken off the cost."""
    if charge.rate_card.discounts.percentage == charge.list_discounts.percentage:
        return False
    bands = schedule_of(charge.rate_card.price).bands
    amounts = [amount for band in bands for amount in (band.unit_price, band.flat_price) if amount]
    return all(fits_a_unit_price(amount, left_of_percentage(charge)) for amount in amounts)


def fits_a_unit_price(amount: Decimal, factor: Decimal) -> bool:
    """Whether the product of the two has no more places than a unit price."""
    return _places(amount) + _places(factor) <= _UNIT_PRICE_PLACES


def _places(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
