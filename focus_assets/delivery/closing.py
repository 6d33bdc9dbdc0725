"""Whether a billing month is closed for a destination: for its own customers, whatever goes on for others.

What belongs here: asking the periods of a scope. What does not: when a period closes (``billing.close``) and what is
due then (``due``).

A month is closed for all where no row of it is an estimate any more, which its records say. Where one is, because a
year that began in it is billed to somebody, the rows say whose. They are read once for each content of a month.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Hashable
from dataclasses import replace
from typing import Final

from focus_assets.delivery.gate import PassedMonth, digests_of
from focus_assets.delivery.months import NO_ROWS, BillingMonth
from focus_assets.delivery.period_status import look_up_periods, periods_of
from focus_assets.delivery.scope import scope_in
from focus_assets.delivery.unforeseen import ANY_ERROR
from focus_assets.lake import Lake
from focus_assets.settings import Destination

_log: Final = logging.getLogger(__name__)
_MONTHS: Final = 500
_held: Final[dict[tuple[str, str], tuple[Hashable, PassedMonth]]] = {}
_turn: Final = threading.Lock()


def closed_for(lake: Lake, destination: Destination, held: BillingMonth, costs: BillingMonth | None) -> bool:
    """Whether every billing period of a destination's customers in a month is closed, and all its days are there.

    ``held`` is the month of a dataset, ``costs`` that of Cost and Usage. Without a charge of theirs the month closes
    when it does for all. What cannot be read is not closed.
    """
    if held.closed or destination.customers == "all" or costs is None or held.estimates is None:
        return held.closed
    try:
        month = _periods_in(lake, costs)
        periods = periods_of(month, scope_in(lake, destination, month))
    except ANY_ERROR as error:
        # Its delivery would say so; the other months go on.
        _log.warning("%s: whether %s is closed is not known: %s", destination.name, held.month, error)
        return False
    ends = max((period.end for period in periods), default=None)
    return (
        ends is not None
        and all(period.status == "Closed" for period in periods)
        and held.holds_until((ends - dt.timedelta(microseconds=1)).date())
    )


def _periods_in(lake: Lake, costs: BillingMonth) -> PassedMonth:
    """The month with its periods and labels, which follow from the content of its days and the catalog of the last.

    Which periods wait for an invoice does not: it is as ``costs`` says now.
    """
    place, content = (lake.url, costs.month), (costs.source_digest, costs.last_catalog)
    with _turn:
        known, found = _held.get(place, (None, None))
    if found is None or known != content:
        said = {day: sha256 for day, sha256 in costs.digests.items() if sha256 != NO_ROWS}
        found = PassedMonth(costs, digests_of(lake, costs.days) | said)
        look_up_periods(lake, found)
        with _turn:
            # Of a month the newest content alone: a year's months change day by day.
            _held.pop(place, None)
            _held[place] = content, found
            while len(_held) > _MONTHS:
                del _held[next(iter(_held))]
    return replace(found, issued_while_open=costs.waiting)
