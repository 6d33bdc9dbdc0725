"""One module for each type of price; a further type is one more module and one more case here."""

from __future__ import annotations

from focus_assets.catalog.models import Price, TieredPrice, UnitPrice
from focus_assets.catalog.prices import DynamicPrice, PackagePrice
from focus_assets.rating.prices.dynamic import dynamic_schedule
from focus_assets.rating.prices.free import free_schedule
from focus_assets.rating.prices.graduated import graduated_schedule
from focus_assets.rating.prices.package import package_schedule
from focus_assets.rating.prices.schedule import Band, Schedule, times
from focus_assets.rating.prices.unit import unit_schedule
from focus_assets.rating.prices.volume import volume_schedule

__all__ = ["Band", "Schedule", "schedule_of", "times"]


def schedule_of(price: Price) -> Schedule:
    """The bands of ``price``, in the units it is stated in: of packages, in packages."""
    match price:
        case UnitPrice():
            return unit_schedule(price)
        case TieredPrice(mode="volume"):
            return volume_schedule(price)
        case TieredPrice():
            return graduated_schedule(price)
        case PackagePrice():
            return package_schedule(price)
        case DynamicPrice():
            return dynamic_schedule(price)
        case _:
            return free_schedule()
