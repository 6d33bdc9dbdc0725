"""A catalog: everything that says what usage means and costs, whole or as it stood on one day."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
from pydantic import Field

from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.currencies import CurrencyCode
from focus_assets.catalog.custom_currencies import CustomCurrency
from focus_assets.catalog.instants import BEGINNING
from focus_assets.catalog.invoices import BilledParts, Invoice, billed_parts
from focus_assets.catalog.key_values import KeyValues
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
from focus_assets.catalog.plans import oldest_rating_period
from focus_assets.catalog.references import contradictions
from focus_assets.catalog.unit_costs import Currency, FeatureUnitCost, LlmPrice
from focus_assets.datasets import CATALOG
from focus_assets.errors import FocusAssetsError

if TYPE_CHECKING:
    from focus_assets.catalog.charges import ChargeSlice


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
    tags: KeyValues = {}
    """Tags of every row that has not the key from anything nearer, without prefix."""
    sku_price_details: KeyValues = {}
    """Properties in SkuPriceDetails of every price: FOCUS's own, or keys that begin with x_."""


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
    def slices_by_day(self) -> dict[dt.date, tuple[ChargeSlice, ...]]:
        """What :func:`~focus_assets.catalog.charges.slices_on` answered of this snapshot, which never changes."""
        return {}

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

        But for later versions of flat fees: they say when a fee's service period is cut short. And credit that has
        ended is there until the last charge has that it could have paid: what takes cost back gives back what it paid.
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
        active = tuple(
            s.model_copy(update={"rate_cards": begun(s.rate_cards)})
            for s in self.subscriptions
            if s.active_from < end and (s.active_to is None or s.active_to > midnight)
        )
        # Not model_copy: it would copy the cached lookups, and the snapshot would answer with later versions.
        return Catalog(
            defaults=self.defaults,
            meters=self.meters,
            features=self.features,
            customers=tuple(versions[key] for key in sorted(versions)),
            plans=tuple(p.model_copy(update={"rate_cards": begun(p.rate_cards)}) for p in self.plans),
            subscriptions=active,
            unit_costs=self.unit_costs,
            llm_prices=tuple(
                price
                for price in self.llm_prices
                if price.effective_from < end
                and (price.effective_to is None or price.effective_to > midnight)
            ),
            currencies=self.currencies,
            credits=tuple(
                grant
                for grant in self.credits
                if grant.is_usable_on(day) or self._may_take_back(grant, midnight, active)
            ),
            custom_currencies=self.custom_currencies,
            invoices=tuple(invoice for invoice in self.invoices if invoice.concerns(day)),
        )

    def _may_take_back(
        self, grant: CreditGrant, midnight: dt.datetime, active: Iterable[Subscription]
    ) -> bool:
        """Whether a grant that has ended has paid, or could have, of a charge that goes on: it may cost less yet."""
        if grant.end is None or grant.end > midnight:
            return False
        oldest = (
            oldest_rating_period(self.plan.get(s.plan or ""), s, midnight, grant.filters.features)
            for s in active
            if s.customer == grant.customer
        )
        return any(start < grant.end for start in oldest if start is not None)

    def check_references(self) -> None:
        """Raise :class:`CatalogProblem` where an entry names another that does not exist, or stands twice."""
        problems = list(contradictions(self))
        if problems:
            raise CatalogProblem(problems)

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


def _canonical(entry: Entry) -> str:
    return json.dumps(
        entry.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
