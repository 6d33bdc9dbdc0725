"""The stages of a day that follow its charges: prices, billing periods, invoices, commitments.

What belongs here: which datasets a stage reads, which it gives, and the digests that tie them together, as in
``chain``. What does not: how a row is computed (``billing``, ``focus``) and when a stage runs (``orchestration``).
"""

from __future__ import annotations

from collections.abc import Iterator

from focus_assets.catalog.charges import slices_on
from focus_assets.chain import DayOutput, Upstream, catalog_on
from focus_assets.focus.price_list import price_list


def focus_price_list_days(focus: Upstream, catalog: Upstream) -> Iterator[DayOutput]:
    """``focus_price_list`` of each day of ``focus``."""
    for day in focus.days:
        frame = price_list(focus.on(day), slices_on(catalog_on(catalog, day), day))
        yield DayOutput(day, frame, focus.digest(day) | catalog.digest(day))
