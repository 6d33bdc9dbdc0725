"""Rows of Cost and Usage of several small days, computed at once.

What belongs here: which days go together, and their rows before anything settles, credits or closes them. What does
not: what becomes of the rows day by day (``chain``).

Planning the queries of a day takes longer than computing some hundred rows, and rating takes the slices of many days
as it takes those of one: each is rated from what its charge had used before. So small days that follow each other with
the same catalog are planned once. Their rows are those that each day alone has.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.billing.bills import invoiced as billed_by
from focus_assets.billing.parts import Boundary, split_table
from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.cost_and_usage import build
from focus_assets.invoice_stages import InvoicedDay
from focus_assets.rated_day import rated_day
from focus_assets.usage.rateable import rateable_usage

AT_ONCE: Final = 20_000
"""Rows of usage and slices that days have together at most: what is held of them stays small beside a large day."""

DAYS_AT_ONCE: Final = 16
"""Each window meets the slices of its charge on all of the days before it is known which counts it."""

_KEY: Final = ["x_ChargeId", "ChargePeriodStart"]


@dataclass(frozen=True)
class Prepared:
    """A day's charges as they are invoiced. ``rows``: what they come to, where that is computed with other days."""

    invoiced: Sequence[ChargeSlice]
    fees: Sequence[Fee]
    imported: InvoicedDay
    rows: pl.LazyFrame | None = None

    @property
    def on_invoices(self) -> list[ChargeSlice]:
        """The slices with the imported invoices that bill them."""
        return billed_by(self.invoiced, self.imported.bills)

    @property
    def fees_on_invoices(self) -> list[Fee]:
        """The fees likewise."""
        return billed_by(self.fees, self.imported.bills)


def groups(
    days: Mapping[dt.date, tuple[Catalog | None, int]], at_once: int = AT_ONCE, most: int = DAYS_AT_ONCE
) -> Iterator[list[dt.date]]:
    """Days that are computed together: following each other, with the same catalog, ``at_once`` rows in all.

    ``days``: in order, the catalog of each (None: this day is alone), and how many rows of usage and slices it has.
    """
    group: list[dt.date] = []
    held = 0
    last: Catalog | None = None
    for day, (catalog, rows) in days.items():
        follows = bool(group) and day == group[-1] + dt.timedelta(days=1)
        alike = catalog is not None and catalog is last
        if group and not (follows and alike and len(group) < most and held + rows <= at_once):
            yield group
            group, held = [], 0
        group.append(day)
        held, last = held + rows, catalog
    if group:
        yield group


def with_rows(
    days: Mapping[dt.date, Prepared],
    catalog: Catalog,
    usage: pl.LazyFrame,
    opening: pl.LazyFrame,
    before: pl.LazyFrame,
    start: dt.date,
) -> dict[dt.date, Prepared]:
    """``days``, each with its rows, computed now and held in memory.

    Args:
        days: what :func:`groups` puts together; no imported invoice bills them, and all before them is billed.
        catalog: that of all of them.
        usage: their ``normalized_usage``.
        opening: what charges had used before the first of them.
        before: ``usage_totals`` of the days before the first that its charges need.
        start: the first day of all.

    Raises what rating and building raise for any of the days.
    """
    slices = sorted(
        (s for prepared in days.values() for s in prepared.invoiced),
        key=lambda s: (s.charge_id, s.period.start),
    )
    fees = sorted((fee for prepared in days.values() for fee in prepared.fees), key=lambda fee: fee.charge_id)
    quantities: dict[Boundary, Decimal] = {}
    for prepared in days.values():
        quantities |= prepared.imported.quantities
    splits = split_table(catalog, slices, start, quantities)
    rated = rated_day(rateable_usage(usage, slices, opening), opening, before, slices, fees, splits)
    rows = build(rated, slices, catalog, fees, in_order=True).collect(engine="streaming")
    return {day: _with_own(prepared, rows) for day, prepared in days.items()}


def _with_own(prepared: Prepared, rows: pl.DataFrame) -> Prepared:
    keys = [(s.charge_id, s.period.start) for s in prepared.invoiced]
    keys += [(fee.charge_id, fee.service.start) for fee in prepared.fees]
    own = pl.LazyFrame(keys, schema={name: rows.schema[name] for name in _KEY}, orient="row")
    held = rows.lazy().join(own, on=_KEY, how="semi", maintain_order="left").collect()
    return replace(prepared, rows=held.lazy())
