"""Billing periods that an account has only because corrections are billed in them: its subscription has ended.

What belongs here: their rows. What does not: periods that accounts enter with charges (``periods``) and which period
takes a correction (``booking``).
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import polars as pl

from focus_assets.billing.booking import Closes
from focus_assets.billing.close import ClosedPeriod
from focus_assets.billing.correction_signs import is_correction
from focus_assets.billing.datasets import BILLING_PERIODS
from focus_assets.catalog.periods import Period
from focus_assets.catalog.plans import billing_cadence
from focus_assets.catalog.snapshot import Catalog

_KEY: Final = ("BillingPeriodStart", "BillingPeriodEnd", "InvoiceIssuerName", "x_BillingAccountId")


def booked_periods(
    rows: pl.LazyFrame, listed: pl.LazyFrame, last: dt.date, catalog: Catalog, closes: Closes
) -> pl.LazyFrame:
    """:data:`~focus_assets.billing.datasets.BILLING_PERIODS` that nothing but the corrections of a day is billed in.

    Args:
        rows: the day's rows of Cost and Usage.
        listed: what the day lists anyway, and what other days list now. So a period that takes corrections of several
            days stands on the one of them that was computed first.
        last: the last day that is computed. A period that begins later is listed when its charges are, if the
            account's subscriptions go on.
        catalog: the day's, which says so.
        closes: when they closed.
    """
    corrected = (
        rows.filter(is_correction())
        .select(*_KEY[:3], pl.col("BillingAccountId").alias(_KEY[3]), "x_CustomerKey", "BillingCurrency")
        .unique()
        .join(listed.select(_KEY), on=_KEY, how="anti")
        .sort(*_KEY, "BillingCurrency")
        .collect()
    )
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for start, end, issuer, account, customer, currency in corrected.iter_rows():
        period = Period(start, end)
        if last < start.date() and _goes_on(catalog, account, period):
            continue
        closed = closes(ClosedPeriod(account, start, end, currency))
        found[start, end, issuer, account] = {
            "BillingPeriodCreated": start,
            "BillingPeriodEnd": end,
            "BillingPeriodLastUpdated": closed or start,
            "BillingPeriodStart": start,
            "BillingPeriodStatus": "Closed" if closed else "Open",
            "InvoiceIssuerName": issuer,
            "x_BillingAccountId": account,
            "x_CustomerKey": customer,
        }
    return pl.LazyFrame(list(found.values()), schema=BILLING_PERIODS.schema, orient="row")


def _goes_on(catalog: Catalog, account: str, period: Period) -> bool:
    """Whether charges of the account will list a period once its days are computed."""
    customers = {customer.key for customer in catalog.customers if customer.account_id == account}
    for subscription in catalog.subscriptions:
        begun = subscription.active_from < period.end
        ended = subscription.active_to is not None and subscription.active_to <= period.start
        if subscription.customer not in customers or not begun or ended:
            continue
        plan = catalog.plan[subscription.plan] if subscription.plan else None
        if billing_cadence(plan, subscription).period_at(subscription.anchor, period.start) == period:
            return True
    return False
