"""Entries of a catalog that contradict each other: names that nobody has, and what stands or is sold twice.

What belongs here: what takes several entries to see. What does not: validity rules of a single one (``models``).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from focus_assets.catalog.instants import BEGINNING
from focus_assets.catalog.key_values import Value, vendors_keys
from focus_assets.catalog.plans import RateCard, Subscription

if TYPE_CHECKING:
    from focus_assets.catalog.snapshot import Catalog

_END = dt.datetime.max.replace(tzinfo=dt.UTC)


def contradictions(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Where an entry names another that does not exist, stands twice or sells twice: (key path, sentence)."""

    def known(kind: str, keys: Iterable[str]) -> str:
        return f"known {kind}: {', '.join(sorted(keys)) or 'none'}"

    for kind, keys in {
        "meters": [m.slug for m in catalog.meters],
        "features": [f.key for f in catalog.features],
        "plans": [p.key for p in catalog.plans],
        "subscriptions": [s.key for s in catalog.subscriptions],
        "credits": [grant.key for grant in catalog.credits],
        "custom_currencies": [currency.code for currency in catalog.custom_currencies],
    }.items():
        for key, count in Counter(keys).items():
            if count > 1:
                yield f"{kind}[{_last(keys, key)}]", f"{key!r} stands {count} times; a key may stand once"
    versions = [(c.key, c.valid_from) for c in catalog.customers]
    for (key, valid_from), count in Counter(versions).items():
        if count > 1:
            place = f"customers[{_last(versions, (key, valid_from))}]"
            yield (
                place,
                f"customer {key!r} stands {count} times; a second version needs a valid_from of its own",
            )
    yield from _shared_subjects(catalog)
    for i, feature in enumerate(catalog.features):
        if feature.meter is None:
            continue
        meter = catalog.meter.get(feature.meter)
        if meter is None:
            yield (
                f"features[{i}].meter",
                f"unknown meter {feature.meter!r}; {known('meters', catalog.meter)}",
            )
            continue
        for name in feature.filters:
            if name not in meter.group_by:
                yield (
                    f"features[{i}].filters.{name}",
                    f"meter {meter.slug!r} has no group_by key {name!r}; {known('keys', meter.group_by)}",
                )
    for i, plan in enumerate(catalog.plans):
        yield from _unknown_features(catalog, f"plans[{i}]", plan.rate_cards)
        if plan.currency and len(plan.currency) != 3 and plan.currency not in catalog.custom_currency:
            yield (
                f"plans[{i}].currency",
                f"unknown currency {plan.currency!r}; {known('custom currencies', catalog.custom_currency)}",
            )
    for i, sub in enumerate(catalog.subscriptions):
        if sub.customer not in catalog.customer:
            yield (
                f"subscriptions[{i}].customer",
                f"unknown customer {sub.customer!r}; {known('customers', list(catalog.customer)[:20])}",
            )
        if sub.plan is not None and sub.plan not in catalog.plan:
            yield f"subscriptions[{i}].plan", f"unknown plan {sub.plan!r}; {known('plans', catalog.plan)}"
        yield from _unknown_features(catalog, f"subscriptions[{i}]", sub.rate_cards)
        yield from _foreign_currency(catalog, f"subscriptions[{i}].currency", sub)
    yield from _sold_twice(catalog)
    yield from _unusable_credits(catalog)
    yield from _tags_of_the_vendor(catalog)


def _unknown_features(catalog: Catalog, place: str, cards: tuple[RateCard, ...]) -> Iterator[tuple[str, str]]:
    for j, card in enumerate(cards):
        if card.feature is None:
            continue
        feature = catalog.feature.get(card.feature)
        if feature is None:
            yield (
                f"{place}.rate_cards[{j}].feature",
                f"unknown feature {card.feature!r}: a price needs a feature, and a feature a meter; "
                f"known features: {', '.join(sorted(catalog.feature)) or 'none'}",
            )
        elif feature.meter is None and not card.is_fee:
            yield (
                f"{place}.rate_cards[{j}].feature",
                f"feature {card.feature!r} has no meter, so its usage has no price; "
                "give the feature a meter, or make the price flat",
            )


def _foreign_currency(catalog: Catalog, place: str, sub: Subscription) -> Iterator[tuple[str, str]]:
    plan = catalog.plan.get(sub.plan or "")
    if plan is None or sub.currency is None or plan.currency in catalog.custom_currency:
        return
    published = plan.currency or catalog.defaults.currency
    if sub.currency != published:
        yield (
            place,
            f"{sub.currency!r} is not the currency of plan {plan.key!r}, whose prices are in {published}; "
            f"leave it out, or make a plan in {sub.currency}",
        )


