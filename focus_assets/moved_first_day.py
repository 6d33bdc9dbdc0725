"""What has closed before the first day was set past its beginning, and cannot be rated again.

What belongs here: telling such charges of a day, and keeping what closed of them. What does not: how rows are kept
(``billing.closed``) and which periods close (``billing.close``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from focus_assets.billing.close import ClosedPeriod, PeriodClose
from focus_assets.billing.closed import ClosedDay
from focus_assets.catalog.credit_charges import Charged
from focus_assets.focus.schema import internal_schema
from focus_assets.lake import Lake


def without_lost_history(
    lake: Lake,
    dataset: str,
    day: dt.date,
    rows: pl.LazyFrame,
    closed: ClosedDay,
    charged: Sequence[Charged],
    close: PeriodClose,
) -> pl.LazyFrame:
    """``rows``, but of charges that begin before a first day which was set since they closed, as they were closed.

    What they had used before that day is not read any more, so that nothing can be said of them but that. A charge of
    which nothing has closed stays as it is computed: an estimate. ``dataset`` holds the FOCUS rows of other days.
    """
    begun = {
        (each.charge_id, ClosedPeriod.of(each))
        for each in charged
        if ClosedPeriod.of(each) in close.kept & closed.periods and not close.has_closed(each)
    }
    if not begun:
        return rows
    # A charge that goes on has rows of two billing periods on the day on which one ends.
    schema = {name: internal_schema()[name] for name in ("x_ChargeId", "BillingPeriodStart")}
    key = list(schema)
    theirs = pl.LazyFrame([(charge, of.start) for charge, of in sorted(begun)], schema=schema, orient="row")
    of_day = closed.rows.join(theirs, on=key, how="semi", maintain_order="left")
    # The day itself may hold nothing of a charge that closed.
    first, last = min(of.start for _, of in begun).date(), max(of.end for _, of in begun).date()
    others = [each for each in lake.days(dataset) if first <= each <= last and each != day]
    known = [of_day, *([lake.scan(dataset, others)] if others else [])]
    final = pl.concat(each.filter(~pl.col("x_IsEstimated")).select(key) for each in known).unique()
    kept = theirs.join(final, on=key, how="semi").collect().lazy()
    return pl.concat(
        [
            rows.join(kept, on=key, how="anti", maintain_order="left"),
            of_day.join(kept, on=key, how="semi", maintain_order="left"),
        ]
    )
