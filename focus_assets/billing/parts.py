"""In which parts invoices bill charges, as rating takes them: OpenMeter's classic lines and its charges.

What belongs here: which charges are rated part by part. What does not: where quantities are read (``invoice_stages``)
and how a part is rated (``rating.splits``).

A classic line says what was metered before its period (``meteredPreLinePeriodQuantity``) and rates its own part given
that: what comes late of an earlier part does not move it. A line of OpenMeter's charges does not: it books the
difference of two ratings of the quantity to date, which is what rating does anyway. Either way rows end where an
invoice does. What is not invoiced yet is taken for classic, as it is unless OpenMeter was told otherwise.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.catalog.charges import Charge, ChargeSlice, midnight, parts_of
from focus_assets.catalog.invoices import InvoiceLine
from focus_assets.catalog.periods import Period
from focus_assets.catalog.snapshot import Catalog
from focus_assets.rating import SPLITS

_ZERO: Final = Decimal(0)

Boundary = tuple[str, dt.datetime]
"""A charge, and an instant at which an invoice ends within it."""


def boundaries(
    catalog: Catalog, slices: Sequence[ChargeSlice], start: dt.date
) -> dict[Boundary, ChargeSlice]:
    """Where parts begin that classic rating of ``slices`` needs the quantity to date at; not where charges begin."""
    found: dict[Boundary, ChargeSlice] = {}
    for s in slices:
        if s.part is None or not _is_classic(catalog, s.charge, start):
            continue
        for part in _parts(catalog, s.charge):
            if s.charge.period.start < part.start <= s.period.start:
                found[s.charge_id, part.start] = s
    return found


def split_table(
    catalog: Catalog,
    slices: Sequence[ChargeSlice],
    start: dt.date,
    quantities: Mapping[Boundary, Decimal],
    unbilled: Mapping[Boundary, Decimal] | None = None,
) -> pl.LazyFrame | None:
    """:data:`~focus_assets.rating.SPLITS` of the charges of ``slices`` that are rated part by part; None without any.

    ``quantities``: metered by each of :func:`boundaries`. ``unbilled``: how much of that nobody bills, for it came
    after the invoice of an earlier part that is not imported.
    """
    never = unbilled or {}
    ends: dict[str, tuple[Charge, dt.datetime]] = {}
    for s in slices:
        if s.part is not None and _is_classic(catalog, s.charge, start):
            ends[s.charge_id] = (s.charge, s.period.start)
    rows = []
    for charge_id, (charge, last) in sorted(ends.items()):
        lines = {line.start: line for line in _lines(catalog, charge)}
        for part in _parts(catalog, charge):
            if part.start <= last:
                boundary = charge_id, part.start
                metered = quantities.get(boundary, _ZERO)
                counted = metered - never.get(boundary, _ZERO)
                begins, ends_at = _billed(lines.get(part.start), charge, part, counted)
                rows.append((charge_id, part.start, part.end, begins, ends_at, metered - begins))
    return pl.LazyFrame(rows, schema=SPLITS, orient="row") if rows else None


def _billed(
    line: InvoiceLine | None, charge: Charge, part: Period, counted: Decimal
) -> tuple[Decimal, Decimal | None]:
    """From and to which quantity to date a part is billed; what its line does not say is what is ``counted``."""
    begins = counted
    if line is not None and line.metered_before is not None and part.start > charge.period.start:
        begins = line.metered_before
    frozen = line.metered if line is not None and line.end == part.end else None
    return begins, None if frozen is None else begins + frozen


def _parts(catalog: Catalog, charge: Charge) -> list[Period]:
    return parts_of(catalog, charge)


def _key(charge: Charge) -> tuple[str, str]:
    return charge.subscription.key, charge.rate_card.key


def _is_classic(catalog: Catalog, charge: Charge, start: dt.date) -> bool:
    """Volume tiers cannot be split, and what was metered before the first day is not known at every boundary."""
    if charge.is_priced_by_total or charge.period.start < midnight(start):
        return False
    later = [line for line in _lines(catalog, charge) if line.start > charge.period.start]
    return all(line.metered_before is not None for line in later)


def _lines(catalog: Catalog, charge: Charge) -> list[InvoiceLine]:
    """The lines that bill a part that begins within the charge, the one of the first invoice last."""
    found = [
        part
        for part in catalog.billed_parts.get(_key(charge), ())
        if charge.period.start <= part.line.start < charge.period.end and not part.line.is_fee
    ]
    made = sorted(found, key=lambda part: (part.invoice.created_at, part.line.id), reverse=True)
    return [part.line for part in made]
