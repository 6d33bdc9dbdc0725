"""The stages of a day that follow its charges: prices, billing periods, invoices, commitments.

What belongs here: which datasets a stage reads, which it gives, and the digests that tie them together, as in
``chain``. What does not: how a row is computed (``billing``, ``focus``) and when a stage runs (``orchestration``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import polars as pl

from focus_assets.billing.billed_lines import (
    complete_invoices,
    reconciled_with_invoices,
    totals_that_differ,
)
from focus_assets.billing.bills import billed_here, bills_on, closed_periods
from focus_assets.billing.booked_periods import booked_periods
from focus_assets.billing.booking import fingerprint
from focus_assets.billing.close import PeriodClose, days_before, ending
from focus_assets.billing.closed_lines import keep_lines, with_imported_lines, with_kept_lines
from focus_assets.billing.commitments import contract_commitments
from focus_assets.billing.corrected_lines import corrected_lines
from focus_assets.billing.corrections import LateUsage
from focus_assets.billing.datasets import BILLING_PERIODS, CONTRACT_COMMITMENTS, INVOICE_DETAILS
from focus_assets.billing.invoices import invoice_details
from focus_assets.billing.paid_in_advance import less_prepaid
from focus_assets.billing.period_invoices import issued_invoices
from focus_assets.billing.periods import Snapshot, billing_periods
from focus_assets.billing.prepaid import ended_grants, prepaid_commitments
from focus_assets.billing.reconcile import LINES, reconciled, unsettled
from focus_assets.billing.reconcile_corrections import corrected, lost, moved_lines
from focus_assets.billing.stated_lines import detail_rows, stated_on
from focus_assets.billing.whole_periods import charged_usage, metered_usage
from focus_assets.catalog.charges import ChargeSlice, slices_on
from focus_assets.catalog.credit_charges import Charged, CreditCharge, credits_on
from focus_assets.catalog.fees import Fee, fees_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.chain import FOCUS, DayOutput, Upstream, catalog_on, digests
from focus_assets.closed_stages import (
    billed_rows,
    booked_on,
    close_day,
    closing_on,
    computed_rows,
    kept_fact,
    kept_rows,
    recomputed_rows,
)
from focus_assets.datasets import CATALOG, USAGE_TOTALS
from focus_assets.delivery.dataset_months import month_facts
from focus_assets.delivery.facts import BILLING_MONTHS
from focus_assets.focus.invoice_lines import default_issuer, line_stem
from focus_assets.focus.price_list import price_list
from focus_assets.invoice_stages import days_of_lines
from focus_assets.issued_parts import UNBILLED, unbilled_on
from focus_assets.lake import Lake, MissingPartitions
from focus_assets.later_periods import closes_on
from focus_assets.settings import BillingSettings, Settings

SETTLED: Final = "settled"
IMPORTED: Final = "imported"
"""Fact of a day of Invoice Detail: that invoices stand in its catalog."""


def period_close(settings: Settings) -> PeriodClose:
    """What closes now, by the configuration."""
    return PeriodClose(
        settings.now(),
        settings.close_after_days,
        settings.start_date,
        without_invoice_after_days=settings.billing.close_after_days,
    )


def focus_price_list_days(focus: Upstream, catalog: Upstream) -> Iterator[DayOutput]:
    """``focus_price_list`` of each day of ``focus``."""
    for day in focus.days:
        # What closed rows would be now has prices that they do not have.
        rows = [focus.on(day), *recomputed_rows(focus.lake, day)]
        frame = price_list(pl.concat(rows), _charged(catalog, day)[1])
        yield DayOutput(day, frame, focus.digest(day) | catalog.digest(day))


def focus_billing_period_days(catalog: Upstream, close: PeriodClose) -> Iterator[DayOutput]:
    """``focus_billing_period`` of each day of ``catalog``: periods that accounts enter on it.

    Periods after an account's last are among them, where corrections of the day's rows are billed in them.

    Raises MissingPartitions where a period of the day began before and an earlier day's catalog is not there.
    """
    for day in catalog.days:
        closing = closing_on(catalog.lake, day, close)
        today = _charged(catalog, day)
        read: list[dt.date] = []

        def on(earlier: dt.date, read: list[dt.date] = read) -> Snapshot:
            read.append(earlier)
            return _charged(catalog, earlier)

        frame = billing_periods(day, today, closing, on)
        inputs = (
            catalog.digest(day) | digests(catalog.lake, catalog.dataset, read) | closing.fingerprint(today[1])
        )
        booked = _booked_periods(catalog.lake, day, today, close, frame)
        if booked is not None:
            frame = pl.concat([frame, booked]).sort(BILLING_PERIODS.order)
            inputs |= digests(catalog.lake, FOCUS, [day])
        yield DayOutput(day, frame, inputs, partial(month_facts, BILLING_PERIODS.name))


def _booked_periods(
    lake: Lake, day: dt.date, today: Snapshot, close: PeriodClose, own: pl.LazyFrame
) -> pl.LazyFrame | None:
    """Periods that nothing but corrections of ``day`` is billed in; None where it has no corrections.

    ``own`` are those that the day lists anyway.
    """
    record = lake.record(FOCUS, day)
    if record is None or not (booked_on(record) or recomputed_rows(lake, day)):
        return None
    held = lake.days(BILLING_PERIODS.name)
    others = [each for each in held if each != day]
    listed = pl.concat([own, *([lake.scan(BILLING_PERIODS.name, others)] if others else [])])
    closes = closes_on(lake, *today, close)
    return booked_periods(lake.scan(FOCUS, [day]), listed, max(held, default=day), today[0], closes)


def focus_invoice_detail_days(
    focus: Upstream, catalog: Upstream, close: PeriodClose, terms: BillingSettings
) -> Iterator[DayOutput]:
    """``focus_invoice_detail`` of each day of ``focus``: lines whose charge ends on it, of invoices that are issued.

    Raises MissingPartitions where an earlier day of such a line is not there.
    """
    for day in focus.days:
        snapshot, slices = _snapshot(catalog, day)
        fees_due, credits_due = fees_on(snapshot, day), credits_on(snapshot, day)
        closing = closing_on(focus.lake, day, close)
        last = ending(closing.invoiced(billed_here(snapshot, slices)))
        own_fees = closing.invoiced(billed_here(snapshot, fees_due))
        at_once: list[Fee | CreditCharge] = [*own_fees, *closing.invoiced(credits_due)]
        fees = [each for each in at_once if each.invoice is not None]
        days = [*days_before(last, day, close.start), day] if last or fees else []
        settled: list[Charged] = [*last, *fees]
        own = INVOICE_DETAILS.empty()
        if days:
            rows = kept_rows(focus.lake, days)
            own = invoice_details(rows, settled, default_issuer(snapshot), close, terms)
        corrected = focus.lake.scan(focus.dataset, days or [day])
        stems = {line_stem(each) for each in settled}
        lines = [
            with_kept_lines(focus.lake, day, own),
            corrected_lines(corrected, stems, day, close, terms),
        ]
        frame = pl.concat(lines).sort(INVOICE_DETAILS.order)
        inputs = (
            catalog.digest(day)
            | digests(focus.lake, focus.dataset, days or [day])
            | closing.fingerprint([*slices, *fees_due, *credits_due])
        )
        invoices = {line_stem(each): str(each.invoice) for each in settled}
        if snapshot.invoices:
            bills = [
                each
                for each in bills_on(snapshot, [*slices, *fees_due, *credits_due])
                if each.settles(close.start)
            ]
            # What bought credit pays of a line is known by its rows alone.
            paid = [each for each in bills if each.line.credits != 0] if snapshot.credits else []
            if paid:
                of_lines = [*days_of_lines(paid, day, close.start), day]
                bills = less_prepaid(bills, focus.lake.scan(focus.dataset, of_lines))
                inputs |= digests(focus.lake, focus.dataset, of_lines)
            stated = stated_on(snapshot, bills, day, close.start)
            frame = with_imported_lines(frame, detail_rows(stated, snapshot, terms))
        yield DayOutput(day, frame, inputs, _Settled(invoices, bool(snapshot.invoices)))


@dataclass(frozen=True)
class _Settled:
    """Facts of a day of Invoice Detail: the invoice of each charge, or part of one, that ended on it."""

    invoices: Mapping[str, str]
    imported: bool = False

    def __call__(self, frame: pl.LazyFrame) -> dict[str, Any]:
        facts: dict[str, Any] = {SETTLED: dict(sorted(self.invoices.items()))}
        facts |= month_facts(INVOICE_DETAILS.name, frame)
        return facts | ({IMPORTED: True} if self.imported else {})


def focus_contract_commitment_days(
    catalog: Upstream, close: PeriodClose, terms: BillingSettings
) -> Iterator[DayOutput]:
    """``focus_contract_commitment`` of each day of ``catalog``: what customers commit to on it.

    Minimum spends of the charges that begin on the day, and credit paid in advance that takes effect on it.
    """
    for day in catalog.days:
        snapshot, slices = _snapshot(catalog, day)
        minimums = contract_commitments(
            day, snapshot, close.closed(slices), terms.contract_commitments, start=close.start
        )
        prepaid = prepaid_commitments(day, snapshot, terms.contract_commitments, close)
        frame = pl.concat([minimums, prepaid]).sort(CONTRACT_COMMITMENTS.order)
        inputs = catalog.digest(day) | close.fingerprint(slices) | ended_grants(day, snapshot, close)
        yield DayOutput(day, frame, inputs, partial(month_facts, CONTRACT_COMMITMENTS.name))


def closed_period_days(focus: Upstream, catalog: Upstream, close: PeriodClose) -> Iterator[DayOutput]:
    """``closed_periods`` of each day of ``focus``; from then on the rows of these periods never change."""
    for day in focus.days:
        snapshot, charged = _charged(catalog, day)
        closing = closing_on(focus.lake, day, close)
        by_invoices, issued = closed_periods(snapshot, close.as_of), issued_invoices(snapshot)
        frame = close_day(focus.lake, day, charged, closing, by_invoices, issued)
        lines = Upstream(focus.lake, INVOICE_DETAILS.name, [day])
        keep_lines(focus.lake, day, lines.on(day))
        inputs = focus.digest(day) | catalog.digest(day) | lines.digest(day) | closing.fingerprint(charged)
        fact = kept_fact(frame, charged, closing)
        yield DayOutput(day, frame.lazy(), inputs, _Kept(fact))


@dataclass(frozen=True)
class _Kept:
    """Facts of a day of ``closed_periods``: the periods that closed by themselves."""

    fact: Mapping[str, Any]

    def __call__(self, frame: pl.LazyFrame) -> dict[str, Any]:
        return dict(self.fact)


def reconciled_day(lake: Lake, day: dt.date) -> pl.DataFrame:
    """The invoice lines that were settled on ``day`` beside what they should be (``billing.reconcile.LINES``).

    That is OpenMeter's invoice where there is one, else their charges rated at once.
    """
    return pl.concat([_closed_by_itself(lake, day), imported_day(lake, day)]).sort(
        "InvoiceId", "InvoiceDetailId"
    )


def imported_day(lake: Lake, day: dt.date) -> pl.DataFrame:
    """The part of :func:`reconciled_day` that imported invoices state, and totals of those that end on the day."""
    record = lake.record(INVOICE_DETAILS.name, day)
    if record is None or not record.facts.get(IMPORTED):
        return pl.DataFrame(schema=LINES)
    held = lake.days(FOCUS)
    start = min(held, default=day)
    snapshot, charged = _charged(Upstream(lake, CATALOG.name, [day]), day)
    bills = bills_on(snapshot, charged)
    stated = stated_on(snapshot, bills, day, start)
    complete = complete_invoices(snapshot, day, start)
    begun = [each.line.start for each in stated if each.line is not None]
    begun += [line.start for invoice in complete for line in invoice.lines]
    first = max(start, min((instant.date() for instant in begun), default=day))
    rows = lake.scan(FOCUS, [each for each in held if first <= each <= day])
    stated = stated_on(snapshot, less_prepaid(bills, rows), day, start)
    lines = reconciled_with_invoices(rows, lake.scan(INVOICE_DETAILS.name, [day]), stated)
    return pl.concat([lines, totals_that_differ(rows, complete)])


def _closed_by_itself(lake: Lake, day: dt.date) -> pl.DataFrame:
    """Quantities come from ``usage_totals``; of a charge that several billing periods share, from its rows."""
    record = lake.record(INVOICE_DETAILS.name, day)
    settled = record.facts.get(SETTLED, {}) if record else {}
    if record is None or not record.rows or (record.facts.get(IMPORTED) and not settled):
        return pl.DataFrame(schema=LINES)
    snapshot, slices = _snapshot(Upstream(lake, CATALOG.name, [day]), day)
    # What imported invoices bill by now is no other line of these: the kept ones stay as they were issued.
    own = billed_here(snapshot, slices)
    last = ending([replace(s, invoice=settled.get(line_stem(s))) for s in own])
    own_fees = billed_here(snapshot, fees_on(snapshot, day))
    at_once: list[Fee | CreditCharge] = [*own_fees, *credits_on(snapshot, day)]
    fees = [each for each in at_once if line_stem(each) in settled]
    imported = pl.col("InvoiceId").is_in(sorted({invoice.number for invoice in snapshot.invoices}))
    details = lake.scan(INVOICE_DETAILS.name, [day]).filter(~imported)
    started = min([*(s.charge.period.start.date() for s in last), _first_day(details, day, lake)])
    days = [started + dt.timedelta(days=n) for n in range((day - started).days + 1)]
    kept, fresh = kept_rows(lake, days), computed_rows(lake, days)
    usage = metered_usage(lake.scan(USAGE_TOTALS.name, days), [s for s in last if _is_whole(s)])
    usage |= charged_usage(fresh, [s for s in last if not _is_whole(s)], billed_rows(lake, days))
    moved = moved_lines(fresh, kept)
    lines = reconciled(kept, details, [*last, *fees], usage, moved, fresh)
    others = [lost(kept, details, lines), corrected(lake.scan(FOCUS, days), details, moved)]
    return pl.concat([lines, *others])


def reconciled_month(lake: Lake, month: str) -> tuple[pl.DataFrame, int]:
    """The invoice lines of the billing periods that begin in a month such as ``2026-08``, and how many are open.

    The lines are :data:`~focus_assets.billing.reconcile.LINES`; among them those that rows name and no day settled.
    """
    in_month = pl.col("BillingPeriodStart").dt.strftime("%Y-%m") == month
    details, periods = lake.days(INVOICE_DETAILS.name), lake.days(BILLING_PERIODS.name)
    # Corrections of earlier periods are billed in it too, and their lines stand on the days of what they correct.
    first = min((day for day in lake.days(FOCUS) if month in _months_on(lake, day)), default=dt.date.max)
    days = [day for day in details if f"{day:%Y-%m}" >= month or day >= first]
    lines = pl.concat([pl.DataFrame(schema=LINES), *(reconciled_day(lake, day) for day in days)])
    charged = lake.days(FOCUS)
    if charged:
        rows = lake.scan(FOCUS, charged).filter(in_month)
        lines = pl.concat([lines, unsettled(rows, lines)])
    still_open = 0
    if periods:
        found = lake.scan(BILLING_PERIODS.name, periods).filter(in_month)
        still_open = found.filter(pl.col("BillingPeriodStatus") == "Open").select(pl.len()).collect().item()
    return lines.filter(in_month).sort("InvoiceId", "InvoiceDetailId"), still_open


def _first_day(details: pl.LazyFrame, day: dt.date, lake: Lake) -> dt.date:
    """The first day that lines which stand on ``day`` can be for."""
    begun = details.select(pl.col("BillingPeriodStart").min()).collect().item()
    held = lake.days(FOCUS)
    return day if begun is None or not held else min(max(begun.date(), held[0]), day)


def _months_on(lake: Lake, day: dt.date) -> Mapping[str, Any]:
    record = lake.record(FOCUS, day)
    months: Mapping[str, Any] = record.facts.get(BILLING_MONTHS, {}) if record else {}
    return months


def _is_whole(s: ChargeSlice) -> bool:
    return s.billed_period == s.charge.period


def periods_closed_otherwise(
    lake: Lake, days: Sequence[dt.date], close: PeriodClose, late_usage: LateUsage = "rebilled"
) -> set[dt.date]:
    """Those of ``days`` that were computed when other billing periods had closed than ``close`` says.

    FOCUS rows are judged by the billing periods they are in, and by what invoices in the middle of these keep where
    ``late_usage`` is not billed; commitments by the prepaid credits that have ended. Days without a catalog or FOCUS
    rows are not judged. Raises CorruptPartition.
    """
    found = set()
    for day in days:
        record, committed = (lake.record(dataset, day) for dataset in (FOCUS, CONTRACT_COMMITMENTS.name))
        if record is None or lake.record(CATALOG.name, day) is None:
            continue
        snapshot, charged = _charged(Upstream(lake, CATALOG.name, [day]), day)
        booked, closes = booked_on(record), closes_on(lake, snapshot, charged, close)
        now = fingerprint(closing_on(lake, day, close), charged, booked, closes)
        changed = not now.items() <= record.inputs.items()
        changed |= _parts_kept(lake, snapshot, charged, close.start, late_usage) != record.inputs.get(
            UNBILLED
        )
        if committed is not None:
            changed |= not ended_grants(day, snapshot, close).items() <= committed.inputs.items()
        if changed:
            found.add(day)
    return found


def _parts_kept(
    lake: Lake, snapshot: Catalog, charged: Sequence[Charged], start: dt.date, late_usage: LateUsage
) -> str | None:
    """What the record of a day says now of what is kept of its charges; what cannot be read makes it stale itself."""
    slices = [each for each in charged if isinstance(each, ChargeSlice)]
    try:
        unbilled = unbilled_on(lake, snapshot, slices, start, late_usage)
    except MissingPartitions:
        return None
    return unbilled.fingerprint.get(UNBILLED)


def _snapshot(catalog: Upstream, day: dt.date) -> tuple[Catalog, list[ChargeSlice]]:
    snapshot = catalog_on(catalog, day)
    return snapshot, slices_on(snapshot, day)


def _charged(catalog: Upstream, day: dt.date) -> Snapshot:
    """The day's catalog, and its slices of charges, fees and credit."""
    snapshot, slices = _snapshot(catalog, day)
    return snapshot, [*slices, *fees_on(snapshot, day), *credits_on(snapshot, day)]
