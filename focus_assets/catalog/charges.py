"""Charges: what a catalog asks to be rated on a day, and where the day has to be cut.

A charge is one version of a subscription item (rate card) of one customer in one rating period. What tiers,
packages and limits count, they count from the charge's start. Rating and billing periods begin and end to the
second, so a day may hold several slices of charges.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from focus_assets.catalog.comparable import is_comparable, tiering
from focus_assets.catalog.custom_currencies import PricedIn
from focus_assets.catalog.instants import BEGINNING
from focus_assets.catalog.invoices import cut_at, divided
from focus_assets.catalog.models import Customer, Feature, Meter, Plan, Price, RateCard, Subscription
from focus_assets.catalog.periods import Cadence, Period
from focus_assets.catalog.plans import billing_cadence
from focus_assets.catalog.rate_card_terms import Discounts
from focus_assets.catalog.snapshot import Catalog
from focus_assets.errors import FocusAssetsError

DAY = dt.timedelta(days=1)

OPEN_END = dt.datetime.max.replace(tzinfo=dt.UTC)
"""The end of what has none yet."""

_REMEMBERED = 20_000
"""How many slices a snapshot remembers; a charge's is about a kilobyte."""


class OpeningUnknown(FocusAssetsError):
    """A charge began before the first day, so what it had used by then is not known."""


class CostBasisUnknown(FocusAssetsError):
    """Prices in a custom currency, of which nobody says what it is worth in money."""


@dataclass(frozen=True)
class Charge:
    """One version of a subscription item in one rating period.

    ``rating`` is the whole rating period; ``period`` the part of it in which this version was active.
    ``list_price`` and ``list_discounts`` are the published plan's, else the charge's own. ``currency`` is that of
    the invoice; prices are in it too unless they are ``priced_in`` a custom one.
    """

    charge_id: str
    customer: Customer
    subscription: Subscription
    plan: Plan | None
    rate_card: RateCard
    list_price: Price
    feature: Feature
    meter: Meter
    currency: str
    rating: Period
    period: Period
    list_discounts: Discounts = field(default_factory=Discounts)
    priced_in: PricedIn | None = None

    @property
    def cadence(self) -> Cadence:
        """How often the charge's rating period begins anew."""
        return self.rate_card.billing_cadence or billing_cadence(self.plan, self.subscription)

    @property
    def is_priced_by_total(self) -> bool:
        """Whether usage is priced anew when more is used, so that it has to be known by whom it was used."""
        return "volume" in (tiering(self.rate_card.price), tiering(self.list_price))


@dataclass(frozen=True)
class ChargeSlice:
    """The part of a charge within one day and one billing period; most days hold one slice of a charge.

    ``invoice``: the invoice of the billing period, once the period has closed, or the one that was imported. ``part``:
    where invoices bill the charge in parts, the one that holds the slice.
    """

    charge: Charge
    period: Period
    billing: Period
    invoice: str | None = None
    part: Period | None = None

    @property
    def charge_id(self) -> str:
        """What identifies its charge."""
        return self.charge.charge_id

    @property
    def customer(self) -> Customer:
        """Who pays for it."""
        return self.charge.customer

    @property
    def subscription(self) -> Subscription:
        """What it is part of."""
        return self.charge.subscription

    @property
    def rate_card(self) -> RateCard:
        """What prices it."""
        return self.charge.rate_card

    @property
    def currency(self) -> str:
        """What it is invoiced in."""
        return self.charge.currency

    @property
    def billed_period(self) -> Period:
        """The part of the charge that lies in the billing period: what one line of its invoice is for."""
        return (self.part or self.charge.period).clip(self.billing.start, self.billing.end)


@dataclass(frozen=True)
class Cut:
    """An instant within a day at which the usage of a subject has to be asked for in two parts."""

    meter: str
    subject: str
    instant: dt.datetime


