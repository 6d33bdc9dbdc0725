"""Billing months of the datasets beside Cost and Usage: which days hold them, and whether they may be delivered.

What belongs here: the days, their digests, and refusals. What does not: rows (``datasets``).

A month of such a dataset has the days that Cost and Usage has of it, and those on which the lake holds rows of it. What
is delivered refers to rows of Cost and Usage, so a day's digest is of both. Where neither has rows of the month it says
so: what changes there is of other months.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import polars as pl

from focus_assets.billing.datasets import BILLING_PERIODS, FOCUS_DATASET
from focus_assets.datasets import CATALOG
from focus_assets.delivery.datasets import STARTS, months_in, others_of, shown
from focus_assets.delivery.errors import DeliveryRefused
from focus_assets.delivery.facts import BILLING_MONTHS
from focus_assets.delivery.ledger import spans
from focus_assets.delivery.months import DATASET, NO_ROWS, UNRECORDED, BillingMonth
from focus_assets.focus.rules import check, rules_for
from focus_assets.lake import CorruptPartition, Lake, MissingPartitions, PartitionRecord
from focus_assets.settings import Destination

OPEN: Final = "open"
_SHOWN: Final = 5


def month_facts(dataset: str, frame: pl.LazyFrame) -> dict[str, dict[str, int]]:
    """How many rows of a dataset are of which billing month, for the facts of a lake partition.

    Of billing periods also how many are open: ``{"billing_months": {"2026-08": 3}, "open": {"2026-08": 1}}``.
    """
    if dataset not in STARTS:
        return {}
    facts = {BILLING_MONTHS: _rows_by_month(frame, dataset)}
    return facts | ({OPEN: _rows_by_month(_open(frame), dataset)} if dataset == BILLING_PERIODS.name else {})


def months_of_dataset(
    lake: Lake,
    dataset: str,
    months: Mapping[str, BillingMonth],
    delivered: Mapping[str, tuple[dt.date, dt.date]] | None = None,
) -> dict[str, BillingMonth]:
    """The billing months of a dataset, from those of Cost and Usage and the records of each day.

    ``delivered``: the first and last day that destinations have of each month of it. One of which nothing else is left,
    because credit was corrected, has these, and is replaced as empty.
    """
    records = {day: _record(lake, dataset, day) for day in lake.days(dataset)}
    days: dict[str, set[dt.date]] = {month: set(held.digests) for month, held in months.items()}
    with_rows: dict[str, set[dt.date]] = {}
    still_open: dict[str, int] = {}
    for day, record in records.items():
        for month in _facts(lake, dataset, day, record, BILLING_MONTHS):
            days.setdefault(month, set()).add(day)
            with_rows.setdefault(month, set()).add(day)
        if dataset == BILLING_PERIODS.name:
            for month, rows in _facts(lake, dataset, day, record, OPEN).items():
                still_open[month] = still_open.get(month, 0) + rows
    for month, (first, last) in (delivered or {}).items():
        if month not in days and (left := {day for day in records if first <= day <= last}):
            days[month] = left

    def held(month: str, of: set[dt.date]) -> BillingMonth:
        # Where no charge of it is here, none is an estimate.
        costs = months.get(month) or BillingMonth(month, estimates=0, last_catalog=_catalog(records, max(of)))
        has_rows = with_rows.get(month, set())
        digests = {
            day: _digest(costs.digests.get(day, NO_ROWS), records.get(day), day, day in has_rows)
            for day in of
        }
        # Beside charges periods go with these: what is open though nothing was charged may never be invoiced.
        estimates = costs.estimates if month in months else still_open.get(month, 0)
        return replace(costs, digests=digests, estimates=estimates)

    return {month: held(month, of) for month, of in sorted(days.items())}


def months_to_deliver(
    lake: Lake,
    months: Mapping[str, BillingMonth],
    destinations: Iterable[Destination],
    latest: pl.DataFrame,
) -> dict[str, dict[str, BillingMonth]]:
    """The billing months of each dataset that destinations ask for, from ``months``, those of Cost and Usage.

    ``latest``: :func:`~focus_assets.delivery.ledger.latest_deliveries`.
    """
    others = sorted({name for each in destinations for name in others_of(each)})
    return {DATASET: dict(months)} | {
        name: months_of_dataset(lake, name, months, spans(latest, name)) for name in others
    }


def days_to_wait_for(held: Mapping[str, Mapping[str, BillingMonth]]) -> dict[str, BillingMonth]:
    """The days of each month of :func:`months_to_deliver`, none of which may fail its checks.

    They are those of Cost and Usage; of a month that it has nothing of, those of all that have something.
    """
    costs = held[DATASET]
    digests: dict[str, dict[dt.date, str]] = {}
    for months in held.values():
        for month, each in months.items():
            digests.setdefault(month, {}).update(each.digests)
    return {month: costs.get(month) or BillingMonth(month, found) for month, found in digests.items()}


def require_dataset(lake: Lake, dataset: str, held: BillingMonth, version: str) -> None:
    """Raise :class:`DeliveryRefused` unless every day is there, not stale, and keeps the rules of a FOCUS version."""
    found = []
    if missing := [day for day in held.days if lake.record(dataset, day) is None]:
        found.append(f"{dataset} is missing on {missing[0]:%F} and {len(missing) - 1} more days")
    else:
        stale = {day: changed for day, changed in lake.stale_inputs_of(dataset, held.days).items() if changed}
        for day, changed in sorted(stale.items())[:_SHOWN]:
            found.append(
                f"{dataset} of {day:%F} is stale: {sorted(changed)[0]} changed since it was computed"
            )
        if not stale and dataset in FOCUS_DATASET:
            rows = shown(lake.scan(dataset, held.days), dataset, version)
            rules = rules_for(version, FOCUS_DATASET[dataset])
            found += [
                f"FOCUS {version}: {result.sentence}" for result in check(rows, rules, examples=1).blocking
            ]
    if found:
        first, last = held.days[0], held.days[-1]
        raise DeliveryRefused(
            f"{dataset} of billing month {held.month} was not delivered: {'; '.join(found)}. "
            f"Run: focus-assets materialize --from {first:%F} --to {last:%F}"
        )


def _record(lake: Lake, dataset: str, day: dt.date) -> PartitionRecord | None:
    try:
        return lake.record(dataset, day)
    except (CorruptPartition, MissingPartitions):
        return None


def _facts(
    lake: Lake, dataset: str, day: dt.date, record: PartitionRecord | None, name: str
) -> Mapping[str, int]:
    """What a record says of the rows of each month, or what it would say: it may be older than that fact."""
    if record is None or dataset not in STARTS or not record.rows:
        return {}
    said = record.facts.get(name)
    return said if isinstance(said, Mapping) else month_facts(dataset, lake.scan(dataset, [day]))[name]


def _rows_by_month(rows: pl.LazyFrame, dataset: str) -> dict[str, int]:
    return dict(months_in(rows, dataset).collect().iter_rows())


def _open(periods: pl.LazyFrame) -> pl.LazyFrame:
    return periods.filter(pl.col("BillingPeriodStatus") == "Open")


def _digest(costs: str, record: PartitionRecord | None, day: dt.date, has_rows: bool) -> str:
    if record is None:
        return UNRECORDED
    if costs == NO_ROWS and not has_rows:
        return NO_ROWS
    catalog = record.inputs.get(f"{CATALOG.name}/{day:%F}", "")
    return hashlib.sha256(f"{costs} {record.sha256} {catalog}".encode()).hexdigest()


def _catalog(records: Mapping[dt.date, PartitionRecord | None], day: dt.date) -> str:
    record = records.get(day)
    return "" if record is None else record.inputs.get(f"{CATALOG.name}/{day:%F}", "")
