"""Whether a billing month is closed for a destination: for its own customers, whatever goes on for others.

What belongs here: asking the periods of a scope. What does not: when a period closes (``billing.close``) and what is
due then (``due``).

A month is closed for all where no row of it is an estimate any more, which its records say. Where one is, because a
year that began in it is billed to somebody, the rows say whose. They are read once for each content of a month.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Hashable
from typing import Final

from focus_assets.delivery.gate import PassedMonth, digests_of, issued_while_open
from focus_assets.delivery.months import DATASET, BillingMonth
from focus_assets.delivery.period_status import look_up_periods, periods_of
from focus_assets.delivery.scope import scope_in
from focus_assets.errors import FocusAssetsError
from focus_assets.lake import Lake
from focus_assets.settings import Destination

_MONTHS: Final = 500
_held: Final[dict[Hashable, PassedMonth]] = {}
_turn: Final = threading.Lock()


def closed_for(
    lake: Lake,
    destination: Destination,
    held: BillingMonth,
    costs: BillingMonth | None,
    dataset: str = DATASET,
) -> bool:
    """Whether every billing period of a destination's customers in a month is closed, and all its days are there.

    ``held`` is the month of ``dataset``, ``costs`` that of Cost and Usage. Without a charge of theirs the month closes
    when it does for all. What cannot be read is not closed.
    """
    if held.closed or destination.customers == "all" or costs is None or held.estimates is None:
        return held.closed
    try:
        month = _periods_in(lake, held, costs, dataset)
        periods = periods_of(month, scope_in(lake, destination, month))
    except FocusAssetsError:
        return False
    ends = max((period.end for period in periods), default=None)
    return (
        ends is not None
        and all(period.status == "Closed" for period in periods)
        and held.holds_until((ends - dt.timedelta(microseconds=1)).date())
    )


def _periods_in(lake: Lake, held: BillingMonth, costs: BillingMonth, dataset: str) -> PassedMonth:
    key = (lake.url, dataset, held.month, held.source_digest, costs.source_digest, held.last_catalog)
    with _turn:
        found = _held.get(key)
    if found is not None:
        return found
    found = PassedMonth(
        held,
        digests_of(lake, costs.days),
        dataset=dataset,
        issued_while_open=issued_while_open(lake, costs.days),
    )
    look_up_periods(lake, found)
    with _turn:
        _held[key] = found
        while len(_held) > _MONTHS:
            del _held[next(iter(_held))]
    return found
