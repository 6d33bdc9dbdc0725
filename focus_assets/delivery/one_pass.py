"""When a billing month is taken apart for its destinations, and which of them read what was taken apart.

What belongs here: the choice. What does not: taking apart (``by_customer``) and delivering (``deliver``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from focus_assets.delivery.by_customer import LakeOfScope, RowsByCustomer, rows_by_customer
from focus_assets.delivery.gate import PassedMonth, require_same
from focus_assets.delivery.months import DATASET
from focus_assets.delivery.scope import customers_by_label, scope_in
from focus_assets.errors import FocusAssetsError
from focus_assets.lake import Lake
from focus_assets.settings import CustomersByLabel, Destination

WORTH_IT: Final = 4
"""Destinations of some customers from which on one pass costs less than a filter for each."""


@contextmanager
def one_pass(
    lake: Lake, passed: PassedMonth, destinations: Sequence[Destination]
) -> Iterator[RowsByCustomer | None]:
    """The month's rows by customer, for as long as the block runs; ``None`` for few destinations.

    Raises DeliveryRefused where a day is no longer what passed the gate once it was read.
    """
    chosen = [destination for destination in destinations if destination.customers != "all"]
    if len(chosen) < WORTH_IT:
        yield None
        return
    days = passed.held.days
    with rows_by_customer(lake, DATASET, passed.month, days, _wanted(lake, passed, chosen)) as rows:
        require_same(lake, passed)
        yield rows


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
