"""Graduated tiers: each unit is priced by the tier it falls in.

A tier covers what lies above the tier before it, up to and including ``up_to_amount``. Its flat part is due
whole with the first unit inside it; the first tier's when the charge begins. A negative quantity to date is
an error. Source: OpenMeter ``billing/rating/service/rate/tieredgraduated.go``.
"""

from __future__ import annotations

from decimal import Decimal

from focus_assets.catalog.models import TieredPrice
from focus_assets.rating.prices.schedule import Band, Schedule


def graduated_schedule(price: TieredPrice) -> Schedule:
    """A band for each tier."""
    starts = [Decimal(0), *(tier.up_to_amount for tier in price.tiers if tier.up_to_amount is not None)]
    bands = tuple(
        Band(start, tier.unit_price, tier.flat_price) for start, tier in zip(starts, price.tiers, strict=True)
    )
    return Schedule(bands=bands, tiered=True, refuses_negative=True)
