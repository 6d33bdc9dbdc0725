"""Unit prices: every unit costs the same; a quantity to date below zero costs nothing.

Source: OpenMeter ``billing/rating/service/rate/unit.go``.
"""

from __future__ import annotations

from decimal import Decimal

from focus_assets.catalog.models import UnitPrice
from focus_assets.rating.prices.schedule import Band, Schedule


def unit_schedule(price: UnitPrice) -> Schedule:
    """One band from zero."""
    return Schedule(bands=(Band(Decimal(0), price.amount),), tiered=False, refuses_negative=False)
