"""Usage of a day that came after invoices had frozen its quantity: rated without it, and shown beside.

What belongs here: finding it, and what of the lake that needs. What does not: which usage counts as late
(``usage.frozen``) and what its rows say (``billing.corrections``).

A line is held against what was metered on the day it ends, when all of it is known.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.billing.bills import Bill, billed_until
from focus_assets.billing.corrections import unbilled_usage
from focus_assets.billing.parts import Boundary
from focus_assets.catalog.charges import ChargeSlice, midnight
from focus_assets.catalog.periods import Period
from focus_assets.datasets import NORMALIZED_USAGE
from focus_assets.lake import Lake
from focus_assets.usage.frozen import LATE, frozen_usage
from focus_assets.usage.totals import windows_of_charges

Rows = Callable[[pl.LazyFrame, Sequence[ChargeSlice]], pl.LazyFrame]
"""The rows of Cost and Usage of some slices at some usage (as ``rateable_usage`` gives it)."""

_KEY: Final = ["x_ChargeId", "ChargePeriodStart"]
_EARLIER: Final = ["charge_id", "window_from", "subject", "dimensions", "quantity"]


@dataclass(frozen=True)
class AsFrozen:
    """The day's ``rows`` at what was frozen, ``unbilled`` what came later, and the days of usage that were read."""

    rows: pl.LazyFrame
    unbilled: pl.DataFrame | None = None
    days_read: tuple[tuple[str, dt.date], ...] = ()


@dataclass(frozen=True)
class _Late:
    bill: Bill
    ends: ChargeSlice
    quantity: Decimal


def as_frozen(
    rows: pl.LazyFrame,
    lake: Lake,
    bills: Sequence[Bill],
    slices: Sequence[ChargeSlice],
    quantities: Mapping[Boundary, Decimal],
    usage: pl.LazyFrame,
    opening: pl.LazyFrame,
    rows_of: Rows,
) -> AsFrozen:
    """The day's ``rows`` without what came after the quantities of ``bills`` were frozen.

    Args:
        bills: lines that settle on the day.
        slices: all of the day.
        quantities: what had been metered where parts begin.
        usage: the day's, as ``rateable_usage`` gives it.
        opening: what had been metered before the day.
        rows_of: rates again.
    """
    asked = [bill for bill in bills if _begins_at(bill, quantities) is not None]
    if not asked:
        return AsFrozen(rows)
    ids = sorted({bill.last.charge_id for bill in asked})
    used = usage.filter(pl.col("charge_id").is_in(ids)).collect()
    before = opening.filter(pl.col("charge_id").is_in(ids)).collect()
    late = _late(asked, quantities, used, dict(before.select("charge_id", "quantity").iter_rows()))
    if not late:
        return AsFrozen(rows)
    read: set[tuple[str, dt.date]] = set()
    frozen, unbilled = [], []
    # Where two lines of a charge end on one day, each is rated with what was metered before it.
    while late:
        now = list({each.bill.last.charge_id: each for each in reversed(late)}.values())
        late = [each for each in late if each not in now]
        earlier, days = _earlier_windows(lake, now, used)
        read |= days
        until = {each.bill.last.charge_id: each.ends.period.end for each in now}
        begun = [s for s in slices if s.charge_id in until and s.period.end <= until[s.charge_id]]
        own = pl.DataFrame(
            [(each.ends.charge_id, each.ends.period.start) for each in now], _ends(rows), orient="row"
        )
        then = frozen_usage(_until(used, now), earlier, _late_table(now))
        billed = rows_of(then.lazy(), begun).join(own.lazy(), on=_KEY, how="semi", maintain_order="left")
        metered = rows.join(own.lazy(), on=_KEY, how="semi", maintain_order="left")
        last = [each.ends.charge_id for each in now if each.bill.period.end >= billed_until(each.ends)]
        unbilled.append(unbilled_usage(metered, billed, last))
        frozen.append(billed)
        rows = rows.join(own.lazy(), on=_KEY, how="anti", maintain_order="left")
    return AsFrozen(pl.concat([rows, *frozen]), pl.concat(unbilled), tuple(sorted(read)))


def _begins_at(bill: Bill, quantities: Mapping[Boundary, Decimal]) -> Decimal | None:
    """What had been metered where the line begins.

    ``None`` where that does not matter: of fees, and of later lines of OpenMeter's charges, which bill what came late
    of the earlier ones.
    """
    last = bill.last
    if not isinstance(last, ChargeSlice) or bill.line.metered is None:
        return None
    if bill.period.start == last.charge.period.start:
        return Decimal(0)
    return quantities.get((last.charge_id, bill.period.start))


def _late(
    bills: Sequence[Bill],
    quantities: Mapping[Boundary, Decimal],
    used: pl.DataFrame,
    before: Mapping[str, Decimal],
) -> list[_Late]:
    found = []
    for bill in bills:
        begins, frozen, ends = _begins_at(bill, quantities), bill.line.metered, bill.last
        if begins is None or frozen is None or not isinstance(ends, ChargeSlice):
            continue
        of_day = used.filter(pl.col("charge_id") == ends.charge_id, pl.col("slice_to") <= ends.period.end)
        metered = (
            (before.get(ends.charge_id) or Decimal(0))
            + sum(of_day["quantity"].to_list(), Decimal(0))
            - begins
        )
        if metered != frozen:
            found.append(_Late(bill, ends, metered - frozen))
    return found


def _late_table(late: Sequence[_Late]) -> pl.DataFrame:
    rows = [(e.ends.charge_id, e.ends.period.start, e.ends.period.end, e.quantity) for e in late]
    return pl.DataFrame(rows, schema=LATE, orient="row")


def _until(used: pl.DataFrame, late: Sequence[_Late]) -> pl.DataFrame:
    ends = _late_table(late).select("charge_id", _end="slice_to")
    return used.join(ends, on="charge_id").filter(pl.col("slice_to") <= pl.col("_end")).drop("_end")


def _ends(rows: pl.LazyFrame) -> pl.Schema:
    schema = rows.collect_schema()
    return pl.Schema({name: schema[name] for name in _KEY})


def _earlier_windows(
    lake: Lake, late: Sequence[_Late], used: pl.DataFrame
) -> tuple[pl.DataFrame, set[tuple[str, dt.date]]]:
    """Windows of the lines' earlier days, where the last day has not used as much as is late."""
    on_day = (
        used.filter(pl.col("quantity") > 0).group_by("charge_id", "slice_from").agg(pl.col("quantity").sum())
    )
    enough = {(charge, begin): quantity for charge, begin, quantity in on_day.iter_rows()}
    slices, days = [], set()
    for each in late:
        ends, begun = each.ends, each.bill.period.start
        has = enough.get((ends.charge_id, ends.period.start), Decimal(0))
        adds_up = ends.charge.meter.aggregation.adds_up_over_time
        day = ends.period.start.date()
        if adds_up and begun.date() < day and (has == 0 or has < each.quantity):
            slices.append(replace(ends, period=Period(begun, midnight(day))))
            days |= {begun.date() + dt.timedelta(days=n) for n in range((day - begun.date()).days)}
    if not slices:
        return used.clear().select(_EARLIER), set()
    windows = windows_of_charges(lake.scan(NORMALIZED_USAGE.name, sorted(days)), slices)
    return windows.select(_EARLIER).collect(), {(NORMALIZED_USAGE.name, day) for day in days}
