"""Billing months of the datasets beside Cost and Usage: which days hold them, and whether they may be delivered.

What belongs here: the days, their digests, and refusals. What does not: rows (``datasets``).

A month of such a dataset has the days that Cost and Usage has of it, and those on which the lake holds rows of it. What
is delivered refers to rows of Cost and Usage, so a day's digest is of both.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import polars as pl

from focus_assets.billing.datasets import FOCUS_DATASET
from focus_assets.datasets import CATALOG
from focus_assets.delivery.datasets import STARTS, months_in, others_of, shown
from focus_assets.delivery.errors import DeliveryRefused
from focus_assets.delivery.facts import BILLING_MONTHS
from focus_assets.delivery.ledger import spans
from focus_assets.delivery.months import DATASET, UNRECORDED, BillingMonth
from focus_assets.focus.rules import check, rules_for
from focus_assets.lake import CorruptPartition, Lake, MissingPartitions, PartitionRecord
from focus_assets.settings import Destination

_SHOWN: Final = 5


def month_facts(dataset: str, frame: pl.LazyFrame) -> dict[str, dict[str, int]]:
    """How many rows of a dataset are of which billing month, for the facts of a lake partition."""
    if dataset not in STARTS:
        return {}
    return {BILLING_MONTHS: dict(months_in(frame, dataset).collect().iter_rows())}


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
    costs = {day: sha256 for month in months.values() for day, sha256 in month.digests.items()}
    days: dict[str, set[dt.date]] = {month: set(held.digests) for month, held in months.items()}
    for day, record in records.items():
        for month in _months(lake, dataset, day, record):
            days.setdefault(month, set()).add(day)
    for month, (first, last) in (delivered or {}).items():
        if month not in days and (left := {day for day in records if first <= day <= last}):
            days[month] = left
    return {
        month: replace(
            # No charge of it is here, so none is an estimate.
            months.get(month) or BillingMonth(month, estimates=0),
            digests={day: _digest(costs.get(day, ""), records.get(day), day) for day in found},
        )
        for month, found in sorted(days.items())
    }


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


def _months(lake: Lake, dataset: str, day: dt.date, record: PartitionRecord | None) -> list[str]:
    if record is None or dataset not in STARTS or not record.rows:
        return []
    said = record.facts.get(BILLING_MONTHS)
    if isinstance(said, Mapping):
        return list(said)
    # Written before records said so.
    return months_in(lake.scan(dataset, [day]), dataset).collect()["month"].to_list()


def _digest(costs: str, record: PartitionRecord | None, day: dt.date) -> str:
    if record is None:
        return UNRECORDED
    catalog = record.inputs.get(f"{CATALOG.name}/{day:%F}", "")
    return hashlib.sha256(f"{costs} {record.sha256} {catalog}".encode()).hexdigest()
