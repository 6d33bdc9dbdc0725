"""What charges had used by some instants, within days too.

What belongs here: which days of the lake say it. What does not: what the instants are, and what of it is billed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import polars as pl

from focus_assets.billing.parts import Boundary
from focus_assets.catalog.charges import ChargeSlice, midnight
from focus_assets.catalog.periods import Period
from focus_assets.datasets import NORMALIZED_USAGE, USAGE_TOTALS
from focus_assets.lake import Lake
from focus_assets.usage.rateable import earlier_days, no_earlier_totals, opening_quantities
from focus_assets.usage.totals import windows_of_charges


def quantities_at(
    lake: Lake, wanted: Mapping[Boundary, ChargeSlice], start: dt.date
) -> tuple[dict[Boundary, Decimal], set[tuple[str, dt.date]]]:
    """What charges had used by instants within them, and which days of which datasets say so.

    Raises MissingPartitions where the usage of one of these days is not in the lake.
    """
    found: dict[Boundary, Decimal] = {}
    read: set[tuple[str, dt.date]] = set()
    until: dict[dt.datetime, list[ChargeSlice]] = {}
    for (_, instant), s in sorted(wanted.items(), key=lambda each: each[0]):
        # A day is named by the slice that ends at the boundary: windows and quantities to date were cut there.
        begins = max(s.charge.period.start, midnight(instant.date()))
        until.setdefault(instant, []).append(replace(s, period=Period(begins, instant), part=None))
    days_of = {instant: earlier_days(of, instant.date(), start) for instant, of in sorted(until.items())}
    totals = _totals(lake, sorted({day for days in days_of.values() for day in days}), wanted)
    read |= {(USAGE_TOTALS.name, day) for days in days_of.values() for day in days}
    for instant, days in days_of.items():
        day = instant.date()
        before = _by_charge(opening_quantities(totals.filter(pl.col("charge_date").is_in(days))))
        within, to_date = {}, {}
        if instant != midnight(day):
            usage = lake.scan(NORMALIZED_USAGE.name, [day])
            read.add((NORMALIZED_USAGE.name, day))
            within = _by_charge(windows_of_charges(usage, until[instant]))
            to_date = _by_charge(usage.filter(pl.col("kind") == "to_date", pl.col("window_to") == instant))
        for s in until[instant]:
            adds_up = s.charge.meter.aggregation.adds_up_over_time or instant == midnight(day)
            parts = (before, within) if adds_up else (to_date,)
            found[s.charge_id, instant] = sum(
                (each.get(s.charge_id, Decimal(0)) for each in parts), Decimal(0)
            )
    return found, read


def _totals(lake: Lake, days: list[dt.date], wanted: Mapping[Boundary, ChargeSlice]) -> pl.LazyFrame:
    """``usage_totals`` of the wanted charges, read once however many instants there are."""
    if not days:
        return no_earlier_totals()
    ids = sorted({charge_id for charge_id, _ in wanted})
    return lake.scan(USAGE_TOTALS.name, days).filter(pl.col("charge_id").is_in(ids)).collect().lazy()


def _by_charge(quantities: pl.LazyFrame) -> dict[str, Decimal]:
    return dict(quantities.group_by("charge_id").agg(pl.col("quantity").sum()).collect().iter_rows())
