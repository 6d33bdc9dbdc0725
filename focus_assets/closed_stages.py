"""A day of ``focus_cost_and_usage`` some of whose billing periods have closed, and closing them.

What belongs here: which datasets are read and written, as in ``chain``. What does not: what is closed
(``billing.closed``), what corrects it (``billing.corrections``) and in which period (``billing.booking``).

The rows of a closed period stay what they were when it closed. What the day would be now goes to
``recomputed_cost_and_usage``, where it differs; whoever computes something from earlier days reads that, so that
rounding, credits and control totals never see a correction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import polars as pl

from focus_assets.billing.billed_by_difference import billed_by_difference, can_fall
from focus_assets.billing.bills import billed_times
from focus_assets.billing.booking import (
    Booked,
    booked_in,
    booking_fact,
    fingerprint,
    invoice_of,
    open_periods,
)
from focus_assets.billing.close import ISSUED_WHILE_OPEN, ClosedPeriod, PeriodClose
from focus_assets.billing.closed import (
    PERIOD_COLUMNS,
    ClosedDay,
    close_rows,
    closed_on,
    same_rows,
)
from focus_assets.billing.contract_applied import NO_COMMITMENTS, Commitments
from focus_assets.billing.correction_signs import is_correction
from focus_assets.billing.corrections import Booking, LateUsage, corrections
from focus_assets.billing.datasets import CLOSED_PERIODS
from focus_assets.billing.period_invoices import PeriodInvoice, voided_invoices
from focus_assets.catalog.credit_charges import Charged
from focus_assets.catalog.snapshot import Catalog
from focus_assets.issued_instants import keep_issued_instants
from focus_assets.lake import CorruptPartition, Lake, PartitionRecord, input_key
from focus_assets.lake.copies import temporary_folder
from focus_assets.later_periods import closes_on
from focus_assets.moved_first_day import without_lost_history

FOCUS: Final = "focus_cost_and_usage"

RECOMPUTED: Final = "recomputed_cost_and_usage"
"""What a day's rows would be if nothing had closed, of days where closed rows are others."""

KEPT: Final = "kept"
KEPT_INVOICES: Final = "kept_invoices"
LATE_USAGE: Final = "late_usage"

Facts = Callable[[pl.LazyFrame], Mapping[str, Any]]


@dataclass(frozen=True)
class ClosedOrNot:
    """The rows of a day as they are kept, with what their record says besides.

    ``waiting``: the open billing periods of invoices in the middle whose rows are kept, whatever is charged by now.
    ``closed_since``: periods of corrections that have closed after what these correct.
    """

    rows: pl.LazyFrame
    inputs: Mapping[str, str]
    booked: Booked = field(default_factory=dict)
    late_usage: LateUsage | None = None
    waiting: frozenset[ClosedPeriod] = frozenset()
    closed_since: frozenset[ClosedPeriod] = frozenset()

    def facts(self, others: Facts) -> Facts:
        """``others``, and what has to be known of corrections when the day is computed again."""
        return _Facts(others, self)


@dataclass(frozen=True)
class _Facts:
    others: Facts
    kept: ClosedOrNot

    def __call__(self, frame: pl.LazyFrame) -> dict[str, Any]:
        how = {LATE_USAGE: self.kept.late_usage} if self.kept.late_usage else {}
        return {**self.others(frame), **booking_fact(self.kept.booked), **how}


@dataclass(frozen=True)
class Today:
    """What a day is computed with now, and what becomes of changes in what has closed.

    Args:
        charged: the day's slices and fees.
        close: what closes now.
        late_usage: what becomes of changes in closed periods.
        issuer: who issues invoices mostly.
        committed: what corrections count towards, with the amount that they correct.
        catalog: the day's, with its invoices.
    """

    charged: Sequence[Charged]
    close: PeriodClose
    late_usage: LateUsage
    issuer: str
    catalog: Catalog
    committed: Commitments = NO_COMMITMENTS


