"""The dataset Billing Period: whether the charges of a period can still change.

What belongs here: its rows. What does not: when a period closes (``close``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import polars as pl

from focus_assets.billing.bills import closed_by_invoices, supplier_of
from focus_assets.billing.close import PeriodClose
from focus_assets.billing.datasets import BILLING_PERIODS
from focus_assets.catalog.charges import ChargeSlice, midnight
from focus_assets.catalog.credit_charges import Charged, CreditCharge
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.models import Customer
from focus_assets.catalog.snapshot import Catalog
from focus_assets.errors import FocusAssetsError
from focus_assets.focus.dimensions import Resolution, resolve
from focus_assets.focus.offers import credit_key
from focus_assets.focus.settable import SETTABLE

Snapshot = tuple[Catalog, Sequence[Charged]]
"""A day's catalog, and what is rated, which fees are due and which credit is bought or ends on that day."""


class UnresolvedIssuer(FocusAssetsError):
    """Who issues an invoice is known from events alone, and a period may have none."""


class AccountPeriod(NamedTuple):
    """A billing period of an account with one issuer of invoices: what a row is identified by."""

    start: dt.datetime
    end: dt.datetime
    issuer: str
    account: str
    customer: str


def billing_periods(
    day: dt.date, today: Snapshot, close: PeriodClose, on: Callable[[dt.date], Snapshot]
) -> pl.LazyFrame:
    """:data:`~focus_assets.billing.datasets.BILLING_PERIODS` that accounts enter on ``day``.

    A period that an account enters late is listed on the day it does, so each stands in one partition. ``on`` gives
    an earlier day's snapshot (:func:`earlier_days` says which are asked for); it is asked only where a period of
    today began before, the day before first.
    """
    resolution = resolve(today[0])
    charged = {_period(each, resolution, today[0]): each for each in today[1]}
    new = set(charged)
    for earlier in reversed(earlier_days(day, today[1], close.start)):
        if not any(p.start < midnight(day) for p in new):
            break
        catalog, before = on(earlier)
        known = resolve(catalog)
        new -= {_period(each, known, catalog) for each in before}
    rows = [_row(p, charged[p], close, today[0]) for p in sorted(new)]
    return pl.LazyFrame(rows, schema=BILLING_PERIODS.schema, orient="row").sort(BILLING_PERIODS.order)


def earlier_days(day: dt.date, charged: Sequence[Charged], start: dt.date) -> list[dt.date]:
    """The days before ``day``, from ``start`` on, on which a billing period of today may have been listed."""
    begun = min((max(each.billing.start.date(), start) for each in charged), default=day)
    return [begun + dt.timedelta(days=n) for n in range((day - begun).days)]


def by_issuer(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The periods of several accounts as one row for each start, end and issuer: FOCUS has no account in its key.

    Closed when every account's is, and changed when the last of them did. Whose it is is said where it is one account's
    alone. Two periods that begin together, a month and a quarter say, are two: charges name start and end.
    """
    closed = (pl.col("BillingPeriodStatus") == "Closed").all()
    key = ("BillingPeriodStart", "BillingPeriodEnd", "InvoiceIssuerName")
    return (
        rows.group_by(key)
        .agg(
            pl.col("BillingPeriodCreated").min(),
            pl.col("BillingPeriodLastUpdated").max(),
            pl.when(closed).then(pl.lit("Closed")).otherwise(pl.lit("Open")).alias("BillingPeriodStatus"),
            *(
                pl.when(pl.col(name).n_unique() == 1).then(pl.col(name).first()).alias(name)
                for name in ("x_BillingAccountId", "x_CustomerKey")
            ),
        )
        .select(BILLING_PERIODS.schema.names())
        .sort(key)
    )


def _period(charged: Charged, resolution: Resolution, catalog: Catalog) -> AccountPeriod:
    billing, customer = charged.billing, charged.customer
    issuer = supplier_of(catalog, charged) or issuer_of(charged, resolution)
    return AccountPeriod(billing.start, billing.end, issuer, customer.account_id, customer.key)


def issuer_of(charged: Charged, resolution: Resolution, column: str | None = "InvoiceIssuerName") -> str:
    """Who issues the invoice (or another name), as rows without an event's own value say it."""
    fee = None
    if isinstance(charged, Fee):
        fee = resolution.of_fee(charged)
    elif isinstance(charged, CreditCharge):
        fee = resolution.fees[credit_key(charged.grant)]

    def answer(name: str) -> str | None:
        return (fee[name] if fee is not None else resolution.of(_meter(charged), name)).text

    return name_in_force(charged.customer, answer, column, charged.charge_id)


def name_in_force(
    customer: Customer, answer: Callable[[str], str | None], column: str | None, charge_id: str
) -> str:
    """What a column says: the customer's own value, else ``answer``, else that of the column it follows.

    Raises :class:`UnresolvedIssuer`, naming the charge, where all of them leave it to events.
    """
    while column is not None:
        text = customer.dimensions.get(column) or answer(column)
        if text is not None:
            return text
        column = SETTABLE[column].follows
    raise UnresolvedIssuer(
        f"charge {charge_id}: InvoiceIssuerName comes from events alone, so that a billing "
        "period has none. Set defaults.invoice_issuer_name, or a default beside the dimension. Nothing was written."
    )


def _meter(charged: Charged) -> str:
    return charged.charge.meter.slug if isinstance(charged, ChargeSlice) else ""


def _row(p: AccountPeriod, charged: Charged, close: PeriodClose, catalog: Catalog) -> dict[str, Any]:
    has_closed = close.has_closed(charged)
    closed = close.closes_at(charged.billing) if has_closed else None
    closed = closed or closed_by_invoices(catalog, charged, close.as_of)
    return {
        "BillingPeriodCreated": p.start,
        "BillingPeriodEnd": p.end,
        "BillingPeriodLastUpdated": closed or p.start,
        "BillingPeriodStart": p.start,
        "BillingPeriodStatus": "Closed" if has_closed or closed else "Open",
        "InvoiceIssuerName": p.issuer,
        "x_BillingAccountId": p.account,
        "x_CustomerKey": p.customer,
    }
