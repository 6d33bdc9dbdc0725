"""Unit conversions of subscription items, which v3 alone has.

What belongs here: which items are asked about, and what is said of them. What does not: what a conversion means
(``rating``). v3 also writes one for the dynamic and package prices of v1; those are read from v1 as what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from focus_assets.openmeter import wire_v1, wire_v3
from focus_assets.openmeter.errors import UnsupportedCatalogEntry
from focus_assets.openmeter.extraction import together
from focus_assets.openmeter.server import Server

_CONVERTED: Final = ("unit", "tiered")
_ISO_4217: Final = 3


async def with_unit_configs(
    server: Server, subscriptions: Sequence[wire_v1.Subscription]
) -> list[wire_v1.Subscription]:
    """``subscriptions`` of v1 with the ``unit_config`` of those versions of items that are active now.

    Those that sell nothing by the unit are not asked about. Raises OpenMeterError, also where a subscription without
    plan is priced in a custom currency: v1 shows its prices as if they were money.
    """
    if server.v3 is None:
        return list(subscriptions)
    wanted = sorted(
        {each.id for each in subscriptions if each.plan is None or any(map(_may_convert, _items(each)))}
    )
    read = await together(server.v3.subscription(subscription_id) for subscription_id in wanted)
    for each in read:
        _require_money(each)
    found = {
        item.id: item.rate_card.unit_config.model_dump(exclude_none=True)
        for each in read
        for phase in each.phases
        for item in phase.items
        if item.rate_card.unit_config is not None
    }
    return [_with(each, found) for each in subscriptions] if found else list(subscriptions)


def _require_money(subscription: wire_v3.Subscription) -> None:
    for phase in subscription.phases if subscription.plan is None else ():
        for item in phase.items:
            if len(item.rate_card.currency or "") > _ISO_4217:
                raise UnsupportedCatalogEntry(
                    f"subscription {subscription.id}, item {item.rate_card.key!r} is priced in "
                    f"{item.rate_card.currency} without a plan in it; such prices cannot be represented here yet. "
                    "Nothing was written."
                )


def _with(subscription: wire_v1.Subscription, found: Mapping[str, Mapping[str, Any]]) -> wire_v1.Subscription:
    def converted(item: wire_v1.Item) -> wire_v1.Item:
        config = found.get(item.id or "") if _may_convert(item) else None
        return item if config is None else item.model_copy(update={"unit_config": config})

    phases = [
        phase.model_copy(
            update={
                "item_timelines": {
                    key: [converted(item) for item in versions]
                    for key, versions in phase.item_timelines.items()
                }
            }
        )
        for phase in subscription.phases
    ]
    return subscription.model_copy(update={"phases": phases})


def _items(subscription: wire_v1.Subscription) -> Iterator[wire_v1.Item]:
    for phase in subscription.phases:
        for versions in phase.item_timelines.values():
            yield from versions


def _may_convert(item: wire_v1.Item) -> bool:
    return item.price is not None and item.price.get("type") in _CONVERTED
