"""``focus_cost_and_usage`` day by day, without Dagster.

What belongs here: which days a day's cost needs, in which order its steps come, and the digests that tie it to what it
was computed from. What does not: how a row is computed (``rating``, ``focus``, ``billing``) and the stages before
(``chain``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import polars as pl

from focus_assets.billing.bills import billed_here
from focus_assets.billing.bills import invoiced as billed_by
from focus_assets.billing.close import NEVER_CLOSES, PeriodClose, charged_before, ending
from focus_assets.billing.contract_applied import commitments_of
from focus_assets.billing.corrections import LateUsage
from focus_assets.billing.rounding import settle
from focus_assets.catalog.charges import ChargeSlice, slices_on
from focus_assets.catalog.credit_charges import Charged, credits_on
from focus_assets.catalog.fees import Fee, fees_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.chain import FOCUS, DayOutput, Facts, Upstream, catalog_on, digests
from focus_assets.closed_stages import Today, anew_on, closing_on, settling_rows, with_closed_rows
from focus_assets.credit_stages import CreditFacts, credited_on
from focus_assets.days_together import Prepared, groups, with_rows
from focus_assets.delivery.facts import billing_month_facts
from focus_assets.errors import FocusAssetsError
from focus_assets.focus.cost_and_usage import build
from focus_assets.focus.invoice_lines import default_issuer
from focus_assets.invoice_stages import InvoicedDay, invoiced_day
from focus_assets.lake import Lake, day_ranges
from focus_assets.rated_day import rated_day
from focus_assets.settings import CommitmentSettings
from focus_assets.usage.rateable import earlier_days, no_earlier_totals, opening_quantities, rateable_usage


class EarlierTotalsMissing(FocusAssetsError):
    """A charge began on a day whose totals are not in the lake, so its tiers cannot be counted."""


class ChargeNotContinued(FocusAssetsError):
    """A charge that began earlier is not the one the earlier totals hold, so its tiers cannot be counted on."""


@dataclass(frozen=True)
class _Inputs:
    """What the days of a run are computed from."""

    normalized: Upstream
    totals: Upstream
    catalog: Upstream
    start: dt.date
    close: PeriodClose
    late_usage: LateUsage

    @cached_property
    def slices(self) -> dict[dt.date, list[ChargeSlice]]:
        """What is rated on each day, in the order of the days."""
        return {day: slices_on(self.catalog_on(day), day) for day in self.normalized.days}

    @cached_property
    def earlier(self) -> dict[dt.date, list[dt.date]]:
        """The days before each day whose totals its charges need."""
        return {day: earlier_days(found, day, self.start) for day, found in self.slices.items()}

    @property
    def lake(self) -> Lake:
        """Holds them all."""
        return self.totals.lake

    def catalog_on(self, day: dt.date) -> Catalog:
        """The snapshot of a day."""
        return catalog_on(self.catalog, day)

    def totals_before(self, days: Sequence[dt.date]) -> pl.LazyFrame:
        """``usage_totals`` of the earlier days that charges of ``days`` need."""
        needed = sorted({each for day in days for each in self.earlier[day]})
        return self.lake.scan(self.totals.dataset, needed) if needed else no_earlier_totals()

    def prepared(self, day: dt.date, before: pl.LazyFrame) -> Prepared:
        """The day's charges as they are invoiced; raises :class:`ChargeNotContinued`."""
        found, snapshot = self.slices[day], self.catalog_on(day)
        _require_same_charges(day, found, before, self.start)
        closing = closing_on(self.lake, day, self.close)
        fees = closing.invoiced(fees_on(snapshot, day))
        imported = invoiced_day(
            self.lake, snapshot, day, found, fees, self.start, self.close.as_of, self.late_usage
        )
        return Prepared(closing.invoiced(found), fees, imported)

    def days(self) -> Iterator[tuple[dt.date, Prepared | None]]:
        """Each day, with what it comes to where it was computed with others."""
        for days in groups({day: self._alike(day, found) for day, found in self.slices.items()}):
            together = self._together(days)
            for day in days:
                yield day, together.pop(day, None)

    def _together(self, days: Sequence[dt.date]) -> dict[dt.date, Prepared]:
        """Nothing where a day is alone or cannot be computed: alone it says why, and those before it are written."""
        if len(days) == 1:
            return {}
        try:
            held, first = self.totals_before(days).collect(), days[0]
            before = {day: held.lazy().filter(pl.col("charge_date").is_in(self.earlier[day])) for day in days}
            prepared = {day: self.prepared(day, before[day]) for day in days}
            usage = self.lake.scan(self.normalized.dataset, days)
            opening = opening_quantities(before[first], self.totals.on(first))
            return with_rows(prepared, self.catalog_on(first), usage, opening, before[first], self.start)
        except FocusAssetsError:
            return {}

    def _alike(self, day: dt.date, slices: Sequence[ChargeSlice]) -> tuple[Catalog | None, int]:
        """The catalog that days computed together share, and the day's size.

        What imported invoices bill of a day, and what nobody bills of earlier parts and billing periods, is known from
        the days before it.
        """
        catalog = self.catalog_on(day)
        in_parts = self.late_usage == "not_billed" and any(s.billed_period != s.charge.period for s in slices)
        record = self.lake.record(self.normalized.dataset, day)
        usage = record.rows if record is not None else 0
        return None if catalog.invoices or in_parts else catalog, len(slices) + usage


