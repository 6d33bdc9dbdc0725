"""Which deliveries are due: a decision over digests and an instant that asks neither the clock nor a store.

What belongs here: the rule. What does not: who asks and when (the export sensor), and delivering.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from focus_assets.delivery.ledger import of_dataset, terms_of
from focus_assets.delivery.months import DATASET, BillingMonth
from focus_assets.settings import Destination

Closed = Callable[[Destination, BillingMonth], bool]
"""Whether a month is closed for a destination."""


class Due(NamedTuple):
    """A billing month and the destinations, sorted by name, that have yet to get it as it now is."""

    month: str
    destinations: list[str]


def together(asked: Iterable[Due]) -> list[Due]:
    """What is due of several datasets: each month once, with every destination that has yet to get something of it."""
    names: dict[str, set[str]] = {}
    for each in asked:
        names.setdefault(each.month, set()).update(each.destinations)
    return [Due(month, sorted(names[month])) for month in sorted(names)]


class Last(NamedTuple):
    """The newest ledger entry of a destination's billing month, as far as the rule asks."""

    source_digest: str
    terms_digest: str
    delivered_at: dt.datetime | None


def due(
    months: Mapping[str, BillingMonth],
    destinations: Sequence[Destination],
    ledger: pl.DataFrame,
    eligible_months: Iterable[str],
    now: dt.datetime | None = None,
    dataset: str = DATASET,
    closed: Closed = lambda _, held: held.closed,
) -> list[Due]:
    """The deliveries of ``eligible_months`` that would change something, sorted by month.

    A month is due at a destination unless the newest ledger entry of the two says it was made from the lake's
    present days and on the destination's present terms (:mod:`~focus_assets.delivery.terms`). At ``now``, where it
    is given, each destination's ``frequency`` and ``history`` count too, and ``closed`` is asked whether a month is
    closed for a destination. ``months`` comes from
    :func:`~focus_assets.delivery.months.billing_months`, ``ledger`` from
    :func:`~focus_assets.delivery.ledger.latest_deliveries` or ``entries``, of which those of ``dataset`` count. Months
    the lake does not hold are never due.
    """
    newest = _newest(of_dataset(ledger, dataset))
    first = {name: min(month for held, month in newest if held == name) for name, _ in newest}
    found = []
    for month in sorted(set(eligible_months) & set(months)):
        held = months[month]
        names = []
        for destination in sorted(destinations, key=lambda d: d.name):
            last = newest.get((destination.name, month))
            if last is not None and last[:2] == (held.source_digest_for(destination), terms_of(destination)):
                continue
            delivered_before = last is not None or first.get(destination.name, month) < month
            if now is None or (
                _is_time(destination, held, last, now, closed)
                and (delivered_before or destination.history == "all" or not closed(destination, held))
            ):
                names.append(destination.name)
        if names:
            found.append(Due(month, names))
    return found


def _newest(ledger: pl.DataFrame) -> dict[tuple[str, str], Last]:
    at = pl.col("delivered_at") if "delivered_at" in ledger.columns else pl.lit(None).alias("delivered_at")
    rows = ledger.sort("sequence").select("destination", "billing_month", "source_digest", "terms_digest", at)
    return {(name, month): Last(source, terms, when) for name, month, source, terms, when in rows.iter_rows()}


def _is_time(
    destination: Destination, held: BillingMonth, last: Last | None, now: dt.datetime, closed: Closed
) -> bool:
    """Whether a change is delivered now, or waits for the hour of a daily delivery or for the close."""
    if destination.frequency == "period_close":
        return closed(destination, held)
    if destination.frequency == "each_change" or last is None or last.delivered_at is None:
        return True
    hour = now.astimezone(dt.UTC).replace(hour=destination.hour, minute=0, second=0, microsecond=0)
    newest_hour = hour if hour <= now else hour - dt.timedelta(days=1)
    return last.delivered_at < newest_hour
