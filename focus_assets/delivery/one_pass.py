"""When a billing month is taken apart for its destinations, and which of them read what was taken apart.

What belongs here: the choice. What does not: taking apart (``by_customer``) and delivering (``deliver``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import polars as pl

from focus_assets.delivery.by_customer import LakeOfScope, MonthRows, RowsByCustomer, rows_by_customer
from focus_assets.delivery.datasets import in_month, prices_by_customer
from focus_assets.delivery.gate import PassedMonth, require_same
from focus_assets.delivery.manifest import Scope
from focus_assets.delivery.scope import customers_by_label, scope_in
from focus_assets.errors import FocusAssetsError
from focus_assets.focus.price_list import PRICE_LIST
from focus_assets.lake import Lake
from focus_assets.settings import CustomersByLabel, Destination

WORTH_IT: Final = 4
"""Destinations of some customers from which on one pass costs less than a filter for each."""


@contextmanager
def one_pass(
    lake: Lake, passed: PassedMonth, destinations: Sequence[Destination]
) -> Iterator[RowsByCustomer | None]:
    """A dataset's rows of the month by customer, for as long as the block runs; ``None`` for few destinations.

    Raises DeliveryRefused where a day is no longer what passed the gate once it was read.
    """
    chosen = [destination for destination in destinations if destination.customers != "all"]
    if len(chosen) < WORTH_IT:
        yield None
        return
    days = passed.held.days
    wanted = _wanted(lake, passed, chosen)
    part = _rows_of_month(lake, passed.dataset, passed.month, wanted)
    with rows_by_customer(lake, part, passed.month, days, wanted) as rows:
        require_same(lake, passed)
        yield rows


def _rows_of_month(lake: Lake, dataset: str, month: str, customers: Collection[str]) -> MonthRows:
    """What is taken apart: stored rows, but of a price list the prices that each customer's rows refer to."""
    if dataset != PRICE_LIST.name:
        return MonthRows(dataset, lambda day: lake.scan(dataset, [day]), in_month(dataset, month))
    scope = Scope(customers=tuple(sorted(customers)))
    return MonthRows(
        dataset,
        # Gathered once a day, not by each that counts or reads them.
        lambda day: prices_by_customer(lake, month, day, scope).collect(engine="streaming").lazy(),
        pl.lit(value=True),
    )


def source_for(
    lake: Lake, rows: RowsByCustomer, destination: Destination, passed: PassedMonth
) -> Lake | LakeOfScope:
    """What a destination's rows are read from: what was taken apart, or the lake where its scope is too wide."""
    scope = scope_in(lake, destination, passed)
    return rows.lake_of(scope) if rows.holds(scope) else lake


def _wanted(lake: Lake, passed: PassedMonth, destinations: Sequence[Destination]) -> set[str]:
    found: set[str] = set()
    for destination in destinations:
        if isinstance(destination.customers, CustomersByLabel):
            try:
                found.update(customers_by_label(lake, passed, destination.customers.labels))
            except FocusAssetsError:
                # Its own delivery says so; the others go on.
                continue
        else:
            found.update(destination.customers)
    return found