@contextmanager
def with_closed_rows(
    lake: Lake,
    day: dt.date,
    rows: pl.LazyFrame,
    today: Today,
) -> Iterator[ClosedOrNot]:
    """The day's ``rows`` as they are kept: closed rows as they were, and corrections behind them.

    ``rows`` are what the day comes to now. The result can be read inside. Where closed rows differ, ``rows`` are
    written to :data:`RECOMPUTED`.
    """
    with closed_on(lake, day) as closed:
        if closed.file is None:
            yield ClosedOrNot(rows, today.close.fingerprint(today.charged))
            return
        with TemporaryDirectory(prefix="recomputed-", dir=temporary_folder()) as folder:
            file = Path(folder, "rows.parquet")
            # Rated once: what follows reads it several times.
            known = without_lost_history(lake, FOCUS, day, rows, closed, today.charged, today.close)
            known.sink_parquet(file, maintain_order=True)
            fresh = pl.scan_parquet(file, glob=False, hive_partitioning=False)
            yield _kept(lake, day, fresh, closed, today)


def _kept(lake: Lake, day: dt.date, fresh: pl.LazyFrame, closed: ClosedDay, today: Today) -> ClosedOrNot:
    charged, close = today.charged, today.close
    would_be = closed.of(fresh)
    waiting = frozenset(
        part.period
        for part in closed.parts
        if part.period not in closed.periods and not close.is_over(part.period)
    )
    closes = closes_on(lake, today.catalog, charged, close)
    # Those of the day's own charges are known by its catalog.
    others = closed.periods - {ClosedPeriod.of(each) for each in charged}

    def closed_since(booked: Collection[ClosedPeriod] = ()) -> frozenset[ClosedPeriod]:
        return frozenset(period for period in {*booked, *others} if closes(period) is not None)

    if same_rows(would_be, closed.rows):
        return ClosedOrNot(fresh, close.fingerprint(charged), waiting=waiting, closed_since=closed_since())
    booked = open_periods(closed.periods, closes, charged, booked_in(facts_of(lake, day)))
    # What changed in an invoiced part of an open period goes with the rest of that period.
    booked |= {part.period: part.period for part in closed.parts if part.period not in closed.periods}
    bookings = {
        of: Booking(period, invoice_of(period, close), closes(period) is not None)
        for of, period in booked.items()
    }
    rated = {each.charge_id for each in charged}
    added = corrections(
        would_be,
        closed.rows,
        bookings,
        today.late_usage,
        today.issuer,
        day,
        rated,
        voided_invoices(today.catalog),
        closed.invoices,
        close.kept,
        billed_times(today.catalog, charged),
        billed_by_difference(charged, booked),
    )
    added = today.committed.applied_to(added.lazy()).collect()
    used = {of: booked[of] for of in booked if of in waiting or _books(added, booked[of])}
    record = lake.write(RECOMPUTED, day, fresh)
    return ClosedOrNot(
        pl.concat([closed.rows, closed.of(fresh, others=True), added.lazy()]),
        fingerprint(close, charged, used.values(), closes) | {input_key(RECOMPUTED, day): record.sha256},
        used,
        today.late_usage,
        waiting,
        closed_since(used.values()),
    )


def anew_on(lake: Lake, day: dt.date, today: Today) -> frozenset[str]:
    """The charges of a day that are billed by the difference: what changed of them in closed periods is billed."""
    falling = can_fall(today.charged)
    with closed_on(lake, day) as closed:
        if not falling or not closed.periods:
            return frozenset()
        closes = closes_on(lake, today.catalog, today.charged, today.close)
        booked = open_periods(closed.periods, closes, today.charged, booked_in(facts_of(lake, day)))
        return frozenset(billed_by_difference(today.charged, booked))


def _books(added: pl.DataFrame, period: ClosedPeriod) -> bool:
    return not added.filter(
        pl.col("BillingAccountId") == period.account,
        pl.col("BillingPeriodStart") == period.start,
        pl.col("BillingCurrency") == period.currency,
    ).is_empty()


def facts_of(lake: Lake, day: dt.date) -> Mapping[str, Any]:
    """What the record says; nothing where it cannot be read, for then the choice is made anew."""
    try:
        record = lake.record(FOCUS, day)
    except CorruptPartition:
        return {}
    return record.facts if record is not None else {}


