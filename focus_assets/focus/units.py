"""What one unit of a row is called.

What belongs here: PricingUnit and ConsumedUnit. What does not: converting quantities (``rating.conversions``).
Source: FOCUS attribute Unit Format (count nouns in the plural and capitalised, data sizes abbreviated).
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

from focus_assets.catalog.charges import Charge
from focus_assets.catalog.prices import PackagePrice

FEE_UNIT: Final = "Fees"
"""PricingUnit of a fee, of which a row holds one."""

MONEY_UNIT: Final = "Currency Units"
"""PricingUnit of an amount of money that is owed as such: the top-up to a minimum spend."""

PACKAGE_UNIT: Final = "Packages"
"""PricingUnit of packages whose size is no whole number of units."""

CONVERTED_UNIT: Final = "Converted Units"
"""PricingUnit of converted units that have no name and are no whole number of metered ones."""

_EXACT: Final = Context(prec=60)


def pricing_unit(charge: Charge) -> str:
    """The PricingUnit of usage: ``1000 Requests`` of packages and blocks of whole numbers, else the meter's unit.

    A converted unit is called what its ``display_unit`` says.
    """
    price, config, unit = charge.rate_card.price, charge.rate_card.unit_config, charge.meter.unit
    if isinstance(price, PackagePrice):
        return _block(price.quantity_per_package, unit) or PACKAGE_UNIT
    if config is None:
        return unit
    factor = config.conversion_factor
    size = factor if config.operation == "divide" else _EXACT.divide(Decimal(1), factor)
    return config.display_unit or _block(size, unit) or CONVERTED_UNIT


def _block(size: Decimal, unit: str) -> str | None:
    if size != size.to_integral_value():
        return None
    return unit if size == 1 else f"{size.normalize():f} {unit}"
