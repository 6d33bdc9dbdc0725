"""Delivering the datasets beside Cost and Usage, after the month of it that their rows refer to.

What belongs here: who gets which of them. What does not: the steps of a delivery (``deliver``), rows (``datasets``) and
whether a month of a dataset may be delivered (``dataset_months``).

A month may have rows of these alone: credit that took effect before the first day of all, or a billing period that
began before it and in which nobody was charged. Such a month is delivered without Cost and Usage, to whom it has rows
for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from focus_assets.delivery import ledger
from focus_assets.delivery.dataset_months import months_of_dataset, require_dataset
from focus_assets.delivery.datasets import others_of
from focus_assets.delivery.deliver import (
    SIDE_BY_SIDE,
    WHOLE_SIDE_BY_SIDE,
    DeliveryFailure,
    DeliveryResult,
    deliver_all,
    serve,
)
from focus_assets.delivery.errors import MonthNotHeld
from focus_assets.delivery.gate import Control, PassedMonth, Periods, digests_of, issued_while_open
from focus_assets.delivery.months import BillingMonth, billing_months
from focus_assets.delivery.one_pass import one_pass
from focus_assets.delivery.run import DeliveryRun
from focus_assets.delivery.unforeseen import ANY_ERROR, of_month
from focus_assets.errors import FocusAssetsError
from focus_assets.lake import Lake
from focus_assets.settings import Destination, FocusVersion


def deliver_month(
    lake: Lake,
    destinations: Sequence[Destination],
    month: str,
    run: DeliveryRun,
    *,
    controls: Sequence[Control] = (),
    before_put: Callable[[PassedMonth], None] | None = None,
) -> list[DeliveryResult | DeliveryFailure]:
    """Deliver all that destinations ask for of a billing month: Cost and Usage first, as :func:`deliver_all`.

    The others follow where that went well, or where the lake has nothing but them of the month.
    """
    results = deliver_all(lake, destinations, month, run, controls=controls, before_put=before_put)
    if all(isinstance(each, DeliveryFailure) and isinstance(each.error, MonthNotHeld) for each in results):
        return deliver_others(lake, destinations, month, run) or results
    served = {each.destination for each in results if isinstance(each, DeliveryResult)}
    return results + deliver_others(lake, [each for each in destinations if each.name in served], month, run)


def deliver_others(
    lake: Lake,
    destinations: Sequence[Destination],
    month: str,
    run: DeliveryRun,
) -> list[DeliveryResult | DeliveryFailure]:
    """Deliver the other datasets that destinations ask for, beside a month of Cost and Usage that they just got.

    The gate was asked of the month's days then; here it is asked of each dataset's own. One delivery that fails does
    not stop the others. Of a month without Cost and Usage those are delivered that have rows of it.
    """
    if not any(others_of(destination) for destination in destinations):
        return []
    asked = [(destination, dataset) for destination in destinations for dataset in others_of(destination)]
    try:
        costs = billing_months(lake, run.since, ledger.days_delivered(lake, month))
    except ANY_ERROR as error:
        # What was delivered of Cost and Usage stands, and has to be told.
        return [
            DeliveryFailure(destination.name, month, of_month(error, lake, month, dataset), dataset)
            for destination, dataset in asked
        ]
    periods: Periods = {}
    found: list[DeliveryResult | DeliveryFailure] = []
    for dataset in dict.fromkeys(dataset for _, dataset in asked):
        wanting = [destination for destination, of in asked if of == dataset]
        versions = sorted({destination.focus_version for destination in wanting})
        passed: dict[FocusVersion, PassedMonth | FocusAssetsError]
        try:
            delivered = ledger.days_delivered(lake, month, dataset)
            held = months_of_dataset(lake, dataset, costs, delivered).get(month)
            if held is None:
                continue
            passed = {version: _passed(lake, dataset, held, costs, version, periods) for version in versions}
        except ANY_ERROR as error:
            passed = dict.fromkeys(versions, of_month(error, lake, month, dataset))
        found += _deliver_dataset(lake, wanting, month, run, dataset, passed)
    return found


def _deliver_dataset(
    lake: Lake,
    destinations: Sequence[Destination],
    month: str,
    run: DeliveryRun,
    dataset: str,
    passed: Mapping[FocusVersion, PassedMonth | FocusAssetsError],
) -> list[DeliveryResult | DeliveryFailure]:
    """One dataset to all who want it; ``passed`` is by FOCUS version."""
    may_go = [each for each in passed.values() if isinstance(each, PassedMonth)]
    with ExitStack() as until_all_are_served:
        try:
            rows = (
                until_all_are_served.enter_context(one_pass(lake, may_go[0], destinations))
                if may_go
                else None
            )
        except ANY_ERROR as error:
            failed = of_month(error, lake, month, dataset, may_go[0].held.days)
            return [DeliveryFailure(each.name, month, failed, dataset) for each in destinations]

        def served(destination: Destination) -> DeliveryResult | DeliveryFailure:
            may = passed[destination.focus_version]
            return serve(lake, destination, month, run, may, rows=rows, dataset=dataset)

        with ThreadPoolExecutor(WHOLE_SIDE_BY_SIDE if rows is None else SIDE_BY_SIDE) as pool:
            return list(pool.map(served, destinations))


def _passed(
    lake: Lake,
    dataset: str,
    held: BillingMonth,
    costs: Mapping[str, BillingMonth],
    version: str,
    periods: Periods,
) -> PassedMonth | FocusAssetsError:
    try:
        span = digests_of(lake, costs[held.month].days if held.month in costs else [])
        require_dataset(lake, dataset, held, version)
        return PassedMonth(
            held,
            span,
            dataset=dataset,
            issued_while_open=issued_while_open(lake, list(span)),
            periods=periods,
        )
    except ANY_ERROR as error:
        return of_month(error, lake, held.month, dataset)