def _sold_twice(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """A customer may buy a feature through one rate card at a time; two would bill its usage twice."""
    taken: dict[tuple[str, str | None], list[tuple[Subscription, RateCard]]] = {}
    told: set[tuple[str | None, ...]] = set()
    for i, sub in enumerate(catalog.subscriptions):
        plan = catalog.plan.get(sub.plan or "")
        of_plan = plan.rate_cards if plan and not sub.own_prices_only else ()
        by_usage = [(card, card.feature) for card in (*of_plan, *sub.rate_cards) if not card.is_fee]
        for card, feature in sorted(by_usage, key=lambda sold: (sold[0].key, sold[1] or "")):
            for other, sold in taken.setdefault((sub.customer, feature), []):
                names = (sub.key, card.key, other.key, sold.key, feature)
                if (other is sub and sold.key == card.key) or names in told:
                    continue
                if _overlap(_in_force(other, sold), _in_force(sub, card)):
                    told.add(names)
                    yield (
                        f"subscriptions[{i}]",
                        f"customer {sub.customer!r} buys feature {feature!r} through {other.key!r} "
                        f"(rate card {sold.key!r}) and {sub.key!r} (rate card {card.key!r}) at the same "
                        "time, so its usage would be billed twice; end one subscription with active_to, "
                        "or give a card that replaces the other the other's key",
                    )
            taken[sub.customer, feature].append((sub, card))


def _unusable_credits(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """A grant is some customer's, for features that are sold, in a currency that the customer is invoiced in."""
    for i, grant in enumerate(catalog.credits):
        if grant.customer not in catalog.customer:
            yield f"credits[{i}].customer", f"unknown customer {grant.customer!r}"
            continue
        for key in grant.filters.features:
            if key not in catalog.feature:
                yield (
                    f"credits[{i}].filters.features",
                    f"unknown feature {key!r}; known features: {', '.join(sorted(catalog.feature)) or 'none'}",
                )
        if grant.currency and len(grant.currency) != 3 and grant.currency not in catalog.custom_currency:
            known = ", ".join(sorted(catalog.custom_currency)) or "none"
            yield (
                f"credits[{i}].currency",
                f"unknown currency {grant.currency!r}; known custom currencies: {known}",
            )
            continue
        custom = grant.currency in catalog.custom_currency
        invoiced = {
            s.key: (s.plan and catalog.plan[s.plan].currency if custom else catalog.invoiced_in(s))
            for s in catalog.subscriptions
            if s.customer == grant.customer and (s.plan is None or s.plan in catalog.plan)
        }
        currency = grant.currency or catalog.defaults.currency
        if currency not in invoiced.values():
            yield (
                f"credits[{i}].currency",
                f"customer {grant.customer!r} has no subscription in {currency}, so the credit pays for "
                f"nothing; its are in: {', '.join(sorted(filter(None, invoiced.values()))) or 'nothing'}",
            )
        elif grant.is_bought and not any(
            invoiced[s.key] == currency and s.is_active_at(grant.effective_at)
            for s in catalog.subscriptions
            if s.key in invoiced
        ):
            yield (
                f"credits[{i}].effective_at",
                f"customer {grant.customer!r} has no subscription in {currency} at "
                f"{grant.effective_at:%FT%TZ}, so no billing period holds what the credit cost; choose an "
                "instant within a subscription",
            )


def _tags_of_the_vendor(catalog: Catalog) -> Iterator[tuple[str, str]]:
    stated: list[tuple[str, Mapping[str, Value]]] = [("defaults.tags", catalog.defaults.tags)]
    stated += [(f"meters[{i}].tags", meter.tags) for i, meter in enumerate(catalog.meters)]
    stated += [(f"customers[{i}].tags", customer.tags) for i, customer in enumerate(catalog.customers)]
    for place, tags in stated:
        for problem in vendors_keys(tags, catalog.defaults.vendor_tag_prefix):
            yield place, problem


def _shared_subjects(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """A subject may move from one customer to another on a day, but never belong to two at once."""
    told: set[str] = set()
    for day in sorted({c.valid_from or dt.date.min for c in catalog.customers}):
        owner: dict[str, str] = {}
        for customer in catalog.on(day).customers:
            for subject in customer.subjects:
                other = owner.setdefault(subject, customer.key)
                if other != customer.key and subject not in told:
                    told.add(subject)
                    place = _last([c.key for c in catalog.customers], customer.key)
                    yield (
                        f"customers[{place}].subject_keys",
                        f"subject {subject!r} belongs to {other!r} and to {customer.key!r}; "
                        "one customer may have it",
                    )


def _in_force(sub: Subscription, card: RateCard) -> tuple[dt.datetime, dt.datetime]:
    """When a card is sold at the longest; a version that follows it may end it earlier."""
    ends = [end for end in (card.valid_to, sub.active_to) if end is not None]
    return max(card.valid_from or BEGINNING, sub.active_from), min(ends, default=_END)


def _overlap(one: tuple[dt.datetime, dt.datetime], other: tuple[dt.datetime, dt.datetime]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _last(items: list[Any], item: Any) -> int:
    return len(items) - 1 - items[::-1].index(item)
