"""Instants in the middle of billing periods at which usage was invoiced, kept for as long as the lake is.

What belongs here: keeping them, and telling them to a catalog whose configuration names them no longer. What does not:
when an invoice in the middle is issued (``billing.close``) and its rows (``closed_stages``).

An invoice that was issued cuts its charges for good: without the cut what it billed could not be told from the rest of
the period, on no later day either. The objects are ``issued_instants/YYYY-MM.json``, by the instants' UTC month:
by subscription, a list.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from focus_assets.catalog.periods import Period
from focus_assets.catalog.plans import Subscription, billing_cadence
from focus_assets.catalog.snapshot import Catalog
from focus_assets.lake import Lake

DATASET: Final = "issued_instants"

Instants = Mapping[str, frozenset[dt.datetime]]
"""By the key of a subscription."""

NONE: Final[Instants] = {}


def issued_instants(lake: Lake) -> Instants:
    """Every instant at which usage of a subscription was invoiced in the middle of a billing period."""
    found: dict[str, frozenset[dt.datetime]] = {}
    for info in lake.store.list(f"{DATASET}/"):
        for subscription, instants in _read(lake, info.path).items():
            found[subscription] = found.get(subscription, frozenset()) | instants
    return found


def keep_issued_instants(lake: Lake, issued: Iterable[tuple[str, dt.datetime]]) -> None:
    """Add ``issued`` (subscription, instant) to those that are kept. Call it as the lake's writer."""
    by_month: dict[str, set[tuple[str, dt.datetime]]] = defaultdict(set)
    for subscription, instant in issued:
        by_month[f"{DATASET}/{instant:%Y-%m}.json"].add((subscription, instant))
    for path, pairs in sorted(by_month.items()):
        kept = _read(lake, path)
        known = {(subscription, instant) for subscription, instants in kept.items() for instant in instants}
        if pairs <= known:
            continue
        lists: dict[str, list[str]] = defaultdict(list)
        for subscription, instant in sorted(known | pairs):
            lists[subscription].append(instant.isoformat())
        lake.store.put(path, json.dumps(lists, indent=1).encode())


def with_issued_instants(catalog: Catalog, issued: Instants) -> Catalog:
    """``catalog`` whose subscriptions' ``progressive_billing`` names the ``issued`` instants too.

    And none that was set before one of these in its billing period since: usage up to that is invoiced already.
    """
    subscriptions = tuple(
        each.model_copy(update={"progressive_billing": _instants(catalog, each, issued[each.key])})
        if each.key in issued
        else each
        for each in catalog.subscriptions
    )
    if subscriptions == catalog.subscriptions:
        return catalog
    # Not model_copy of the catalog: it would copy the cached lookups.
    entries = {name: getattr(catalog, name) for name in Catalog.model_fields}
    return Catalog(**{**entries, "subscriptions": subscriptions})


def _instants(
    catalog: Catalog, subscription: Subscription, issued: frozenset[dt.datetime]
) -> tuple[dt.datetime, ...]:
    cadence = billing_cadence(catalog.plan.get(subscription.plan or ""), subscription)
    invoiced = [
        Period(cadence.period_at(subscription.anchor, instant).start, instant) for instant in sorted(issued)
    ]
    named = {
        each
        for each in subscription.progressive_billing
        if each in issued or not any(period.start < each < period.end for period in invoiced)
    }
    return tuple(sorted({*named, *issued}))


def _read(lake: Lake, path: str) -> Instants:
    data = lake.store.get_or_none(path)
    lists: dict[str, list[str]] = json.loads(data) if data is not None else {}
    return {key: frozenset(map(dt.datetime.fromisoformat, each)) for key, each in lists.items()}
