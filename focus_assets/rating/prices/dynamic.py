"""Dynamic prices: the metered quantity is money, and the multiplier is the price of one currency unit of it.

OpenMeter shows the product as one unit of a rounded amount; a day's rows keep it exact. Source: OpenMeter
``billing/rating/service/rate/dynamic.go``.
"""

from __future__ import annotations

from decimal import Decimal

from focus_assets.catalog.prices import DynamicPrice
from focus_assets.rating.prices.schedule import Band, Schedule


def dynamic_schedule(price: DynamicPrice) -> Schedule:
    """One band from zero."""
    return Schedule(bands=(Band(Decimal(0), price.multiplier),), tiered=False, refuses_negative=False)