@dataclass(frozen=True)
class _Usage:
    """What a day is rated from where it is alone. Nothing of it is planned before it is asked for."""

    inputs: _Inputs
    day: dt.date

    @cached_property
    def before(self) -> pl.LazyFrame:
        """``usage_totals`` of the days before that its charges need."""
        return self.inputs.totals_before([self.day])

    @cached_property
    def opening(self) -> pl.LazyFrame:
        """What its charges had used before it."""
        return opening_quantities(self.before, self.inputs.totals.on(self.day))

    def of(self, slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
        """The usage of some of its slices."""
        return rateable_usage(self.inputs.normalized.on(self.day), slices, self.opening)

    def rated(
        self,
        used: pl.LazyFrame,
        slices: Sequence[ChargeSlice],
        fees: Sequence[Fee] = (),
        splits: pl.LazyFrame | None = None,
        unbilled: pl.LazyFrame | None = None,
    ) -> pl.LazyFrame:
        """The rated lines of slices that have ``used`` this, and of fees."""
        return rated_day(used, self.opening, self.before, slices, fees, splits, unbilled)


def focus_cost_and_usage_days(
    normalized: Upstream,
    totals: Upstream,
    catalog: Upstream,
    start: dt.date,
    close: PeriodClose = NEVER_CLOSES,
    late_usage: LateUsage = "rebilled",
    commitments: CommitmentSettings | None = None,
) -> Iterator[DayOutput]:
    """``focus_cost_and_usage`` of each day: what its usage costs, and the flat fees that are due on it.

    Usage is rated strictly from the earlier totals of its charges' own periods; a fee needs no other day. Credit
    needs every day since it could be used, which has to be written before its own is computed. Rows of periods that
    ``close`` says have closed carry their invoice; where a line of one ends, what rounding it adds is settled from
    the rows of its earlier days, strictly, which have to be written too. Rows that have been closed stay as they are;
    what they would be now becomes corrections (:mod:`~focus_assets.closed_stages`).
    Raises :class:`EarlierTotalsMissing` before the first day is written if a day's totals are not in the lake, and
    EarlierCreditsMissing if a day's credits need one that is not there.
    """
    inputs = _Inputs(normalized, totals, catalog, start, close, late_usage)
    _require_totals(totals.lake, totals.dataset, inputs.earlier)
    for day, known in inputs.days():
        snapshot, usage = inputs.catalog_on(day), _Usage(inputs, day)
        closing = closing_on(totals.lake, day, close)
        prepared = known or inputs.prepared(day, usage.before)
        found, invoiced, fees = inputs.slices[day], prepared.invoiced, prepared.fees
        imported, rows = prepared.imported, prepared.rows
        grants, credits_due = snapshot.credits, credits_on(snapshot, day)
        charged: list[Charged] = [*invoiced, *fees, *credits_due]
        today = Today(charged, closing, late_usage, default_issuer(snapshot), snapshot)
        if rows is None:
            rated = usage.rated(usage.of(found), invoiced, fees, *imported.parts)
            rows = build(rated, prepared.on_invoices, snapshot, prepared.fees_on_invoices, in_order=True)
        if imported.bills:
            rows_of = partial(_rows_of, usage, imported, snapshot)
            imported, rows = imported.without_late_usage(rows, found, usage.of(found), usage.opening, rows_of)
        facts: Facts = cost_facts
        paid_on: list[dt.date] = []
        if grants:
            ours = late_usage == "not_billed" and not snapshot.invoices
            due = closing.invoiced(credits_due)
            anew = anew_on(totals.lake, day, today) if ours else frozenset()
            credited, paid_on = credited_on(
                totals.lake, snapshot, day, start, found, rows, due, kept=ours, anew=anew
            )
            rows, facts = credited.rows, CreditFacts(credited.used, cost_facts)
        last = ending(billed_here(snapshot, invoiced))
        billed = charged_before(last, day, start)
        if last or (grants and any(fee.invoice for fee in fees)):
            ended: list[ChargeSlice | Fee] = [*last, *(fee for fee in fees if grants and fee.invoice)]
            own = rows
            ids = {s.charge_id for s in last}
            if prepared.rows is not None and not grants:
                own = rows.filter(pl.col("x_ChargeId").is_in(ids))
            elif not grants:
                of_ended = [s for s in invoiced if s.charge_id in ids]
                rated = usage.rated(usage.of(of_ended), of_ended, (), *imported.parts)
                own = build(rated, of_ended, snapshot, in_order=True)
            with settling_rows(totals.lake, day, billed, own, late_usage) as (fresh, counted):
                rows = settle(fresh, ended, day, default_issuer(snapshot), counted).applied_to(rows)
        rows = imported.applied_to(rows)
        committed = commitments_of(snapshot, charged, commitments, start)
        rows = committed.applied_to(rows)
        with with_closed_rows(totals.lake, day, rows, replace(today, committed=committed)) as kept:
            still_open = closing.issued_while_open(charged) | kept.waiting
            yield DayOutput(
                day,
                kept.rows,
                normalized.digest(day)
                | catalog.digest(day)
                | digests(totals.lake, totals.dataset, [*inputs.earlier[day], day])
                | digests(totals.lake, FOCUS, billed)
                | digests(totals.lake, FOCUS, paid_on)
                | {
                    key: sha256
                    for dataset, read in imported.days_read
                    for key, sha256 in digests(totals.lake, dataset, [read]).items()
                }
                | {**imported.fingerprint, **kept.inputs},
                kept.facts(imported.facts(facts, still_open, kept.closed_since)),
            )


def _rows_of(
    usage: _Usage,
    imported: InvoicedDay,
    snapshot: Catalog,
    used: pl.LazyFrame,
    slices: Sequence[ChargeSlice],
) -> pl.LazyFrame:
    rated = usage.rated(used, slices, (), *imported.parts)
    return build(rated, billed_by(slices, imported.bills), snapshot, in_order=True)


def _require_totals(lake: Lake, dataset: str, earlier: Mapping[dt.date, Sequence[dt.date]]) -> None:
    needed = sorted({day for days in earlier.values() for day in days})
    missing = [day for day in needed if lake.record(dataset, day) is None]
    if missing:
        asked = min(day for day, days in earlier.items() if missing[0] in days)
        raise EarlierTotalsMissing(
            f"focus_cost_and_usage of {asked:%F} rates charges that began on or before {missing[0]:%F}, but "
            f"{dataset} has no data for {day_ranges(missing)}. Fill these days first:\n"
            f"  focus-assets materialize --from {missing[0]:%F} --to {missing[-1]:%F}\n"
            "Nothing was written."
        )


def _require_same_charges(
    day: dt.date, slices: Sequence[ChargeSlice], earlier_totals: pl.LazyFrame, start: dt.date
) -> None:
    """Totals have a row for every charge and day, also without usage: one that lacks it was another charge then."""
    wanted = {}
    for s in slices:
        charge = s.charge
        adds_up = charge.meter.aggregation.adds_up_over_time
        days = (day - max(charge.period.start.date(), start)).days
        if days > 0:
            key = (charge.charge_id, charge.customer.key, charge.meter.slug, charge.meter.unit, adds_up)
            wanted[key] = days if adds_up else 1
    found = (
        earlier_totals.filter(pl.col("charge_date") < day)
        .group_by("charge_id", "customer", "meter", "unit", adds_up=pl.col("quantity").is_not_null())
        .agg(pl.len(), pl.col("charge_date").max().alias("last"))
        .collect()
    )
    held = {row[:5]: row[5:] for row in found.iter_rows()}
    for key, days in sorted(wanted.items()):
        rows, last = held.get(key, (0, None))
        if rows < days or (days == 1 and last != day - dt.timedelta(days=1)):
            since = max(
                next(s.charge.period.start.date() for s in slices if s.charge.charge_id == key[0]), start
            )
            raise ChargeNotContinued(
                f"charge {key[0]} of {day:%F} began before that day, but usage_totals since {since:%F} do not hold it "
                "as it now is (subscription, rate card, meter, unit or customer were edited without a valid_from). "
                "Undo the edit, or materialize the whole period again:\n"
                f"  focus-assets materialize --from {since:%F} --to {day:%F}\nNo cost was written."
            )


def cost_facts(frame: pl.LazyFrame) -> dict[str, Any]:
    """Billing months (see ``delivery.facts``) and billed cost by currency and service, as decimal text."""
    by_service = (
        frame.group_by("BillingCurrency", "ServiceName")
        .agg(pl.col("BilledCost").sum())
        .sort("BillingCurrency", "ServiceName")
        .collect()
    )
    costs: dict[str, dict[str, str]] = {}
    for currency, service, cost in by_service.iter_rows():
        costs.setdefault(currency, {})[service] = f"{cost.normalize():f}"
    return {**billing_month_facts(frame), "billed_cost_by_service": costs}
