"""Unit conversions of subscription items, which v3 alone has.

What belongs here: which items are asked about, and what is said of them. What does not: what a conversion means
(``rating``). v3 also writes one for the dynamic and package prices of v1; those are read from v1 as what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from focus_assets.openmeter import wire_v1
from focus_assets.openmeter.extraction import together
from focus_assets.openmeter.server import Server

_CONVERTED: Final = ("unit", "tiered")


async def with_unit_configs(
    server: Server, subscriptions: Sequence[wire_v1.Subscription]
) -> list[wire_v1.Subscription]:
    """``subscriptions`` of v1 with the ``unit_config`` of those versions of items that are active now.

    Those that sell nothing by the unit are not asked about. Raises OpenMeterError.
    """
    if server.v3 is None:
        return list(subscriptions)
    wanted = sorted({each.id for each in subscriptions if any(_may_convert(item) for item in _items(each))})
    read = await together(server.v3.subscription(subscription_id) for subscription_id in wanted)
    found = {
        item.id: item.rate_card.unit_config.model_dump(exclude_none=True)
        for each in read
        for phase in each.phases
        for item in phase.items
        if item.rate_card.unit_config is not None
    }
    return [_with(each, found) for each in subscriptions] if found else list(subscriptions)


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
