"""The catalog as OpenMeter has it now, in the models every source of a catalog fills.

What belongs here: meters, features, customers, plans and subscriptions of a server as catalog entries. What does
not: how they are read (``v3``, ``v1``) and what a price means (``catalog``).

A subscription's own items are what is bought, with every version of each; its plan is only what their prices are
compared with. Prices are handed to the catalog's models as v1 writes them; what those do not know is an error
that names plan or subscription and item.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.custom_currencies import CustomCurrency
from focus_assets.catalog.invoices import Invoice
from focus_assets.catalog.models import (
    Aggregation,
    Customer,
    Feature,
    Meter,
    Plan,
    RateCard,
    Subscription,
)
from focus_assets.catalog.snapshot import Catalog, FocusDefaults
from focus_assets.openmeter import wire_v1, wire_v3
from focus_assets.openmeter.entries import check_references, entry
from focus_assets.openmeter.errors import UnsupportedCatalogEntry
from focus_assets.openmeter.invoices import invoices_now
from focus_assets.openmeter.only_v3 import subscriptions_now, with_plans_of_v3
from focus_assets.openmeter.questions import CUSTOMER, SUBJECT
from focus_assets.openmeter.server import Server
from focus_assets.openmeter.unit_costs import currencies, llm_prices, unit_costs
from focus_assets.openmeter.v1 import V1

_TAKEN: Final = (SUBJECT, CUSTOMER)
_DRAFT: Final = "draft"
_ISO_4217: Final = 3
_FREE: Final = {"type": "unit", "amount": "0"}
Features = Mapping[str, Feature]
FeeColumns = Mapping[str, str | None]


class MeterDetails(Protocol):
    """What of a meter OpenMeter does not know: how its unit is called and what its FOCUS rows say."""

    def model_dump(self, *, exclude_unset: bool) -> dict[str, Any]: ...


async def catalog_now(
    server: Server,
    defaults: FocusDefaults,
    details: Mapping[str, MeterDetails],
    *,
    fees: Mapping[str, FeeColumns] | None = None,
    credits: Sequence[CreditGrant] = (),
    custom_currencies: Sequence[CustomCurrency] = (),
    customer_id_is_subject: bool = False,
    invoices_since: dt.date | None = None,
) -> Catalog:
    """Everything the server sells and meters, checked. Raises OpenMeterError and CatalogProblem.

    ``details`` are by meter slug, ``fees`` by the key of a flat fee's rate card. ``customer_id_is_subject``
    attributes usage of a customer's id to it too, which OpenMeter itself does not. ``credits`` are the settings':
    OpenMeter's own are of an API that is not stable yet. ``invoices_since``: the first day that invoices may concern;
    none are read where it is absent.
    """
    if server.v1 is None:
        raise UnsupportedCatalogEntry(
            f"{server.transport.url} offers v3 only, and every version of an item with its native price is in "
            "v1. Describe the catalog in focus.yaml and set source.openmeter.catalog: file. Nothing was written."
        )
    meters, slugs = await _meters(server, details)
    fees = fees or {}
    features, feature_keys = await _features(server, server.v1, meters, slugs)
    customers = {each.id: each for each in await server.api.customers()}
    ids = sorted(await server.api.subscription_ids())
    found = await subscriptions_now(server, server.v1, ids, feature_keys)
    published = await with_plans_of_v3(server, await server.v1.plans(), found, feature_keys)
    plans = list(_plans(published, features, fees))
    subscriptions = [
        subscription
        for each in found
        if each.customer_id in customers
        and (
            subscription := _subscription(
                each, customers[each.customer_id], {plan.key: plan for plan in plans}, features, fees
            )
        )
    ]
    sellers: list[Plan | Subscription] = [*plans, *subscriptions]
    sold = {card.feature for each in sellers for card in each.rate_cards if card.feature is not None}
    _require_known_fees(fees, sellers, server.transport.url)
    costs = await unit_costs(server)
    invoices: tuple[Invoice, ...] = ()
    if invoices_since is not None:
        invoices = await invoices_now(
            server, invoices_since, subscriptions=found, customers=customers.values()
        )
    catalog = Catalog(
        defaults=defaults,
        meters=tuple(meters[slug] for slug in sorted(meters)),
        features=tuple(features[key] for key in sorted(sold & features.keys())),
        customers=tuple(
            sorted(
                (_customer(each, customer_id_is_subject) for each in customers.values()),
                key=lambda customer: customer.key,
            )
        ),
        plans=tuple(sorted(plans, key=lambda plan: plan.key)),
        subscriptions=tuple(subscriptions),
        unit_costs=costs,
        llm_prices=await llm_prices(server, costs),
        currencies=await currencies(
            server.v1, [defaults.currency, *(each.currency for each in sellers if each.currency is not None)]
        ),
        credits=tuple(credits),
        custom_currencies=tuple(custom_currencies),
        invoices=invoices,
    )
    check_references(catalog)
    return catalog


async def _meters(
    server: Server, details: Mapping[str, MeterDetails]
) -> tuple[dict[str, Meter], dict[str, str]]:
    """Meters by slug, and the slug of each id. Meters of an aggregation not known here cannot be read."""
    found: dict[str, Meter] = {}
    slugs: dict[str, str] = {}
    for each in await server.api.meters():
        slug, aggregation, event_from, group_by = _said(each)
        slugs[each.id] = slug
        if aggregation not in Aggregation.__members__:
            raise UnsupportedCatalogEntry(
                f"meter {slug!r} has the aggregation {each.aggregation!r}; known: "
                f"{', '.join(Aggregation)}. Its usage cannot be read. Nothing was written."
            )
        counts = aggregation == Aggregation.COUNT
        own = details[slug].model_dump(exclude_unset=True) if slug in details else {}
        described = {
            "slug": slug,
            "name": each.name or "",
            "event_type": each.event_type,
            "aggregation": aggregation,
            "value_property": None if counts else each.value_property,
            # Asked for under these names, the server gives the event's own subject, or refuses to give the customer.
            "group_by": {key: path for key, path in group_by.items() if key not in _TAKEN},
            "event_from": event_from and _whole_second(event_from),
            **own,
        }
        found[slug] = entry(Meter, described, f"meter {slug!r}")
    unknown = sorted(set(details) - set(found))
    if unknown:
        raise UnsupportedCatalogEntry(
            f"source.openmeter.meters names {', '.join(unknown)}, which {server.transport.url} does not have; its "
            f"meters: {', '.join(sorted(found)) or 'none'}. Nothing was written."
        )
    return found, slugs


def _said(
    meter: wire_v3.Meter | wire_v1.Meter,
) -> tuple[str, str, dt.datetime | None, Mapping[str, str]]:
    if isinstance(meter, wire_v3.Meter):
        return meter.key, meter.aggregation.upper(), meter.events_from, meter.dimensions
    return meter.slug, meter.aggregation.upper(), meter.event_from, meter.group_by or {}


async def _features(
    server: Server, v1: V1, meters: Mapping[str, Meter], slugs: Mapping[str, str]
) -> tuple[dict[str, Feature], dict[str, str]]:
    """Features by key, of several with one key the one that is not archived, and the key of each id.

    One without meter can have a fee.
    """
    found: dict[str, Feature] = {}
    keys: dict[str, str] = {}
    # v3 does not list archived features, which running subscriptions may still sell.
    for old in sorted(
        await v1.features(), key=lambda each: each.archived_at is None and each.deleted_at is None
    ):
        keys[old.id] = old.key
        if old.meter_slug not in meters:
            found[old.key] = _feature(old.key, old.name, None, {})
        else:
            filters = {key: {"$eq": text} for key, text in (old.meter_group_by_filters or {}).items()}
            filters |= dict(old.advanced_meter_group_by_filters or {})  # type: ignore[arg-type]
            found[old.key] = _feature(old.key, old.name, old.meter_slug or "", filters)
    if server.v3 is not None:
        for each in await server.v3.features():
            keys[each.id] = each.key
            if each.meter is not None and each.meter.id in slugs:
                found[each.key] = _feature(each.key, each.name, slugs[each.meter.id], each.meter.filters)
            elif each.key not in found:
                found[each.key] = _feature(each.key, each.name, None, {})
    return found, keys


def _feature(key: str, name: str, meter: str | None, filters: Mapping[str, Mapping[str, Any]]) -> Feature:
    exact: dict[str, tuple[str, ...]] = {}
    for dimension, condition in filters.items():
        said = {op.lstrip("$"): value for op, value in condition.items() if value is not None}
        texts = said["in"] if set(said) == {"in"} else [said["eq"]] if set(said) == {"eq"} else None
        if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            exact[dimension] = tuple(sorted(texts))
        else:
            raise UnsupportedCatalogEntry(
                f"feature {key!r} filters {dimension!r} by {', '.join(sorted(said)) or 'nothing'}; only eq with a "
                "text and in with texts are known. Nothing was written."
            )
    return entry(Feature, {"key": key, "name": name, "meter": meter, "filters": exact}, f"feature {key!r}")


def _customer(customer: wire_v3.Customer | wire_v1.Customer, id_is_subject: bool) -> Customer:
    key = customer.key or customer.id
    attributed = customer.usage_attribution.subject_keys if customer.usage_attribution else []
    labels = customer.labels if isinstance(customer, wire_v3.Customer) else customer.metadata
    subjects = [*attributed, *([customer.id] if id_is_subject else [])]
    described = {
        "key": key,
        "id": customer.id,
        "name": customer.name,
        "subject_keys": sorted(set(subjects) - {key}),
        "labels": dict(labels or {}),
    }
    return entry(Customer, described, f"customer {key!r}")


def _plans(
    versions: Iterable[wire_v1.Plan], features: Features, fees: Mapping[str, FeeColumns]
) -> Iterator[Plan]:
    """One plan per key, each published version's prices from and until it was in effect.

    Where phases of a version price the same item differently, the last phase's price is the published one.
    """
    by_key: dict[str, list[wire_v1.Plan]] = {}
    for version in versions:
        if version.status != _DRAFT and version.effective_from is not None:
            by_key.setdefault(version.key, []).append(version)
    for key, published in sorted(by_key.items()):
        published.sort(key=lambda version: version.version)
        cards: dict[tuple[str, dt.datetime], RateCard] = {}
        for version in published:
            for phase in version.phases:
                for card in phase.rate_cards:
                    place = f"plan {key!r} version {version.version}, item {card.key!r}"
                    found = _rate_card(
                        card, place, version.effective_from, version.effective_to, features, fees
                    )
                    if found is not None and found.valid_from is not None:
                        cards[found.key, found.valid_from] = found
        last = published[-1]
        described: dict[str, Any] = {
            "key": key,
            "name": last.name,
            "currency": last.currency,
            "billing_cadence": last.billing_cadence,
            "rate_cards": tuple(cards[each] for each in sorted(cards)),
        }
        if last.pro_rating_config is not None:
            described["pro_rating_config"] = last.pro_rating_config
        yield entry(Plan, described, f"plan {key!r}")


def _subscription(
    subscription: wire_v1.Subscription,
    customer: wire_v3.Customer | wire_v1.Customer,
    plans: Mapping[str, Plan],
    features: Features,
    fees: Mapping[str, FeeColumns],
) -> Subscription | None:
    """A subscription with every version of its items; None where it sells nothing that is metered or priced."""
    key = customer.key or customer.id
    named = f"subscription {subscription.id} of customer {key!r}"
    plan = plans.get(subscription.plan.key) if subscription.plan else None
    cards = [
        card
        for phase in subscription.phases
        for items in phase.item_timelines.values()
        for item in items
        if (
            card := _rate_card(
                item, f"{named}, item {item.key!r}", item.active_from, item.active_to, features, fees
            )
        )
    ]
    if not cards:
        return None
    # Its items are priced in the custom currency of its plan, whatever its invoices are in.
    custom = plan is not None and len(plan.currency or "") > _ISO_4217
    described = {
        "key": subscription.id,
        "customer": key,
        # A plan in another currency publishes no price that this subscription could be compared with.
        "plan": plan.key if plan and (plan.currency == subscription.currency or custom) else None,
        "currency": subscription.currency,
        "active_from": _whole_second(subscription.active_from),
        "active_to": subscription.active_to and _whole_second(subscription.active_to),
        "billing_anchor": _whole_second(subscription.billing_anchor),
        "billing_cadence": subscription.billing_cadence,
        "rate_cards": sorted(cards, key=lambda card: (card.key, str(card.valid_from))),
        "own_prices_only": True,
        "pro_rating_config": subscription.pro_rating_config,
    }
    return entry(Subscription, described, named)


def _rate_card(
    item: wire_v1.Item | wire_v1.RateCard,
    place: str,
    begins: dt.datetime | None,
    ends: dt.datetime | None,
    features: Features,
    fees: Mapping[str, FeeColumns],
) -> RateCard | None:
    """A version of an item; None where there is nothing to rate: no length, or neither price nor meter."""
    begins, ends = begins and _whole_second(begins), ends and _whole_second(ends)
    if begins is not None and ends is not None and ends <= begins:
        return None
    feature = features.get(item.feature_key or "")
    metered = feature is not None and feature.meter is not None
    is_fee = item.price is not None and item.price.get("type") == "flat"
    if item.price is None and not metered:
        return None
    if not is_fee and item.feature_key is not None and not metered:
        raise UnsupportedCatalogEntry(
            f"{place}: feature {item.feature_key!r} has a price of usage but no meter. Nothing was written."
        )
    described: dict[str, Any] = {
        "key": item.key,
        "name": item.name,
        "billing_cadence": item.billing_cadence,
        "price": _without_nothing(item.price) if item.price is not None else _FREE,
        "valid_from": begins,
        "valid_to": ends,
    }
    if is_fee:
        described["dimensions"] = fees.get(item.key, {})
    if item.feature_key is not None:
        described["feature"] = item.feature_key
    if discounts := _discounts(_without_nothing(item.discounts or {})):
        described["discounts"] = discounts
    if unit_config := _without_nothing(item.unit_config or {}):
        described["unit_config"] = unit_config
    return entry(RateCard, described, place)


def _discounts(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Discounts as the catalog has them: v1 has an object for each, with its number and a correlation id."""
    found: dict[str, Any] = {}
    for kind, number in (("percentage", "percentage"), ("usage", "quantity")):
        each = stated.get(kind)
        if isinstance(each, Mapping):
            found[kind] = each.get(number)
            found[f"{kind}_correlation_id"] = each.get("correlationId", "")
        elif each is not None:
            found[kind] = each
    return found


def _require_known_fees(
    fees: Mapping[str, FeeColumns], sellers: Iterable[Plan | Subscription], url: str
) -> None:
    known = {card.key for seller in sellers for card in seller.rate_cards if card.is_fee}
    if unknown := sorted(set(fees) - known):
        raise UnsupportedCatalogEntry(
            f"source.openmeter.fees names {', '.join(unknown)}, which {url} does not have; its flat fees: "
            f"{', '.join(sorted(known)) or 'none'}. Nothing was written."
        )


def _without_nothing(value: Any) -> Any:
    """OpenMeter writes null for what is not set; the catalog's models want it left out."""
    if isinstance(value, Mapping):
        return {key: _without_nothing(each) for key, each in value.items() if each is not None}
    return [_without_nothing(each) for each in value] if isinstance(value, list) else value


def _whole_second(instant: dt.datetime) -> dt.datetime:
    """OpenMeter cuts the bounds of periods to the second."""
    return instant.replace(microsecond=0)
