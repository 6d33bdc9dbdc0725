"""One module for each type of price; a further type is one more module and one more case here."""

from __future__ import annotations

from focus_assets.catalog.models import Price, UnitPrice
from focus_assets.rating.prices.graduated import graduated_schedule
from focus_assets.rating.prices.schedule import Band, Schedule
from focus_assets.rating.prices.unit import unit_schedule

__all__ = ["Band", "Schedule", "schedule_of"]


def schedule_of(price: Price) -> Schedule:
    """The bands of ``price``."""
    if isinstance(price, UnitPrice):
        return unit_schedule(price)
    return graduated_schedule(price)