def midnight(day: dt.date) -> dt.datetime:
    """The UTC instant at which ``day`` begins."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def slices_on(catalog: Catalog, day: dt.date) -> list[ChargeSlice]:
    """Every slice of every charge on ``day``, ordered by charge and time.

    ``catalog`` is the snapshot of that day. Days without usage have slices too: a tier fee needs no usage.
    Every stage and check of a day asks for them, so a snapshot remembers its answers, up to :data:`_REMEMBERED`.
    """
    remembered = catalog.slices_by_day
    found = remembered.get(day)
    if found is None:
        found = tuple(_slices_on(catalog, day))
        if sum(map(len, list(remembered.values()))) + len(found) > _REMEMBERED:
            remembered.clear()
        remembered[day] = found
    return list(found)


def _slices_on(catalog: Catalog, day: dt.date) -> list[ChargeSlice]:
    today = Period(midnight(day), midnight(day) + DAY)
    found = [
        each
        for subscription in catalog.subscriptions
        for charge in _charges(catalog, subscription, today)
        for billing, part in _by_billing_period(catalog, charge, charge.period.clip(today.start, today.end))
        for each in _by_part(catalog, ChargeSlice(charge, part, billing))
    ]
    return sorted(found, key=lambda s: (s.charge.charge_id, s.period.start))


def cuts_on(slices: Sequence[ChargeSlice], day: dt.date) -> list[Cut]:
    """Where windows of a subject have to end early so that each lies in one slice or in none."""
    start, end = midnight(day), midnight(day) + DAY
    cuts = {
        Cut(s.charge.meter.slug, subject, instant)
        for s in slices
        for instant in (s.period.start, s.period.end)
        if start < instant < end
        for subject in s.charge.customer.subjects
    }
    return sorted(cuts, key=lambda cut: (cut.meter, cut.subject, cut.instant))


def first_billing_period(catalog: Catalog, subscription: Subscription, start: dt.date) -> Period | None:
    """The billing period of the first instant that a subscription is active on or after ``start``, if any.

    No charge of the subscription from ``start`` on lies in an earlier one.
    """
    first = max(subscription.active_from, midnight(start))
    if subscription.active_to is not None and subscription.active_to <= first:
        return None
    plan = catalog.plan[subscription.plan] if subscription.plan else None
    return billing_cadence(plan, subscription).period_at(subscription.anchor, first)


def require_known_opening(slices: Sequence[ChargeSlice], start: dt.date, *, assume_zero: bool) -> None:
    """Refuse charges that began before the first day, unless they are said to begin at zero."""
    early = sorted(
        {
            (s.charge.period.start, s.charge.charge_id)
            for s in slices
            if s.charge.period.start < midnight(start)
        }
    )
    if early and not assume_zero:
        instant, charge_id = early[0]
        raise OpeningUnknown(
            f"charge {charge_id} began at {instant:%FT%TZ}, before start_date {start}, and event files do "
            f"not say what it had used by then ({len(early)} such charges). Either set start_date to "
            f"{instant:%F} or earlier and provide the events since, or set `opening: zero` in focus.yaml to "
            "count from start_date. Nothing was written."
        )


_INDEXED: dict[int, tuple[tuple[RateCard, ...], Mapping[str, list[RateCard]]]] = {}


def _cards_by_key(cards: tuple[RateCard, ...]) -> Mapping[str, list[RateCard]]:
    """Looked up by the tuple itself: a plan of 1,000 cards sold to many is otherwise gone through for every charge."""
    held = _INDEXED.get(id(cards))
    if held is None or held[0] is not cards:
        if len(_INDEXED) > 256:
            _INDEXED.clear()
        by_key: dict[str, list[RateCard]] = {}
        for card in cards:
            by_key.setdefault(card.key, []).append(card)
        held = _INDEXED[id(cards)] = (cards, by_key)
    return held[1]


def published_card(plan: Plan | None, own: RateCard, instant: dt.datetime) -> RateCard | None:
    """The plan's card that ``own`` is compared with: in force under the same key, of the same feature, in like units.

    Another feature's price is no list price, nor is a fee that of usage or the other way round, nor is one for units
    that rows of ``own`` do not have.
    """
    cards = [
        card
        for card in (_cards_by_key(plan.rate_cards).get(own.key, ()) if plan else ())
        if card.feature == own.feature
        and card.is_fee == own.is_fee
        and (card.valid_from or BEGINNING) <= instant
    ]
    latest = max(cards, key=lambda card: card.valid_from or BEGINNING) if cards else None
    return latest if latest is not None and is_comparable(own, latest) else None


def _charges(catalog: Catalog, subscription: Subscription, today: Period) -> Iterator[Charge]:
    customer = catalog.customer.get(subscription.customer)
    if customer is None:
        return
    plan = catalog.plan[subscription.plan] if subscription.plan else None
    for card, active in active_items(plan, subscription, today):
        feature = catalog.feature.get(card.feature or "")
        if card.is_fee or feature is None or feature.meter is None:
            continue
        cadence = card.billing_cadence or billing_cadence(plan, subscription)
        for rating in cadence.periods(
            subscription.anchor, max(active.start, today.start), min(active.end, today.end)
        ):
            period = rating.clip(active.start, active.end)
            listed = published_card(plan, card, period.start) or card
            yield Charge(
                charge_id=charge_id(subscription, card, period),
                customer=customer,
                subscription=subscription,
                plan=plan,
                rate_card=card,
                list_price=listed.price,
                feature=feature,
                meter=catalog.meter[feature.meter],
                currency=catalog.invoiced_in(subscription),
                priced_in=priced_in(catalog, plan, subscription, period.start),
                rating=rating,
                period=period,
                list_discounts=listed.discounts,
            )


def charge_id(subscription: Subscription, card: RateCard, period: Period) -> str:
    """What identifies one version of a subscription item in one period."""
    return f"{subscription.key}/{card.key}/{period.start:%Y%m%dT%H%M%SZ}"


def priced_in(
    catalog: Catalog, plan: Plan | None, subscription: Subscription, instant: dt.datetime
) -> PricedIn | None:
    """The custom currency that prices are in, with its worth when the charge begins: days of a charge have one."""
    custom = catalog.custom_currency.get((plan.currency if plan else None) or "")
    if custom is None:
        return None
    fiat = catalog.invoiced_in(subscription)
    rate = custom.rate_at(fiat, instant)
    if rate is None:
        raise CostBasisUnknown(
            f"subscription {subscription.key!r} is priced in {custom.code} and invoiced in {fiat}, but "
            f"custom_currencies[{custom.code}].cost_bases has none in {fiat} at {instant:%FT%TZ}. Nothing was written."
        )
    return PricedIn(custom, rate)


def active_items(
    plan: Plan | None, subscription: Subscription, today: Period
) -> Iterator[tuple[RateCard, Period]]:
    """Every version of every item that is active at some instant of ``today``, with the whole of its active time."""
    for versions in _item_versions(plan, subscription).values():
        for version, (card, begins) in enumerate(versions):
            ends = versions[version + 1][1] if version + 1 < len(versions) else None
            ends = _earliest(ends, card.valid_to, subscription.active_to)
            active = Period(max(begins, subscription.active_from), ends)
            if active.start < active.end and active.overlaps(today.start, today.end):
                yield card, active


def _item_versions(
    plan: Plan | None, subscription: Subscription
) -> Mapping[str, list[tuple[RateCard, dt.datetime]]]:
    """By rate card key, each version in force with the instant it begins; the subscription's own override."""
    versions: dict[str, list[tuple[RateCard, dt.datetime]]] = {}
    own_keys = {card.key for card in subscription.rate_cards}
    of_plan = plan.rate_cards if plan and not subscription.own_prices_only else ()
    published = [card for card in of_plan if card.key not in own_keys]
    negotiated = [
        card
        for card in of_plan
        if card.key in own_keys and (card.valid_from or BEGINNING) < _first_own(subscription, card.key)
    ]
    for card in (*published, *negotiated, *subscription.rate_cards):
        versions.setdefault(card.key, []).append((card, card.valid_from or BEGINNING))
    for found in versions.values():
        found.sort(key=lambda version: version[1])
    return dict(sorted(versions.items()))


