"""Whether a billing month is closed for a destination: for its own customers, whatever goes on for others.

What belongs here: asking the periods of a scope. What does not: when a period closes (``billing.close``) and what is
due then (``due``).

A month is closed for all where no row of it is an estimate any more, which its records say. Where one is, because a
year that began in it is billed to somebody, the rows say whose. They are read once for each content of a month. Of
customers without a row the Billing Period dataset has those that could have been charged.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Hashable
from dataclasses import replace
from functools import cached_property
from typing import Final

import polars as pl

from focus_assets.billing.datasets import BILLING_PERIODS
from focus_assets.delivery.dataset_months import months_of_dataset
from focus_assets.delivery.datasets import in_month
from focus_assets.delivery.files import CUSTOMER
from focus_assets.delivery.gate import PassedMonth, digests_of
from focus_assets.delivery.months import NO_ROWS, BillingMonth
from focus_assets.delivery.period_status import look_up_periods, periods_of
from focus_assets.delivery.scope import scope_in
from focus_assets.delivery.unforeseen import ANY_ERROR
from focus_assets.lake import Lake
from focus_assets.settings import Destination

_log: Final = logging.getLogger(__name__)
_MONTHS: Final = 500
_held: Final[dict[tuple[str, str], tuple[Hashable, PassedMonth]]] = {}
_turn: Final = threading.Lock()


class ListedPeriods:
    """Whose billing periods the Billing Period dataset lists, for one look at a lake; read when somebody asks."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._of_month: dict[str, pl.DataFrame] = {}

    def of(self, costs: BillingMonth) -> pl.DataFrame | None:
        """x_CustomerKey, BillingPeriodEnd and BillingPeriodStatus of a month; None where days are not listed yet."""
        if not self._days.issuperset(costs.days):
            return None
        if costs.month not in self._of_month:
            held = self._months.get(costs.month)
            name, days = BILLING_PERIODS.name, held.days if held else costs.days[:1]
            rows = self._lake.scan(name, days).filter(in_month(name, costs.month))
            chosen = rows.select(CUSTOMER, "BillingPeriodEnd", "BillingPeriodStatus")
            self._of_month[costs.month] = chosen.collect()
        return self._of_month[costs.month]

    @cached_property
    def _days(self) -> frozenset[dt.date]:
        return frozenset(self._lake.days(BILLING_PERIODS.name))

    @cached_property
    def _months(self) -> dict[str, BillingMonth]:
        return months_of_dataset(self._lake, BILLING_PERIODS.name, {})


def closed_for(
    lake: Lake,
    destination: Destination,
    held: BillingMonth,
    costs: BillingMonth | None,
    listed: ListedPeriods,
) -> bool:
    """Whether every billing period of a destination's customers in a month is closed, and all its days are there.

    ``held`` is the month of a dataset, ``costs`` that of Cost and Usage. Without a charge of theirs those periods are
    asked that are ``listed``; where they are not, the month closes when it does for all. What cannot be read is not
    closed.
    """
    if held.closed or destination.customers == "all" or costs is None or held.estimates is None:
        return held.closed
    try:
        month = _periods_in(lake, costs)
        scope = scope_in(lake, destination, month)
        periods = [(period.end, period.status) for period in periods_of(month, scope)]
        if not periods:
            rows = listed.of(costs)
            if rows is None:
                return False
            theirs = rows.filter(pl.col(CUSTOMER).is_in(list(scope.customers)))
            periods = list(theirs.select("BillingPeriodEnd", "BillingPeriodStatus").iter_rows())
    except ANY_ERROR as error:
        # Its delivery would say so; the other months go on.
        _log.warning("%s: whether %s is closed is not known: %s", destination.name, held.month, error)
        return False
    ends = max((end for end, _ in periods), default=None)
    return all(status == "Closed" for _, status in periods) and held.holds_until(
        None if ends is None else (ends - dt.timedelta(microseconds=1)).date()
    )


def _periods_in(lake: Lake, costs: BillingMonth) -> PassedMonth:
    """The month with its periods and labels, which follow from the content of its days and the catalog of the last.

    Which periods wait for an invoice does not: it is as ``costs`` says now.
    """
    place, content = (lake.url, costs.month), (costs.source_digest, costs.last_catalog)
    with _turn:
        known, found = _held.get(place, (None, None))
    if found is None or known != content:
        said = {day: sha256 for day, sha256 in costs.digests.items() if sha256 != NO_ROWS}
        found = PassedMonth(costs, digests_of(lake, costs.days) | said)
        look_up_periods(lake, found)
        with _turn:
            # Of a month the newest content alone: a year's months change day by day.
            _held.pop(place, None)
            _held[place] = content, found
            while len(_held) > _MONTHS:
                del _held[next(iter(_held))]
    return replace(found, issued_while_open=costs.waiting)
