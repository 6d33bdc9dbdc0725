"""Volume tiers: the tier that holds the quantity to date prices all of it, and its flat part is due beside that.

The first tier's flat part is due when the charge begins, used or not. Usage that passes a bound is priced anew:
what was charged at the old tier is taken back. A quantity to date below zero is priced by the first tier, and so is
negative. Source: OpenMeter ``billing/rating/service/rate/tieredvolume.go``.
"""

from __future__ import annotations

from decimal import Decimal

from focus_assets.catalog.prices import TieredPrice
from focus_assets.rating.prices.schedule import Band, Schedule


def volume_schedule(price: TieredPrice) -> Schedule:
    """A band for each tier; of several tiers one alone applies, of a single one it makes no difference."""
    starts = [Decimal(0), *(tier.up_to_amount for tier in price.tiers if tier.up_to_amount is not None)]
    bands = tuple(
        Band(start, tier.unit_price, tier.flat_price) for start, tier in zip(starts, price.tiers, strict=True)
    )
    return Schedule(
        bands=bands, tiered=True, refuses_negative=False, prices_negative=True, by_total=len(bands) > 1
    )
