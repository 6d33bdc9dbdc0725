"""Usage that came after the invoice of its part was issued, where nobody bills it: the rest goes on without it.

What belongs here: how much of what is metered by now no issued part has billed. What does not: how parts are rated
(``rating.splits``), keeping their rows (``closed_stages``), and imported invoices, whose lines say it themselves.

Of each day whose part is kept, the kept rows say what was billed of it; the others bill what is metered.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.billing.closed import closed_on
from focus_assets.billing.correction_signs import is_correction
from focus_assets.billing.corrections import LateUsage
from focus_assets.billing.parts import Boundary
from focus_assets.catalog.charges import Charge, ChargeSlice, slices_on
from focus_assets.catalog.periods import Period
from focus_assets.catalog.snapshot import Catalog
from focus_assets.lake import Lake
from focus_assets.quantities_at import quantities_at

UNBILLED: Final = "billing/unbilled_of_parts"
"""The entry in the record of a day's FOCUS rows that says how much of earlier parts nobody bills."""

_ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Unbilled:
    """By boundary, how much of what is metered before it nobody bills, without zeros, and the days that say so."""

    quantities: Mapping[Boundary, Decimal]
    days_read: frozenset[tuple[str, dt.date]]

    @property
    def fingerprint(self) -> dict[str, str]:
        """An entry for records; nothing where all is billed, so that keeping what was computed changes nothing."""
        if not self.quantities:
            return {}
        found = [
            [charge_id, instant.isoformat(), f"{quantity.normalize():f}"]
            for (charge_id, instant), quantity in sorted(self.quantities.items())
        ]
        return {UNBILLED: hashlib.sha256(json.dumps(found).encode()).hexdigest()}


@dataclass
class _Kept:
    """A time of a charge whose rows are kept, with the quantity that they billed."""

    last: ChargeSlice
    period: Period
    billed: Decimal


def unbilled_on(
    lake: Lake,
    catalog: Catalog,
    wanted: Mapping[Boundary, ChargeSlice],
    start: dt.date,
    late_usage: LateUsage,
) -> Unbilled:
    """How much more is metered by each of ``wanted`` (``billing.parts.boundaries``) than earlier parts bill.

    Nothing where ``late_usage`` is billed again. ``start`` is the first day of all. Raises MissingPartitions where a
    day's usage is not in the lake.
    """
    if late_usage != "not_billed":
        return Unbilled({}, frozenset())
    until: dict[str, tuple[Charge, dt.datetime]] = {}
    for (charge_id, instant), s in sorted(wanted.items(), key=lambda each: each[0]):
        if (s.subscription.key, s.rate_card.key) not in catalog.billed_parts:
            until[charge_id] = (s.charge, instant)
    kept = _kept(lake, catalog, until, start)
    instants = {
        (charge_id, instant): each.last
        for charge_id, found in kept.items()
        for each in found
        for instant in (each.period.start, each.period.end)
        if instant > each.last.charge.period.start
    }
    metered, read = quantities_at(lake, instants, start)
    late: dict[Boundary, Decimal] = {}
    for charge_id, instant in wanted:
        for each in kept.get(charge_id, ()):
            if each.period.end <= instant:
                now = metered[charge_id, each.period.end] - metered.get((charge_id, each.period.start), _ZERO)
                late[charge_id, instant] = late.get((charge_id, instant), _ZERO) + now - each.billed
    return Unbilled({key: quantity for key, quantity in late.items() if quantity != 0}, frozenset(read))


def _kept(
    lake: Lake, catalog: Catalog, until: Mapping[str, tuple[Charge, dt.datetime]], start: dt.date
) -> dict[str, list[_Kept]]:
    """By charge, the times before an instant whose rows are kept; those of one part that touch are one."""
    found: dict[str, list[_Kept]] = defaultdict(list)
    for s, billed in _kept_slices(lake, catalog, until, start):
        before = found[s.charge_id][-1] if found[s.charge_id] else None
        if before is not None and before.last.part == s.part and before.period.end == s.period.start:
            before.last, before.billed = s, before.billed + billed
            before.period = Period(before.period.start, s.period.end)
        else:
            found[s.charge_id].append(_Kept(s, s.period, billed))
    return found


def _kept_slices(
    lake: Lake, catalog: Catalog, until: Mapping[str, tuple[Charge, dt.datetime]], start: dt.date
) -> Iterator[tuple[ChargeSlice, Decimal]]:
    """The slices of charges before an instant whose rows are kept, in order of time, with what these billed."""
    last = max((instant for _, instant in until.values()), default=None)
    day = min((max(charge.period.start.date(), start) for charge, _ in until.values()), default=start)
    while last is not None and day <= last.date():
        with closed_on(lake, day) as closed:
            slices = [
                s
                for s in (slices_on(catalog, day) if closed.file is not None else ())
                if s.charge_id in until and s.period.end <= until[s.charge_id][1] and closed.keeps(s)
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
        day += dt.timedelta(days=1)
