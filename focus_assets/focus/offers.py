"""What is sold and has FOCUS columns of its own: the usage of a meter, a flat fee, or credit.

What belongs here: which settings decide the columns of each, nearest first, before the defaults. What does not:
deciding them (``dimensions``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.fees import fee_title
from focus_assets.catalog.models import DimensionSetting, Feature, Meter, RateCard
from focus_assets.catalog.snapshot import Catalog

CREDITS: Final = "Credits"
"""What credit that is bought is called: its SkuMeter."""

FeeKey = tuple[str, str | None, tuple[tuple[str, str | None], ...]]
"""What decides the columns of a fee: its title, its feature's meter and its own settings."""


@dataclass(frozen=True)
class Offer:
    """A meter, or every fee with the same title, meter and settings.

    ``key``: the meter's slug, or ``fee`` and its title. ``called``: the same in a sentence. ``group_by``: what its
    events can carry. ``settings``: key path and settings, nearest first.
    """

    key: str
    called: str
    title: str
    settings: tuple[tuple[str, Mapping[str, DimensionSetting]], ...]
    group_by: frozenset[str] = frozenset()
    is_fee: bool = False

    def where(self, column: str) -> str:
        """Where a column of it can be set."""
        all_of_them = "for all" if self.is_fee else "for all meters"
        return f"set {self.settings[0][0]}.{column}, or defaults.dimensions.{column} {all_of_them},"


def meter_offers(catalog: Catalog) -> Iterator[Offer]:
    """The meters that a feature refers to."""
    sold = {feature.meter for feature in catalog.features}
    for meter in catalog.meters:
        if meter.slug in sold:
            place = f"meters[{meter.slug}].dimensions"
            yield Offer(
                meter.slug,
                f"meter {meter.slug!r}",
                meter.title,
                ((place, meter.dimensions),),
                frozenset(meter.group_by),
            )


def fee_offers(catalog: Catalog) -> dict[FeeKey, Offer]:
    """The flat fees of all plans and subscriptions, and credit that is bought; those that are decided alike are one."""
    found: dict[FeeKey, Offer] = {}
    for kind, sellers in (("plans", catalog.plans), ("subscriptions", catalog.subscriptions)):
        for seller in sellers:
            for card in seller.rate_cards:
                if not card.is_fee:
                    continue
                feature = catalog.feature.get(card.feature or "")
                meter = catalog.meter.get((feature and feature.meter) or "")
                key = fee_key(card, feature, meter)
                if key not in found:
                    found[key] = _fee(card, key, meter, f"{kind}[{seller.key}].rate_cards[{card.key}]")
    for grant in catalog.credits:
        if grant.is_bought:
            place = f"credits[{grant.key}]"
            settings = ((f"{place}.dimensions", grant.dimensions),)
            called = f"credit {grant.key!r} ({place})"
            found.setdefault(credit_key(grant), Offer("credit", called, CREDITS, settings, is_fee=True))
    return found


def credit_key(grant: CreditGrant) -> FeeKey:
    """What the offer of credit that is bought is found by; all credit is one SKU and keeps one SkuMeter."""
    return CREDITS, None, tuple(sorted(grant.dimensions.items()))


def fee_key(card: RateCard, feature: Feature | None, meter: Meter | None) -> FeeKey:
    """What the offer of a fee is found by."""
    return fee_title(card, feature), meter.slug if meter else None, tuple(sorted(card.dimensions.items()))


def _fee(card: RateCard, key: FeeKey, meter: Meter | None, place: str) -> Offer:
    settings: list[tuple[str, Mapping[str, DimensionSetting]]] = [(f"{place}.dimensions", card.dimensions)]
    if meter is not None:
        settings.append((f"meters[{meter.slug}].dimensions", meter.dimensions))
    # A SKU keeps one SkuMeter: a fee of a metered feature shares the SKU of its usage.
    title = key[0] if meter is None else meter.title
    return Offer(f"fee {key[0]}", f"fee {key[0]!r} ({place})", title, tuple(settings), is_fee=True)