def booked_on(record: PartitionRecord) -> list[ClosedPeriod]:
    """The periods that corrections of a day of ``focus_cost_and_usage`` are billed in, by its record."""
    return list(booked_in(record.facts).values())


def computed_rows(lake: Lake, days: Sequence[dt.date]) -> pl.LazyFrame:
    """The rows of ``focus_cost_and_usage`` of ``days`` as if nothing had closed; errors as :meth:`Lake.scan`."""
    records = lake.records(FOCUS, days)
    recomputed = {day for day, record in records.items() if input_key(RECOMPUTED, day) in record.inputs}
    if not recomputed:
        return lake.scan(FOCUS, days)
    return pl.concat(lake.scan(RECOMPUTED if day in recomputed else FOCUS, [day]) for day in records)


def recomputed_rows(lake: Lake, day: dt.date) -> list[pl.LazyFrame]:
    """The rows that a day would have if nothing had closed, where closed ones differ; else nothing."""
    record = lake.record(FOCUS, day)
    is_other = record is not None and input_key(RECOMPUTED, day) in record.inputs
    return [lake.scan(RECOMPUTED, [day])] if is_other else []


def kept_rows(lake: Lake, days: Sequence[dt.date]) -> pl.LazyFrame:
    """The rows of ``focus_cost_and_usage`` of ``days`` without corrections; errors as :meth:`Lake.scan`."""
    return lake.scan(FOCUS, days).filter(~is_correction())


def billed_rows(lake: Lake, days: Sequence[dt.date], falling: Collection[str] = ()) -> pl.LazyFrame:
    """The rows of ``days`` as later invoices count them; errors as :meth:`Lake.scan`.

    As if nothing had closed, but where late usage is not billed: then what has closed counts as it was, and of the
    charges ``falling``, whose value can fall, with what was billed since.
    """
    records = lake.records(FOCUS, days)
    kept = {day for day, record in records.items() if record.facts.get(LATE_USAGE) == "not_billed"}
    if not kept:
        return computed_rows(lake, days)
    billed = ~is_correction() | pl.col("x_ChargeId").is_in(sorted(falling))
    return pl.concat(
        lake.scan(FOCUS, [day]).filter(billed) if day in kept else computed_rows(lake, [day])
        for day in records
    )


@contextmanager
def settling_rows(
    lake: Lake, day: dt.date, days: Sequence[dt.date], own: pl.LazyFrame, late_usage: LateUsage
) -> Iterator[tuple[pl.LazyFrame, pl.LazyFrame | None]]:
    """Rows of earlier ``days`` and ``own`` ones as if nothing had closed, and as later invoices count them.

    The latter are None where that is the same. They can be read inside.
    """
    fresh = pl.concat([computed_rows(lake, days), own]) if days else own
    if late_usage != "not_billed":
        yield fresh, None
        return
    with closed_on(lake, day) as closed:
        if closed.file is not None:
            kept = closed.rows.filter(~is_correction())
            own = pl.concat([kept, closed.of(own, others=True)])
        yield fresh, pl.concat([billed_rows(lake, days), own]) if days else own


def kept_fact(kept: pl.DataFrame, charged: Sequence[Charged], close: PeriodClose) -> dict[str, Any]:
    """The fact of a day of ``closed_periods`` that :func:`closing_on` reads: what of it closed by itself.

    What imported invoices closed is invoiced by them and by nothing else, also when one of them is voided.
    """
    by_itself = close.kept | {ClosedPeriod.of(each) for each in charged if close.has_closed(each)}
    periods = (ClosedPeriod(*row) for row in kept.select(PERIOD_COLUMNS).iter_rows())
    invoices = sorted(close.kept_invoices | {part.invoice for part in close.issued_parts(charged)})
    found = sorted(str(period) for period in periods if period in by_itself)
    return {KEPT: found, **({KEPT_INVOICES: invoices} if invoices else {})}


