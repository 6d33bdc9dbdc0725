"""A catalog: everything that says what usage means and costs, whole or as it stood on one day."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Annotated, Any

import polars as pl
from pydantic import Field

from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.currencies import CurrencyCode
from focus_assets.catalog.custom_currencies import CustomCurrency
from focus_assets.catalog.invoices import BilledParts, Invoice, billed_parts
from focus_assets.catalog.models import (
    Customer,
    DimensionSetting,
    Entry,
    Feature,
    Meter,
    Plan,
    RateCard,
    Subscription,
)
from focus_assets.catalog.unit_costs import Currency, FeatureUnitCost, LlmPrice
from focus_assets.datasets import CATALOG
from focus_assets.errors import FocusAssetsError

BEGINNING = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
_END = dt.datetime.max.replace(tzinfo=dt.UTC)


class CatalogProblem(FocusAssetsError):
    """Entries of a catalog that contradict each other; the message lists each with its place."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{place}: {what}" for place, what in problems))


class FocusDefaults(Entry):
    """What every FOCUS row says unless something nearer to the charge says otherwise."""

    provider_name: Annotated[str, Field(min_length=1)]
    """ProviderName: who sells the service."""
    publisher_name: str | None = None
    """PublisherName; the provider where absent."""
    invoice_issuer_name: str | None = None
    """InvoiceIssuerName; the provider where absent."""
    host_provider_name: str | None = None
    """HostProviderName; the provider where absent."""
    currency: CurrencyCode = "USD"
    """ISO 4217 code."""
    vendor_tag_prefix: str | None = None
    """Prefix of the tags added here, such as acme in acme/plan."""
    dimensions: Mapping[str, DimensionSetting] = {}
    """FOCUS columns of every row: a text, null, or {dimension: KEY}."""


