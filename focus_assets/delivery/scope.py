"""Whose rows a destination gets, as a list of customers.

What belongs here: from what is asked for to customer keys. What does not: choosing rows (``files``).
"""

from __future__ import annotations

from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import CATALOG
from focus_assets.delivery.gate import PassedMonth
from focus_assets.delivery.manifest import Scope
from focus_assets.lake import Lake
from focus_assets.settings import CustomersByLabel, Destination


def scope_in(lake: Lake, destination: Destination, passed: PassedMonth) -> Scope:
    """The customers that ``destination`` asks for; their order in the configuration makes no difference.

    Labels are looked up in the catalog of the last day that is delivered. A customer that has them not, not all, or is
    not in it, is not in scope: what is ambiguous is denied.
    """
    asked = destination.customers
    if not isinstance(asked, CustomersByLabel):
        return Scope(customers=asked if asked == "all" else tuple(sorted(set(asked))))
    catalog = Catalog.from_frame(lake.scan(CATALOG.name, [passed.held.days[-1]]))
    wanted = asked.labels.items()
    having = [key for key, customer in catalog.customer.items() if wanted <= customer.labels.items()]
    return Scope(customers=tuple(sorted(having)), labels=dict(asked.labels))
