"""Which deliveries are due: a decision over digests that asks neither the clock nor a store.

What belongs here: the rule. What does not: who asks and when (the export sensor), and delivering.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from focus_assets.delivery.ledger import terms_of
from focus_assets.delivery.months import BillingMonth
from focus_assets.settings import Destination


class Due(NamedTuple):
    """A billing month and the destinations, sorted by name, that have yet to get it as it now is."""

    month: str
    destinations: list[str]


def due(
    months: Mapping[str, BillingMonth],
    destinations: Sequence[Destination],
    ledger: pl.DataFrame,
    eligible_months: Iterable[str],
) -> list[Due]:
    """The deliveries of ``eligible_months`` that would change something, sorted by month.

    A month is due at a destination unless the newest ledger entry of the two says it was made from the lake's
    present days and on the destination's present terms (URL, scope, FOCUS version, format). ``months`` comes
    from :func:`~focus_assets.delivery.months.billing_months`, ``ledger`` from
    :func:`~focus_assets.delivery.ledger.latest_deliveries` or ``entries``. Months the lake does not hold are
    never due.
    """
    newest = {
        (name, month): (source, terms)
        for name, month, source, terms in ledger.sort("sequence")
        .select("destination", "billing_month", "source_digest", "terms_digest")
        .iter_rows()
    }
    found = []
    for month in sorted(set(eligible_months) & set(months)):
        names = [
            destination.name
            for destination in sorted(destinations, key=lambda d: d.name)
            if newest.get((destination.name, month)) != (months[month].source_digest, terms_of(destination))
        ]
        if names:
            found.append(Due(month, names))
    return found
