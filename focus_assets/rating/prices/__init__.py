"""One module for each type of price; a further type is one more module and one more case here."""

from __future__ import annotations

from focus_assets.catalog.models import Price, TieredPrice, UnitPrice
from focus_assets.catalog.prices import DynamicPrice
from focus_assets.catalog.rate_card_terms import Discounts
from focus_assets.rating.prices.dynamic import dynamic_schedule
from focus_assets.rating.prices.free import after_free_units, free_schedule
from focus_assets.rating.prices.graduated import graduated_schedule
from focus_assets.rating.prices.schedule import Band, Schedule
from focus_assets.rating.prices.unit import unit_schedule

__all__ = ["Band", "Schedule", "schedule_of"]


def schedule_of(price: Price, discounts: Discounts | None = None) -> Schedule:
    """The bands of ``price``, above what ``discounts`` leaves free."""
    return after_free_units(_of_price(price), discounts.usage if discounts else None)


def _of_price(price: Price) -> Schedule:
    match price:
        case UnitPrice():
            return unit_schedule(price)
        case TieredPrice():
            return graduated_schedule(price)
        case DynamicPrice():
            return dynamic_schedule(price)
        case _:
            return free_schedule()
