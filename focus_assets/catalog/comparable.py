"""Whether a published price says what a row of a charge would cost at it.

What belongs here: which prices count alike. What does not: what they then cost (``rating``).
"""

from __future__ import annotations

from typing import Literal

from focus_assets.catalog.models import RateCard
from focus_assets.catalog.prices import FreePrice, PackagePrice, Price, TieredPrice


def is_comparable(own: RateCard, published: RateCard) -> bool:
    """Whether every row that ``own`` gives has one price in ``published``.

    A row has one quantity, and so a list price only where the published price is for the same units: packages of
    the same size, units converted alike, tiers that price either each unit by itself or all by the total. A free
    plan publishes a price of zero for every unit.
    """
    if isinstance(published.price, FreePrice):
        return True
    if _conversion(own) != _conversion(published):
        return False
    if isinstance(own.price, PackagePrice) or isinstance(published.price, PackagePrice):
        return (
            isinstance(own.price, PackagePrice)
            and isinstance(published.price, PackagePrice)
            and own.price.quantity_per_package == published.price.quantity_per_package
            and (published.discounts.usage or 0) in (0, own.discounts.usage)
        )
    return {tiering(own.price), tiering(published.price)} != {"graduated", "volume"}


def _conversion(card: RateCard) -> tuple[object, ...] | None:
    config = card.unit_config
    if config is None:
        return None
    plain = config.significant
    return plain.operation, plain.conversion_factor, plain.rounding, plain.precision


def tiering(price: Price) -> Literal["graduated", "volume"] | None:
    """How tiers price; None where there is one price for all."""
    return price.mode if isinstance(price, TieredPrice) and len(price.tiers) > 1 else None
