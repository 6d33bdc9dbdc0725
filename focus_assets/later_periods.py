"""When the periods closed that corrections are billed in, where invoices are imported: by catalogs of later days.

What belongs here: reading them. What does not: what one catalog says of a period (``billing.period_invoices``) and the
choice of the period (``billing.booking``).

The catalog of a corrected day does not hold invoices of later periods; those of their own days do. What was found is
part of the record of the corrected day, so that it is run again when such a period closes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from focus_assets.billing.booking import Closes, closes_by_itself
from focus_assets.billing.close import ClosedPeriod, PeriodClose
from focus_assets.billing.period_invoices import closed_at, lines_of
from focus_assets.catalog.credit_charges import Charged
from focus_assets.catalog.kept import catalog_in
from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import CATALOG
from focus_assets.lake import Lake

_INSTANT = dt.timedelta(microseconds=1)


def closes_on(lake: Lake, catalog: Catalog, charged: Collection[Charged], close: PeriodClose) -> Closes:
    """When a period after one that has closed on a day closed too, by what the lake knows at ``close``.

    Args:
        lake: holds the catalogs of other days.
        catalog: the day's own.
        charged: what is rated on the day.
        close: what closes now.
    """
    if close.after_days is not None or not catalog.invoices:
        return closes_by_itself(close)
    return _ByInvoices(lake, catalog, frozenset(map(ClosedPeriod.of, charged)), close)


@dataclass(frozen=True)
class _ByInvoices:
    lake: Lake
    catalog: Catalog
    own: frozenset[ClosedPeriod]
    close: PeriodClose

    def __call__(self, period: ClosedPeriod) -> dt.datetime | None:
        # A day closes as a whole: what is charged on it in the period has to be final with what is corrected.
        if period in self.own and closed_at(self.catalog, period, self.close.as_of) is None:
            return None
        billed = False
        first, last = period.start.date(), (period.end - _INSTANT).date()
        for day in reversed([day for day in self.lake.days(CATALOG.name) if first <= day <= last]):
            catalog = catalog_in(self.lake, day)
            if not lines_of(catalog, period):
                break
            # Days after a subscription has ended do not know that its usage is invoiced up to its end.
            billed = True
            if (closed := closed_at(catalog, period, self.close.as_of)) is not None:
                return closed
        return None if billed else self._without_invoice(period)

    def _without_invoice(self, period: ClosedPeriod) -> dt.datetime | None:
        """Nobody says when a period closes that is not invoiced: it does like those of no server."""
        days = self.close.without_invoice_after_days
        if days is None:
            return None
        closes = period.end + dt.timedelta(days=days)
        return closes if closes <= self.close.as_of else None
