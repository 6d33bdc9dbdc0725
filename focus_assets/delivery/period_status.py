"""Which billing periods a month's rows are of, and whether each is open: asked once for all destinations.

What belongs here: the periods of each customer, and those of a scope. What does not: when a period closes
(``billing.close``).
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import Final

import polars as pl

from focus_assets.delivery.facts import billing_month_of_row
from focus_assets.delivery.files import CUSTOMER
from focus_assets.delivery.gate import PassedMonth, Periods, require_same
from focus_assets.delivery.manifest import PeriodStatus, Scope
from focus_assets.delivery.months import DATASET
from focus_assets.lake import Lake

_KEYS: Final = ("BillingAccountId", "BillingPeriodStart", "BillingPeriodEnd")
_turn: Final = threading.Lock()


def look_up_periods(lake: Lake, passed: PassedMonth) -> None:
    """Keep the billing periods of each customer with the month; rows are read by the first who asks.

    Open is one of which some row is still an estimate. Raises DeliveryRefused where a day is no longer what passed.
    """
    with _turn:
        if passed.periods:
            return
        days = sorted(passed.held.days if passed.dataset == DATASET else passed.span)
        if not days:
            return
        found = (
            lake.scan(DATASET, days)
            .filter(billing_month_of_row() == passed.month)
            .group_by(CUSTOMER, *_KEYS)
            .agg(pl.col("x_IsEstimated").ne_missing(False).any().alias("open"))
            .collect(engine="streaming")
        )
        require_same(lake, passed)
        held: Periods = {}
        for customer, *period in found.sort(CUSTOMER, *_KEYS).iter_rows():
            held.setdefault(customer, []).append(tuple(period))
        passed.periods.update(held or {None: []})


def periods_of(passed: PassedMonth, scope: Scope) -> tuple[PeriodStatus, ...]:
    """Each account's billing periods in a scope, sorted, once :func:`look_up_periods` was asked.

    Open is one of which some row is still an estimate, and one that waits for another invoice: a fee in advance is
    invoiced on its first day.
    """
    customers = passed.periods if scope.customers == "all" else scope.customers
    waiting = {(each.account, each.start, each.end) for each in passed.issued_while_open}
    is_open: dict[tuple[str, dt.datetime, dt.datetime], bool] = {}
    for customer in customers:
        for account, start, end, estimated in passed.periods.get(customer, ()):
            period = (account, start, end)
            is_open[period] = is_open.get(period, False) or estimated or period in waiting
    return tuple(
        PeriodStatus(
            billing_account_id=account,
            start=start.astimezone(dt.UTC),
            end=end.astimezone(dt.UTC),
            status="Open" if is_open[account, start, end] else "Closed",
        )
        for account, start, end in sorted(is_open)
    )
