"""Usage that came after the invoice of its part or billing period, where nobody bills it: the rest goes on without it.

What belongs here: how much of what is metered by now nobody bills, of the times of a charge that are kept. What does
not: how the rest is rated (``rating.splits``, ``rating.unbilled``), keeping rows (``closed_stages``), and imported
invoices, whose lines say it themselves.

Of each day that is kept, the kept rows say what was billed of it. They are read only where they can differ from what
is metered by now: mostly the day's rows were computed of just that, as their record says.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.billing.close import has_every_row
from focus_assets.billing.closed import closed_days, closed_on
from focus_assets.billing.correction_signs import is_correction
from focus_assets.billing.corrections import LateUsage
from focus_assets.billing.parts import Boundary
from focus_assets.catalog.charges import Charge, ChargeSlice, midnight, slices_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.closed_stages import FOCUS, RECOMPUTED
from focus_assets.datasets import NORMALIZED_USAGE, USAGE_TOTALS
from focus_assets.lake import CorruptPartition, Lake, input_key
from focus_assets.quantities_at import quantities_at
from focus_assets.rating import UNBILLED as UNBILLED_TIMES

UNBILLED: Final = "billing/unbilled_of_parts"
"""The entry in the record of a day's FOCUS rows that says how much of earlier times of its charges nobody bills."""

_ZERO: Final = Decimal(0)
_DAY: Final = dt.timedelta(days=1)

Time = tuple[str, dt.datetime, dt.datetime]
"""A charge, and from when to when a line of an invoice bills it."""


@dataclass(frozen=True)
class Unbilled:
    """How much of what is metered of times that are kept nobody bills, without zeros, and the days that say so."""

    times: Mapping[Time, Decimal]
    days_read: frozenset[tuple[str, dt.date]] = frozenset()

    def before(self, boundary: Boundary) -> Decimal:
        """How much of what is metered before it nobody bills."""
        charge_id, instant = boundary
        return sum((n for (of, _, to), n in self.times.items() if of == charge_id and to <= instant), _ZERO)

    @property
    def table(self) -> pl.LazyFrame | None:
        """:data:`~focus_assets.rating.unbilled.UNBILLED`, None where all is billed."""
        rows = [(*time, quantity) for time, quantity in sorted(self.times.items())]
        return pl.LazyFrame(rows, schema=UNBILLED_TIMES, orient="row") if rows else None

    @property
    def fingerprint(self) -> dict[str, str]:
        """An entry for records; nothing where all is billed, so that keeping what was computed changes nothing."""
        if not self.times:
            return {}
        found = [
            [charge_id, begin.isoformat(), end.isoformat(), f"{quantity.normalize():f}"]
            for (charge_id, begin, end), quantity in sorted(self.times.items())
        ]
        return {UNBILLED: hashlib.sha256(json.dumps(found).encode()).hexdigest()}


def unbilled_on(
    lake: Lake, catalog: Catalog, slices: Sequence[ChargeSlice], start: dt.date, late_usage: LateUsage
) -> Unbilled:
    """How much more is metered of earlier parts and billing periods of the charges of a day than these bill.

    Nothing where ``late_usage`` is billed again. ``start`` is the first day of all. Raises MissingPartitions where a
    day's usage is not in the lake.
    """
    until = _going_on(catalog, slices, start) if late_usage == "not_billed" else {}
    if not until:
        return Unbilled({})
    first = min(charge.period.start for charge, _ in until.values()).date()
    last = max(instant for _, instant in until.values())
    kept = [day for day in closed_days(lake) if first <= day and midnight(day) < last]
    found = list(_kept_slices(lake, catalog, until, [day for day in kept if _may_differ(lake, day)], start))
    instants = {
        (s.charge_id, instant): s
        for s, _ in found
        for instant in (s.period.start, s.period.end)
        if instant > s.charge.period.start
    }
    metered, read = quantities_at(lake, instants, start)
    late: dict[Time, Decimal] = {}
    for s, billed in found:
        now = metered[s.charge_id, s.period.end] - metered.get((s.charge_id, s.period.start), _ZERO)
        time = s.charge_id, s.billed_period.start, s.billed_period.end
        late[time] = late.get(time, _ZERO) + now - billed
    read |= {(dataset, day) for day in kept for dataset in (NORMALIZED_USAGE.name, USAGE_TOTALS.name)}
    return Unbilled({time: quantity for time, quantity in late.items() if quantity != 0}, frozenset(read))


def _going_on(
    catalog: Catalog, slices: Sequence[ChargeSlice], start: dt.date
) -> dict[str, tuple[Charge, dt.datetime]]:
    """The charges that are billed in several parts or billing periods, with the last instant at which one begins.

    Lines of imported invoices say themselves where they begin, and of what began before the first day nothing is known.
    Values that can fall are billed by the difference, see :mod:`~focus_assets.billing.billed_by_difference`.
    """
    found: dict[str, tuple[Charge, dt.datetime]] = {}
    for s in slices:
        begins = s.billed_period.start
        imported = (s.subscription.key, s.rate_card.key) in catalog.billed_parts
        falls = s.charge.meter.aggregation.can_fall
        if begins > s.charge.period.start >= midnight(start) and not imported and not falls:
            found[s.charge_id] = s.charge, begins
    return found


def _may_differ(lake: Lake, day: dt.date) -> bool:
    """Whether the kept rows of a day can bill another quantity than is metered by now: seldom, so no file is read.

    They do not where the day's rows were computed of what is metered by now, and came to what is kept.
    """
    try:
        record = lake.record(FOCUS, day)
    except CorruptPartition:
        return True
    if record is None or input_key(RECOMPUTED, day) in record.inputs:
        return True
    # Meters that do not add up over time are a day's total less that of the day before.
    for dataset, of in ((USAGE_TOTALS, day), (USAGE_TOTALS, day - _DAY), (NORMALIZED_USAGE, day)):
        then = record.inputs.get(input_key(dataset.name, of))
        now = lake.record(dataset.name, of) if then is not None or of == day else None
        if then != (now.sha256 if now is not None else None):
            return True
    return False


def _kept_slices(
    lake: Lake,
    catalog: Catalog,
    until: Mapping[str, tuple[Charge, dt.datetime]],
    days: Sequence[dt.date],
    start: dt.date,
) -> Iterator[tuple[ChargeSlice, Decimal]]:
    """The slices of charges before an instant whose rows are kept on ``days``, with what these billed."""
    for day in days:
        with closed_on(lake, day) as closed:
            slices = [
                s
                for s in (slices_on(catalog, day) if closed.file is not None else ())
                if s.charge_id in until
                and s.billed_period.end <= until[s.charge_id][1]
                and closed.keeps(s)
                and has_every_row(s, start)
            ]
            rows = (
                closed.rows.filter(
                    pl.col("x_ChargeId").is_in(sorted({s.charge_id for s in slices})),
                    ~is_correction(),
                )
                .select("x_ChargeId", "ChargePeriodStart", "ConsumedQuantity")
                .drop_nulls()
                .collect()
                if slices
                else pl.DataFrame()
            )
        for s in slices:
            begins = pl.col("ChargePeriodStart")
            own = rows.filter(
                pl.col("x_ChargeId") == s.charge_id, begins >= s.period.start, begins < s.period.end
            )
            yield s, sum(own["ConsumedQuantity"].to_list(), _ZERO)
