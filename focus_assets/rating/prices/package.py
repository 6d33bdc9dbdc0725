"""Packages: the first unit of each opens it and pays for all of it; a quantity to date below zero closes packages.

Which packages a quantity opens is a conversion of units, see :mod:`focus_assets.rating.conversions`; a package then
has one price. Source: OpenMeter ``billing/rating/service/rate/package.go``.
"""

from __future__ import annotations

from decimal import Decimal

from focus_assets.catalog.prices import PackagePrice
from focus_assets.rating.prices.schedule import Band, Schedule


def package_schedule(price: PackagePrice) -> Schedule:
    """One band of packages from zero."""
    bands = (Band(Decimal(0), price.amount),)
    return Schedule(bands=bands, tiered=False, refuses_negative=False, prices_negative=True)
