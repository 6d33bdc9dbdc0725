"""Charges that are billed by the difference: of values that can fall, as long as the charge goes on.

What belongs here: telling them. What does not: the rows that correct them (``corrections``).

What a LATEST, MIN or AVG comes to is a state: what is used later replaces it. OpenMeter invoices no such charge in
parts, and its charges book the difference to what it has come to by now. Where usage that came late in an earlier
billing period were never billed, later usage that replaces it would take back what nobody paid, or be billed twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from focus_assets.billing.booking import Booked
from focus_assets.billing.close import ClosedPeriod
from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.credit_charges import Charged


def billed_by_difference(charged: Iterable[Charged], booked: Booked) -> set[str]:
    """The charges whose value can fall, and that go on in the period that takes what changed of a closed one.

    ``booked``: by closed period, the one that takes it; a choice that stands, so that what was billed stays billed.
    """
    found = set()
    for each in _falling(charged):
        takes = booked.get(ClosedPeriod.of(each))
        if takes is not None and takes.start < each.charge.period.end:
            found.add(each.charge_id)
    return found


def can_fall(charged: Iterable[Charged]) -> frozenset[str]:
    """The charges whose value can fall, whether they go on or not."""
    return frozenset(each.charge_id for each in _falling(charged))


def _falling(charged: Iterable[Charged]) -> Iterator[ChargeSlice]:
    for each in charged:
        if isinstance(each, ChargeSlice) and each.charge.meter.aggregation.can_fall:
            yield each
