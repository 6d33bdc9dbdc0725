"""Whose rows a destination gets, as a list of customers.

What belongs here: from what is asked for to customer keys. What does not: choosing rows (``files``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Protocol

import polars as pl

from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import CATALOG
from focus_assets.delivery.gate import PassedMonth
from focus_assets.delivery.manifest import Scope
from focus_assets.settings import CustomersByLabel, Destination


class Reads(Protocol):
    """What rows are read from: a lake, or the part of one that a scope may see."""

    def scan(self, dataset: str, days: Sequence[dt.date]) -> pl.LazyFrame:
        """The rows of ``days``, in order of days."""


def scope_in(lake: Reads, destination: Destination, passed: PassedMonth) -> Scope:
    """The customers that ``destination`` asks for; their order in the configuration makes no difference."""
    asked = destination.customers
    if not isinstance(asked, CustomersByLabel):
        return Scope(customers=asked if asked == "all" else tuple(sorted(set(asked))))
    return Scope(customers=customers_by_label(lake, passed, asked.labels), labels=dict(asked.labels))


def customers_by_label(lake: Reads, passed: PassedMonth, labels: Mapping[str, str]) -> tuple[str, ...]:
    """The customers that have all of ``labels``, sorted.

    Labels are looked up in the catalog of the last day of Cost and Usage that is delivered, for all datasets, so that
    these are of the same customers; of a month without it, of the dataset's own. A customer that has them not, not all,
    or is not in it, is not in scope: what is ambiguous is denied.
    """
    if not passed.labels:
        last = max(passed.span, default=passed.held.days[-1])
        catalog = Catalog.from_frame(lake.scan(CATALOG.name, [last]))
        passed.labels.update({key: customer.labels for key, customer in catalog.customer.items()})
    wanted = labels.items()
    return tuple(sorted(key for key, own in passed.labels.items() if wanted <= own.items()))
