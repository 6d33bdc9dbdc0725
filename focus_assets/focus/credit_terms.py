"""The rows of credit itself: what buying it cost, and what of it expires unused.

What belongs here: lines of grants and their facts, in the tables of :mod:`charge_terms`. What does not: rows that a
grant pays for (``credits``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl

from focus_assets.catalog.charges import DAY, midnight
from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.models import Subscription
from focus_assets.catalog.periods import Cadence, Period
from focus_assets.catalog.plans import billing_cadence
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.charge_terms import FACTS, PRICES, of_columns, of_customer
from focus_assets.focus.dimensions import Resolution
from focus_assets.focus.offers import credit_key
from focus_assets.focus.units import MONEY_UNIT
from focus_assets.rating.lines import (
    CREDIT_EXPIRY_COMPONENT,
    CREDIT_PURCHASE_COMPONENT,
    NO_DIMENSIONS,
    RATED_LINES,
)

_SKU: Final = "credits"
_PRICE_ID: Final = f"default/{_SKU}/{CREDIT_PURCHASE_COMPONENT}"
_MONTHLY: Final = Cadence.parse("P1M")


def purchase_lines(grants: Sequence[CreditGrant], day: dt.date) -> pl.LazyFrame:
    """:data:`~focus_assets.rating.lines.RATED_LINES` of bought ``grants`` that take effect on ``day``.

    What they cost is billed and has no effective cost yet.
    """
    rows = [
        _line(
            grant,
            CREDIT_PURCHASE_COMPONENT,
            Period(grant.effective_at, grant.expires_at or midnight(day) + DAY),
            grant.amount,
        )
        for grant in grants
        if grant.takes_effect_on(day)
    ]
    return pl.LazyFrame(rows, schema=RATED_LINES, orient="row")


def expiry_lines(
    grants: Sequence[CreditGrant], expired: Mapping[str, Decimal], day: dt.date, catalog: Catalog
) -> pl.LazyFrame:
    """The same of bought ``grants`` of which something has ``expired`` on ``day`` (by grant id).

    It was billed when it was bought and becomes effective now: with the grant's end, or on the day that gave something
    back to a grant that had ended before.
    """
    rows = [
        _line(
            grant,
            CREDIT_EXPIRY_COMPONENT,
            _expiry_period(grant, day, catalog),
            expired[grant.grant_id],
        )
        for grant in grants
        if grant.grant_id in expired
    ]
    return pl.LazyFrame(rows, schema=RATED_LINES, orient="row")


def _expiry_period(grant: CreditGrant, day: dt.date, catalog: Catalog) -> Period:
    """``day`` up to the grant's end, from where the billing period begins that holds its last instant."""
    end = grant.end if grant.end is not None and grant.ends_on(day) else midnight(day) + DAY
    last = end - dt.timedelta(seconds=1)
    billing = _billing(_subscription(grant, last, catalog), last, catalog)
    return Period(max(midnight(day), grant.effective_at, billing.start), end)


def _line(grant: CreditGrant, component: str, period: Period, amount: Decimal) -> dict[str, Any]:
    expires = component == CREDIT_EXPIRY_COMPONENT
    return {
        "charge_id": grant.grant_id,
        "slice_from": period.start,
        "slice_to": period.end,
        "component": component,
        "tier": None,
        "subject": None,
        "dimensions": NO_DIMENSIONS,
        "consumed_quantity": Decimal(0) if expires else None,
        "pricing_quantity": amount,
        "list_unit_price": Decimal(1),
        "contracted_unit_price": Decimal(1),
        "list_cost": amount,
        "contracted_cost": amount,
        "billed_cost": Decimal(0) if expires else amount,
        "effective_cost": amount if expires else Decimal(0),
    }


def credit_terms(
    lines: pl.LazyFrame,
    grants: Iterable[CreditGrant],
    catalog: Catalog,
    resolution: Resolution,
    prefix: str | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The facts of the lines of grants and of their prices, as ``charge_terms`` gives them."""
    by_id = {grant.grant_id: grant for grant in grants}
    keys = lines.select("charge_id", "slice_from", "slice_to", "component").collect()
    facts = [
        _facts(by_id[grant], start, end if component == CREDIT_EXPIRY_COMPONENT else start, catalog)
        | of_customer(catalog.customer[by_id[grant].customer], prefix)
        | of_columns(catalog.customer[by_id[grant].customer], resolution.fees[credit_key(by_id[grant])])
        | _pool(by_id[grant])
        for grant, start, end, component in keys.iter_rows()
    ]
    components = (CREDIT_PURCHASE_COMPONENT, CREDIT_EXPIRY_COMPONENT)
    prices = [
        (0, component, None, _PRICE_ID, '{"x_PriceModel":"credit"}', component) for component in components
    ]
    return (
        pl.DataFrame(facts, schema=FACTS, orient="row"),
        pl.DataFrame(prices, schema=PRICES, orient="row"),
    )


def _facts(grant: CreditGrant, start: dt.datetime, instant: dt.datetime, catalog: Catalog) -> dict[str, Any]:
    last = max(start, instant - dt.timedelta(seconds=1))
    subscription = _subscription(grant, last, catalog)
    billing = _billing(subscription, last, catalog)
    return {
        "charge_id": grant.grant_id,
        "slice_from": start,
        "_terms": 0,
        **_currency(grant, catalog),
        "_billing_from": billing.start,
        "_billing_to": billing.end,
        "_sku_key": _SKU,
        "_once": True,
        "_title": grant.title,
        "_subscription_key": subscription.key if subscription else None,
        "_grant": grant.grant_id,
    }


def _currency(grant: CreditGrant, catalog: Catalog) -> dict[str, Any]:
    custom = catalog.custom_currency.get(grant.currency or "")
    if custom is None or grant.purchase is None:
        return {
            "_unit": MONEY_UNIT,
            "_pricing_unit": MONEY_UNIT,
            "_currency": grant.currency or catalog.defaults.currency,
        }
    return {
        "_unit": custom.title,
        "_currency": grant.purchase.currency or catalog.defaults.currency,
        "_pricing_currency": custom.code,
        "_rate": grant.purchase.per_unit_cost_basis,
    }


def _pool(grant: CreditGrant) -> dict[str, Any]:
    return {
        "_ResourceId": grant.grant_id,
        "_ResourceName": grant.title,
        "_ResourceType": "Credit Pool",
    }


def _subscription(grant: CreditGrant, instant: dt.datetime, catalog: Catalog) -> Subscription | None:
    """The customer's first subscription at ``instant`` that the credit can pay for."""
    currency = grant.currency or catalog.defaults.currency
    custom = currency in catalog.custom_currency
    found = (
        s
        for s in sorted(catalog.subscriptions, key=lambda s: s.key)
        if s.customer == grant.customer
        and s.is_active_at(instant)
        and (catalog.plan[s.plan].currency if custom and s.plan else catalog.invoiced_in(s)) == currency
    )
    return next(found, None)


def _billing(subscription: Subscription | None, instant: dt.datetime, catalog: Catalog) -> Period:
    """The subscription's billing period; the calendar month where there is no subscription any more."""
    if subscription is None:
        return _MONTHLY.period_at(dt.datetime(2000, 1, 1, tzinfo=dt.UTC), instant)
    plan = catalog.plan[subscription.plan] if subscription.plan else None
    return billing_cadence(plan, subscription).period_at(subscription.anchor, instant)
