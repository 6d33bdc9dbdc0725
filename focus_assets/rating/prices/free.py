"""What costs nothing: free prices, and the free units that stand before a price.

The first units of a rating period are free, in the order they are used, and tiers begin to count behind them.
Source: OpenMeter ``billing/rating/service/mutator/discountusage.go``.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from focus_assets.rating.prices.schedule import Band, Schedule

_ZERO = Decimal(0)


def free_schedule() -> Schedule:
    """One band from zero, at a price of zero."""
    return Schedule(bands=(Band(_ZERO, _ZERO),), tiered=False, refuses_negative=False)


def after_free_units(schedule: Schedule, units: Decimal | None) -> Schedule:
    """``schedule`` moved up by ``units``, with a free band below it.

    The first tier's fee is due when the charge begins, used or not, and so stays with the free band. A quantity to
    date below zero uses no free units up and costs nothing.
    """
    if not units:
        return schedule
    first, *others = schedule.bands
    bands = (
        Band(_ZERO, _ZERO, first.flat_price, free=True),
        Band(units, first.unit_price),
        *(replace(band, start=band.start + units) for band in others),
    )
    return replace(schedule, bands=bands, refuses_negative=False, prices_negative=False)