def closing_on(lake: Lake, day: dt.date, close: PeriodClose) -> PeriodClose:
    """``close``, and what has closed by itself on ``day`` already: setting a later close does not open it again."""
    record = lake.record(CLOSED_PERIODS.name, day)
    facts = record.facts if record is not None else {}
    kept = frozenset(map(ClosedPeriod.parse, facts.get(KEPT, ())))
    return replace(close, kept=kept, kept_invoices=frozenset(facts.get(KEPT_INVOICES, ())))


def not_kept(lake: Lake, day: dt.date) -> list[str]:
    """Why rows of a day may not be delivered yet: they have closed, and nothing keeps them from changing."""
    rows = lake.scan(FOCUS, [day]).filter(pl.col("x_IsEstimated").eq_missing(False))
    found = {ClosedPeriod(*row) for row in rows.select(PERIOD_COLUMNS).unique().collect().iter_rows()}
    if not found:
        return []
    with closed_on(lake, day) as kept:
        missing = sorted(found - _open_on(lake, day) - kept.periods)
        if missing:
            return [f"rows of the closed billing period {missing[0]} are not kept for good yet"]
        own = pl.col("InvoiceId").is_not_null() & pl.col("x_OpenMeterInvoiceId").is_null()
        issued = kept.of(rows, others=True).filter(own).select("InvoiceId").unique().collect()
    return [
        f"rows of the issued invoice {invoice} are not kept for good yet"
        for invoice in issued["InvoiceId"].sort()[:1]
    ]


def _open_on(lake: Lake, day: dt.date) -> set[ClosedPeriod]:
    """Periods some of whose rows are on an issued invoice while another is missing."""
    return set(map(ClosedPeriod.parse, facts_of(lake, day).get(ISSUED_WHILE_OPEN, ())))


def close_day(
    lake: Lake,
    day: dt.date,
    charged: Sequence[Charged],
    close: PeriodClose,
    by_invoices: Collection[tuple[str, dt.datetime, dt.datetime]] = (),
    issued: Collection[PeriodInvoice] = (),
) -> pl.DataFrame:
    """Keep what has closed of a day of ``focus_cost_and_usage`` for good; returns all that is kept.

    Closed are the billing periods of ``charged`` that have an invoice, or are closed ``by_invoices`` that were
    imported (customer, start and end), also where they have no rows, and whatever else is no estimate. With each it is
    kept which imported invoices were ``issued``. What an issued invoice in the middle of an open period bills is kept
    too. The result is :data:`~focus_assets.billing.datasets.CLOSED_PERIODS`: of periods that are kept as a whole.
    """
    rows = lake.scan(FOCUS, [day])
    found = rows.filter(pl.col("x_IsEstimated").eq_missing(False)).select(PERIOD_COLUMNS).unique().collect()
    periods = {ClosedPeriod(*row) for row in found.iter_rows()} - _open_on(lake, day)
    periods |= {
        ClosedPeriod.of(each)
        for each in charged
        if close.has_closed(each) or (each.customer.key, each.billing.start, each.billing.end) in by_invoices
    }
    # Before the rows: once they are kept, their charges have to stay cut.
    keep_issued_instants(lake, close.issued_instants(charged))
    close_rows(lake, day, rows, periods, close.issued_parts(charged), issued)
    schema = CLOSED_PERIODS.schema
    with closed_on(lake, day) as kept:
        if not kept.periods:
            return pl.DataFrame(schema=schema)
        listed = pl.DataFrame(
            sorted(kept.periods), schema={name: schema[name] for name in PERIOD_COLUMNS}, orient="row"
        )
        sums = kept.rows.group_by(PERIOD_COLUMNS).agg(pl.len().alias("rows"), pl.col("BilledCost").sum())
        return (
            listed.join(sums.collect(), on=PERIOD_COLUMNS, how="left")
            .with_columns(
                pl.lit(day).alias("charge_date"),
                pl.col("rows", "BilledCost").fill_null(0),
                pl.lit(kept.sha256).alias("kept_as"),
            )
            .select(pl.col(name).cast(dtype) for name, dtype in schema.items())
            .sort(CLOSED_PERIODS.order)
        )