class Catalog(Entry):
    """Meters, features, customers, plans and subscriptions with the defaults of their FOCUS rows.

    From OpenMeter also what usage costs the seller, the currencies in which it sells, and its invoices.
    """

    defaults: FocusDefaults
    meters: tuple[Meter, ...] = ()
    features: tuple[Feature, ...] = ()
    customers: tuple[Customer, ...] = ()
    plans: tuple[Plan, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    unit_costs: tuple[FeatureUnitCost, ...] = ()
    llm_prices: tuple[LlmPrice, ...] = ()
    currencies: tuple[Currency, ...] = ()
    credits: tuple[CreditGrant, ...] = ()
    custom_currencies: tuple[CustomCurrency, ...] = ()
    invoices: tuple[Invoice, ...] = ()

    @cached_property
    def invoices_of(self) -> Mapping[str, tuple[Invoice, ...]]:
        """Invoices by the key of their customer."""
        found: dict[str, list[Invoice]] = {}
        for invoice in self.invoices:
            found.setdefault(invoice.customer, []).append(invoice)
        return {customer: tuple(invoices) for customer, invoices in found.items()}

    @cached_property
    def billed_parts(self) -> BilledParts:
        """What invoices bill of each item of a subscription."""
        return billed_parts(self.invoices)

    @cached_property
    def meter(self) -> Mapping[str, Meter]:
        """Meters by slug."""
        return {meter.slug: meter for meter in self.meters}

    @cached_property
    def feature(self) -> Mapping[str, Feature]:
        """Features by key."""
        return {feature.key: feature for feature in self.features}

    @cached_property
    def customer(self) -> Mapping[str, Customer]:
        """Customers by key; of several versions the last."""
        return {customer.key: customer for customer in self.customers}

    @cached_property
    def plan(self) -> Mapping[str, Plan]:
        """Plans by key."""
        return {plan.key: plan for plan in self.plans}

    @cached_property
    def custom_currency(self) -> Mapping[str, CustomCurrency]:
        """Custom currencies by code."""
        return {currency.code: currency for currency in self.custom_currencies}

    def invoiced_in(self, subscription: Subscription) -> str:
        """The currency of a subscription's invoices: its own, its plan's unless that is custom, the default."""
        plan = self.plan.get(subscription.plan or "")
        of_plan = plan.currency if plan is not None and plan.currency not in self.custom_currency else None
        return subscription.currency or of_plan or self.defaults.currency

    @cached_property
    def customer_of_subject(self) -> Mapping[str, str]:
        """The key of the customer that each subject belongs to."""
        return {subject: customer.key for customer in self.customers for subject in customer.subjects}

    def on(self, day: dt.date) -> Catalog:
        """The catalog as it stood on ``day``: one version of each customer, and nothing that began later.

        But for later versions of flat fees: they say when a fee's service period is cut short.
        """
        midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
        end = midnight + dt.timedelta(days=1)

        cards = [card for plan in self.plans for card in plan.rate_cards]
        cards += [card for subscription in self.subscriptions for card in subscription.rate_cards]
        # A fee in advance is charged by the length of its period, so what will end it has to be known that day.
        fees = {card.key for card in cards if card.is_fee}

        def begun(cards: Iterable[RateCard]) -> tuple[RateCard, ...]:
            # One that begins at the day's end is known too: it ends its predecessor, whose last day this is.
            return tuple(card for card in cards if (card.valid_from or BEGINNING) <= end or card.key in fees)

        versions: dict[str, Customer] = {}
        for customer in sorted(self.customers, key=lambda c: c.valid_from or dt.date.min):
            if (customer.valid_from or dt.date.min) <= day:
                versions[customer.key] = customer
        # Not model_copy: it would copy the cached lookups, and the snapshot would answer with later versions.
        return Catalog(
            defaults=self.defaults,
            meters=self.meters,
            features=self.features,
            customers=tuple(versions[key] for key in sorted(versions)),
            plans=tuple(p.model_copy(update={"rate_cards": begun(p.rate_cards)}) for p in self.plans),
            subscriptions=tuple(
                s.model_copy(update={"rate_cards": begun(s.rate_cards)})
                for s in self.subscriptions
                if s.active_from < end and (s.active_to is None or s.active_to > midnight)
            ),
            unit_costs=self.unit_costs,
            llm_prices=tuple(
                price
                for price in self.llm_prices
                if price.effective_from < end
                and (price.effective_to is None or price.effective_to > midnight)
            ),
            currencies=self.currencies,
            credits=tuple(grant for grant in self.credits if grant.is_usable_on(day)),
            custom_currencies=self.custom_currencies,
            invoices=tuple(invoice for invoice in self.invoices if invoice.concerns(day)),
        )

    def check_references(self) -> None:
        """Raise :class:`CatalogProblem` where an entry names another that does not exist, or stands twice."""
        problems = list(self._problems())
        if problems:
            raise CatalogProblem(problems)

    def _problems(self) -> Iterator[tuple[str, str]]:
        def known(kind: str, keys: Iterable[str]) -> str:
            return f"known {kind}: {', '.join(sorted(keys)) or 'none'}"

        for kind, keys in {
            "meters": [m.slug for m in self.meters],
            "features": [f.key for f in self.features],
            "plans": [p.key for p in self.plans],
            "subscriptions": [s.key for s in self.subscriptions],
            "credits": [grant.key for grant in self.credits],
            "custom_currencies": [currency.code for currency in self.custom_currencies],
        }.items():
            for key, count in Counter(keys).items():
                if count > 1:
                    yield f"{kind}[{_last(keys, key)}]", f"{key!r} stands {count} times; a key may stand once"
        versions = [(c.key, c.valid_from) for c in self.customers]
        for (key, valid_from), count in Counter(versions).items():
            if count > 1:
                place = f"customers[{_last(versions, (key, valid_from))}]"
                yield (
                    place,
                    f"customer {key!r} stands {count} times; a second version needs a valid_from of its own",
                )
        yield from self._shared_subjects()
        for i, feature in enumerate(self.features):
            if feature.meter is None:
                continue
            meter = self.meter.get(feature.meter)
            if meter is None:
                yield (
                    f"features[{i}].meter",
                    f"unknown meter {feature.meter!r}; {known('meters', self.meter)}",
                )
                continue
            for name in feature.filters:
                if name not in meter.group_by:
                    yield (
                        f"features[{i}].filters.{name}",
                        f"meter {meter.slug!r} has no group_by key {name!r}; {known('keys', meter.group_by)}",
                    )
        for i, plan in enumerate(self.plans):
            yield from self._unknown_features(f"plans[{i}]", plan.rate_cards)
            if plan.currency and len(plan.currency) != 3 and plan.currency not in self.custom_currency:
                yield (
                    f"plans[{i}].currency",
                    f"unknown currency {plan.currency!r}; {known('custom currencies', self.custom_currency)}",
                )
        for i, sub in enumerate(self.subscriptions):
            if sub.customer not in self.customer:
                yield (
                    f"subscriptions[{i}].customer",
                    f"unknown customer {sub.customer!r}; {known('customers', list(self.customer)[:20])}",
                )
            if sub.plan is not None and sub.plan not in self.plan:
                yield f"subscriptions[{i}].plan", f"unknown plan {sub.plan!r}; {known('plans', self.plan)}"
            yield from self._unknown_features(f"subscriptions[{i}]", sub.rate_cards)
            yield from self._foreign_currency(f"subscriptions[{i}].currency", sub)
        yield from self._sold_twice()
        yield from self._unusable_credits()

    def _unknown_features(self, place: str, cards: tuple[RateCard, ...]) -> Iterator[tuple[str, str]]:
        for j, card in enumerate(cards):
            if card.feature is None:
                continue
            feature = self.feature.get(card.feature)
            if feature is None:
                yield (
                    f"{place}.rate_cards[{j}].feature",
                    f"unknown feature {card.feature!r}: a price needs a feature, and a feature a meter; "
                    f"known features: {', '.join(sorted(self.feature)) or 'none'}",
                )
            elif feature.meter is None and not card.is_fee:
                yield (
                    f"{place}.rate_cards[{j}].feature",
                    f"feature {card.feature!r} has no meter, so its usage has no price; "
                    "give the feature a meter, or make the price flat",
                )

    def _foreign_currency(self, place: str, sub: Subscription) -> Iterator[tuple[str, str]]:
        plan = self.plan.get(sub.plan or "")
        if plan is None or sub.currency is None or plan.currency in self.custom_currency:
            return
        published = plan.currency or self.defaults.currency
        if sub.currency != published:
            yield (
                place,
                f"{sub.currency!r} is not the currency of plan {plan.key!r}, whose prices are in {published}; "
                f"leave it out, or make a plan in {sub.currency}",
            )

    def _sold_twice(self) -> Iterator[tuple[str, str]]:
        """A customer may buy a feature through one rate card at a time; two would bill its usage twice."""
        taken: dict[tuple[str, str | None], list[tuple[Subscription, RateCard]]] = {}
        told: set[tuple[str | None, ...]] = set()
        for i, sub in enumerate(self.subscriptions):
            plan = self.plan.get(sub.plan or "")
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

    def _unusable_credits(self) -> Iterator[tuple[str, str]]:
        """A grant is some customer's, for features that are sold, in a currency that the customer is invoiced in."""
        for i, grant in enumerate(self.credits):
            if grant.customer not in self.customer:
                yield f"credits[{i}].customer", f"unknown customer {grant.customer!r}"
                continue
            for key in grant.filters.features:
                if key not in self.feature:
                    yield (
                        f"credits[{i}].filters.features",
                        f"unknown feature {key!r}; known features: {', '.join(sorted(self.feature)) or 'none'}",
                    )
            if grant.currency and len(grant.currency) != 3 and grant.currency not in self.custom_currency:
                known = ", ".join(sorted(self.custom_currency)) or "none"
                yield (
                    f"credits[{i}].currency",
                    f"unknown currency {grant.currency!r}; known custom currencies: {known}",
                )
                continue
            custom = grant.currency in self.custom_currency
            invoiced = {
                s.key: (s.plan and self.plan[s.plan].currency if custom else self.invoiced_in(s))
                for s in self.subscriptions
                if s.customer == grant.customer and (s.plan is None or s.plan in self.plan)
            }
            currency = grant.currency or self.defaults.currency
            if currency not in invoiced.values():
                yield (
                    f"credits[{i}].currency",
                    f"customer {grant.customer!r} has no subscription in {currency}, so the credit pays for "
                    f"nothing; its are in: {', '.join(sorted(filter(None, invoiced.values()))) or 'nothing'}",
                )
            elif grant.is_bought and not any(
                invoiced[s.key] == currency and s.is_active_at(grant.effective_at)
                for s in self.subscriptions
                if s.key in invoiced
            ):
                yield (
                    f"credits[{i}].effective_at",
                    f"customer {grant.customer!r} has no subscription in {currency} at "
                    f"{grant.effective_at:%FT%TZ}, so no billing period holds what the credit cost; choose an "
                    "instant within a subscription",
                )

    def _shared_subjects(self) -> Iterator[tuple[str, str]]:
        """A subject may move from one customer to another on a day, but never belong to two at once."""
        told: set[str] = set()
        for day in sorted({c.valid_from or dt.date.min for c in self.customers}):
            owner: dict[str, str] = {}
            for customer in self.on(day).customers:
                for subject in customer.subjects:
                    other = owner.setdefault(subject, customer.key)
                    if other != customer.key and subject not in told:
                        told.add(subject)
                        place = _last([c.key for c in self.customers], customer.key)
                        yield (
                            f"customers[{place}].subject_keys",
                            f"subject {subject!r} belongs to {other!r} and to {customer.key!r}; "
                            "one customer may have it",
                        )

    def to_frame(self) -> pl.LazyFrame:
        """This catalog as rows of the ``catalog`` dataset, sorted; equal catalogs give equal rows."""
        entries: list[tuple[str, str, Entry]] = [("settings", "defaults", self.defaults)]
        entries += [("meter", m.slug, m) for m in self.meters]
        entries += [("feature", f.key, f) for f in self.features]
        entries += [("customer", c.key, c) for c in self.customers]
        entries += [("plan", p.key, p) for p in self.plans]
        entries += [("subscription", s.key, s) for s in self.subscriptions]
        entries += [("unit_cost", c.feature, c) for c in self.unit_costs]
        entries += [("llm_price", p.id, p) for p in self.llm_prices]
        entries += [("currency", c.code, c) for c in self.currencies]
        entries += [("credit", grant.key, grant) for grant in self.credits]
        entries += [("custom_currency", currency.code, currency) for currency in self.custom_currencies]
        entries += [("invoice", invoice.id, invoice) for invoice in self.invoices]
        rows = sorted((kind, key, _canonical(entry)) for kind, key, entry in entries)
        return pl.LazyFrame(rows, schema=CATALOG.schema, orient="row")

    @classmethod
    def from_frame(cls, frame: pl.LazyFrame) -> Catalog:
        """The catalog that :meth:`to_frame` wrote."""
        rows = frame.sort("kind", "key").select("kind", "document").collect().rows()
        return _parsed(tuple(rows))


@lru_cache(maxsize=64)
def _parsed(rows: tuple[tuple[str, str], ...]) -> Catalog:
    """Most days repeat the snapshot of the day before: each is parsed once."""
    found: dict[str, list[Any]] = {}
    for kind, document in rows:
        found.setdefault(kind, []).append(json.loads(document))
    return Catalog.model_validate(
        {
            "defaults": found["settings"][0],
            "meters": found.get("meter", []),
            "features": found.get("feature", []),
            "customers": found.get("customer", []),
            "plans": found.get("plan", []),
            "subscriptions": found.get("subscription", []),
            "unit_costs": found.get("unit_cost", []),
            "llm_prices": found.get("llm_price", []),
            "currencies": found.get("currency", []),
            "credits": found.get("credit", []),
            "custom_currencies": found.get("custom_currency", []),
            "invoices": found.get("invoice", []),
        }
    )


def _in_force(sub: Subscription, card: RateCard) -> tuple[dt.datetime, dt.datetime]:
    """When a card is sold at the longest; a version that follows it may end it earlier."""
    ends = [end for end in (card.valid_to, sub.active_to) if end is not None]
    return max(card.valid_from or BEGINNING, sub.active_from), min(ends, default=_END)


def _overlap(one: tuple[dt.datetime, dt.datetime], other: tuple[dt.datetime, dt.datetime]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _last(items: list[Any], item: Any) -> int:
    return len(items) - 1 - items[::-1].index(item)


def _canonical(entry: Entry) -> str:
    return json.dumps(
        entry.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