def _first_own(subscription: Subscription, key: str) -> dt.datetime:
    return min(card.valid_from or BEGINNING for card in subscription.rate_cards if card.key == key)


def _by_billing_period(catalog: Catalog, charge: Charge, part: Period) -> Iterator[tuple[Period, Period]]:
    cadence = billing_cadence(charge.plan, charge.subscription)
    for billing in cadence.periods(charge.subscription.anchor, part.start, part.end):
        yield billing, billing.clip(part.start, part.end)


def parts_of(catalog: Catalog, charge: Charge) -> list[Period]:
    """The parts in which a charge is invoiced: those of imported invoices, else its subscription's; one mostly."""
    billed = catalog.billed_parts.get((charge.subscription.key, charge.rate_card.key), ())
    if billed or not charge.subscription.progressive_billing or not _is_billed_progressively(charge):
        return divided(charge.period, billed)
    return cut_at(charge.period, charge.subscription.progressive_billing)


def _would_be_cut(catalog: Catalog, charge: Charge) -> bool:
    """Whether a charge that ends early would be invoiced in parts if it went on: days before know no better."""
    if catalog.billed_parts.get((charge.subscription.key, charge.rate_card.key)):
        return False
    instants = charge.subscription.progressive_billing
    inside = any(charge.period.start < each < charge.rating.end for each in instants)
    return inside and _is_billed_progressively(charge)


def _is_billed_progressively(charge: Charge) -> bool:
    """As OpenMeter judges it: where more usage never costs less. Source: ``rating/service/billableperiod.go``."""
    # A single volume tier prices each unit by itself, and OpenMeter invoices it at the end all the same.
    is_volume = getattr(charge.rate_card.price, "mode", None) == "volume" or charge.is_priced_by_total
    return not charge.meter.aggregation.can_fall and not is_volume


def _by_part(catalog: Catalog, whole: ChargeSlice) -> Iterator[ChargeSlice]:
    """A slice, cut where invoices bill its charge in parts."""
    parts = parts_of(catalog, whole.charge)
    if len(parts) == 1 and not _would_be_cut(catalog, whole.charge):
        yield whole
        return
    for part in parts:
        if part.overlaps(whole.period.start, whole.period.end):
            yield replace(whole, period=whole.period.clip(part.start, part.end), part=part)


def _earliest(*instants: dt.datetime | None) -> dt.datetime:
    return min((i for i in instants if i is not None), default=OPEN_END)
