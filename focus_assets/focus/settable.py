"""Which FOCUS columns a configuration can set, and what a setting may say.

What belongs here: the table of settable columns and the check of one setting on its own. What does not: which
of several settings decides (``dimensions``). Types, nullability and closed lists come from the registry.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from focus_assets.catalog.models import DimensionSetting, FromDimension
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.columns import column as registered
from focus_assets.focus.services import SERVICE_CATEGORIES, SUBCATEGORY_PARENTS
from focus_assets.focus.sku_properties import property_problems


class Titled(Protocol):
    """A meter or a fee."""

    @property
    def title(self) -> str: ...


@dataclass(frozen=True)
class Settable:
    """A column that ``dimensions`` can set.

    ``required``: some layer has to answer, be it with null where ``nullable``. ``follows``: the column (or
    ``subject``) that stands in where no layer has a value; ``stands_in`` a text made from the meter instead.
    ``describes``: the id column without which this one is null. ``named``: what sets it in ``defaults``.
    """

    column: str
    required: bool = False
    follows: str | None = None
    stands_in: Callable[[Titled], str] | None = None
    describes: str | None = None
    wanted_with_id: bool = False
    named: str | None = None
    from_event: bool = True
    by_customer: bool = True
    never_null: bool = False
    null_means: str = ""
    closed_list: tuple[str, ...] = ()

    @property
    def nullable(self) -> bool:
        """Whether null is an answer in every FOCUS version that has the column."""
        return not self.never_null and registered(self.column).nulls_in >= set(registered(self.column).levels)


_COLUMNS: Final = (
    Settable("ServiceName", required=True),
    # Events are not read yet when a closed list is checked, and a service has one category whoever buys it.
    Settable(
        "ServiceCategory", required=True, from_event=False, by_customer=False, closed_list=SERVICE_CATEGORIES
    ),
    Settable(
        "ServiceSubcategory", from_event=False, by_customer=False, closed_list=tuple(SUBCATEGORY_PARENTS)
    ),
    Settable("RegionId", required=True, null_means="where the service is not run in a distinct region"),
    Settable("RegionName", follows="RegionId", describes="RegionId", wanted_with_id=True),
    Settable("AvailabilityZone"),
    Settable("ResourceId"),
    Settable("ResourceName", describes="ResourceId"),
    Settable("ResourceType", describes="ResourceId", wanted_with_id=True),
    Settable("SubAccountId", follows="subject"),
    Settable("SubAccountName", follows="SubAccountId", describes="SubAccountId", wanted_with_id=True),
    Settable("SubAccountType", stands_in=lambda _: "Subject", describes="SubAccountId", wanted_with_id=True),
    Settable("ProviderName", required=True, named="provider_name"),
    Settable("PublisherName", named="publisher_name", follows="ProviderName"),
    Settable("InvoiceIssuerName", named="invoice_issuer_name", follows="ProviderName"),
    Settable("ServiceProviderName", follows="ProviderName"),
    Settable("HostProviderName", named="host_provider_name", follows="ServiceProviderName"),
    # FOCUS: SkuMeter should be the same for a SkuId over time, so a customer cannot have one of its own.
    Settable("SkuMeter", stands_in=lambda offer: offer.title, by_customer=False, never_null=True),
)

_MADE: Final = {
    "SkuId": "cannot be set: it is a key that the price list has too, made of the feature's key and of "
    "meters[...].sku_dimensions; allowed: other sku_dimensions, or another feature",
    "SkuPriceId": "cannot be set: it is a key that the price list has too, made of the plan, the rate card and the "
    "price's component; allowed: other keys of plans and rate cards",
    "SkuPriceDetails": "cannot be set as a whole: its model and tier are the price's; allowed: sku_price_details of "
    "meters or defaults, property by property",
    "Tags": "cannot be set as a whole; allowed: tags beside dimensions, key by key (of a customer, a meter, the "
    "defaults or a destination)",
}
"""Columns that are put together, and what is set instead."""

SETTABLE: Final[Mapping[str, Settable]] = {settable.column: settable for settable in _COLUMNS}
"""Settable columns by name; a column stands after the one it follows."""


def check_settings(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """What is wrong with each setting on its own, as (column, sentence with the key path)."""
    yield from _check("defaults.dimensions", catalog.defaults.dimensions)
    for meter in catalog.meters:
        yield from _check(f"meters[{meter.slug}].dimensions", meter.dimensions)
    for kind, sellers in (("plans", catalog.plans), ("subscriptions", catalog.subscriptions)):
        for seller in sellers:
            for card in seller.rate_cards:
                yield from _check(f"{kind}[{seller.key}].rate_cards[{card.key}].dimensions", card.dimensions)
    for grant in catalog.credits:
        yield from _check(f"credits[{grant.key}].dimensions", grant.dimensions)
    for customer in catalog.customers:
        yield from _check(f"customers[{customer.key}].dimensions", customer.dimensions, of_customer=True)
    yield from property_problems(catalog)


def check_overrides(place: str, overrides: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """What is wrong with each setting of an export on its own, as (column, sentence with the key path)."""
    yield from _check(place, overrides)


def _check(
    place: str, settings: Mapping[str, DimensionSetting], *, of_customer: bool = False
) -> Iterator[tuple[str, str]]:
    for column, setting in settings.items():
        settable = SETTABLE.get(column)
        if settable is None:
            yield column, f"{place}.{column}: {_MADE.get(column) or _not_settable(column)}"
            continue
        sentence = (
            "a customer cannot set it; it belongs to the meter: meters[...].dimensions or defaults.dimensions"
            if of_customer and not settable.by_customer
            else _sentence(settable, setting)
        )
        if sentence:
            yield column, f"{place}.{column}: {sentence}"


def _sentence(settable: Settable, setting: DimensionSetting) -> str | None:
    if isinstance(setting, FromDimension):
        if not settable.from_event:
            return "cannot come from an event, because FOCUS has a closed list of values; write one of them"
        if setting.default is None:
            return None
        setting = setting.default
    if setting is None:
        return (
            None if settable.nullable else "null is no answer: FOCUS does not allow null here; write a text"
        )
    if not setting.strip():
        return "is empty; write a text" + (" or null" if settable.nullable else "")
    if settable.closed_list and setting not in settable.closed_list:
        near = _close(setting, settable.closed_list)
        listed = f"nearest: {', '.join(near)}" if near else f"allowed: {', '.join(settable.closed_list)}"
        return f"{setting!r} is not one of the {len(settable.closed_list)} values of FOCUS; {listed}"
    return None


def _not_settable(column: str) -> str:
    near = _close(column, tuple(SETTABLE))
    listed = f"nearest: {', '.join(near)}" if near else f"allowed: {', '.join(SETTABLE)}"
    return f"no column that can be set; {listed}"


def _close(found: str, allowed: tuple[str, ...]) -> list[str]:
    """The allowed texts most like ``found``, whatever their case."""
    by_lower = {text.lower(): text for text in allowed}
    return [by_lower[text] for text in difflib.get_close_matches(found.lower(), list(by_lower), n=3)]
