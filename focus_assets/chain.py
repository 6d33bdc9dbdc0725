"""The stages of the usage chain, day by day, without Dagster.

What belongs here: which datasets a stage reads, which it gives, and the digests that tie them together. What does
not: how a row is computed (``usage``, ``rating``, ``focus``) and when a stage runs (``orchestration``).

Every stage takes what it reads as :class:`Upstream` and yields one :class:`DayOutput` per day, lazily and in
order, so that a range needs the memory of its largest day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import polars as pl

from focus_assets.billing.bills import billed_here
from focus_assets.billing.bills import invoiced as billed_by
from focus_assets.billing.close import NEVER_CLOSES, PeriodClose, charged_before, ending
from focus_assets.billing.contract_applied import commitments_of
from focus_assets.billing.corrections import LateUsage
from focus_assets.billing.rounding import settle
from focus_assets.catalog.charges import ChargeSlice, require_known_opening, slices_on
from focus_assets.catalog.credit_charges import Charged, credits_on
from focus_assets.catalog.fees import Fee, fees_on
from focus_assets.catalog.kept import catalog_in
from focus_assets.catalog.models import Meter
from focus_assets.catalog.snapshot import Catalog
from focus_assets.closed_stages import Today, closing_on, settling_rows, with_closed_rows
from focus_assets.credit_stages import CreditFacts, credited_on
from focus_assets.delivery.facts import billing_month_facts
from focus_assets.errors import FocusAssetsError
from focus_assets.focus.cost_and_usage import build
from focus_assets.focus.dimensions import resolve
from focus_assets.focus.invoice_lines import default_issuer
from focus_assets.invoice_stages import InvoicedDay, invoiced_day
from focus_assets.issued_instants import NONE, Instants, with_issued_instants
from focus_assets.lake import Lake, day_ranges
from focus_assets.rated_day import rated_day
from focus_assets.settings import CommitmentSettings
from focus_assets.usage.normalize import normalized_usage
from focus_assets.usage.rateable import (
    earlier_days,
    no_earlier_totals,
    opening_quantities,
    rateable_usage,
)
from focus_assets.usage.totals import unbilled_usage, usage_totals

FOCUS = "focus_cost_and_usage"

Facts = Callable[[pl.LazyFrame], Mapping[str, Any]]


class EarlierTotalsMissing(FocusAssetsError):
    """A charge began on a day whose totals are not in the lake, so its tiers cannot be counted."""


@dataclass(frozen=True)
class Upstream:
    """One dataset of the lake on the days of a run; each day is checked when it is read."""

    lake: Lake
    dataset: str
    days: Sequence[dt.date]

    def on(self, day: dt.date) -> pl.LazyFrame:
        """The day's rows; raises MissingPartitions or CorruptPartition."""
        return self.lake.scan(self.dataset, [day])

    def digest(self, day: dt.date) -> dict[str, str]:
        """The day's entry in the record of whatever is computed from it."""
        return digests(self.lake, self.dataset, [day])


@dataclass(frozen=True)
class DayOutput:
    """One day of a dataset, not yet computed, with the digests of what it is computed from.

    ``note`` goes beside the file: what differs between equal runs.
    """

    day: dt.date
    frame: pl.LazyFrame
    inputs: Mapping[str, str] = field(default_factory=dict)
    facts: Facts | None = None
    note: Mapping[str, str] = field(default_factory=dict)


class OpenSource(Protocol):
    """A usage source opened for a range of days."""

    def raw_usage(self, day: dt.date, catalog: Catalog, slices: list[ChargeSlice]) -> pl.LazyFrame:
        """The day's ``raw_usage`` rows."""

    def quarantined(self, day: dt.date) -> pl.LazyFrame:
        """The day's ``quarantined_events`` rows."""

    def inputs(self, day: dt.date, slices: Sequence[ChargeSlice]) -> Mapping[str, str]:
        """What outside the lake the day's rows rest on, as entries of its record."""

    def note(self, day: dt.date) -> Mapping[str, str]:
        """What there is to say of the extraction that differs from run to run."""

    def counts(self, day: dt.date) -> Mapping[str, int]:
        """How many events were read, metered, dropped and quarantined."""


class SourceWithKeys(Protocol):
    """A usage source whose duplicates are told here."""

    def keys(self, day: dt.date) -> pl.LazyFrame:
        """The day's ``event_keys`` rows."""


def digests(lake: Lake, dataset: str, days: Sequence[dt.date]) -> dict[str, str]:
    """``<dataset>/<day>`` → sha256, of the days that are in the lake."""
    records = ((day, lake.record(dataset, day)) for day in days)
    return {f"{dataset}/{day:%F}": record.sha256 for day, record in records if record is not None}


def catalog_on(catalog: Upstream, day: dt.date) -> Catalog:
    """The snapshot of one day."""
    return catalog_in(catalog.lake, day)


def catalog_days(catalog: Catalog, days: Sequence[dt.date], issued: Instants = NONE) -> Iterator[DayOutput]:
    """``catalog``: the configuration as it stood on each day, with ``issued`` instants that it names no longer.

    Refused whole if a dimension resolves nowhere.
    """
    resolve(catalog)
    known = with_issued_instants(catalog, issued)
    for day in days:
        yield DayOutput(day, known.on(day).to_frame())


def slices_of_days(
    catalog: Upstream, days: Sequence[dt.date], start: dt.date, *, assume_zero: bool
) -> dict[dt.date, list[ChargeSlice]]:
    """What is rated on each day; refuses charges whose opening quantity nobody knows."""
    slices = {day: slices_on(catalog_on(catalog, day), day) for day in days}
    for found in slices.values():
        require_known_opening(found, start, assume_zero=assume_zero)
    return slices


def metered_since(slices: Mapping[dt.date, list[ChargeSlice]], start: dt.date) -> dt.date:
    """The first day whose events quantities to date need."""
    begun = [
        s.charge.period.start.date()
        for found in slices.values()
        for s in found
        if not s.charge.meter.aggregation.adds_up_over_time
    ]
    return max(start, min(begun, default=min(slices)))


def meters_of_days(catalog: Upstream, days: Sequence[dt.date]) -> tuple[Meter, ...]:
    """Every meter that is in the catalog on one of the days."""
    found = {meter.slug: meter for day in days for meter in catalog_on(catalog, day).meters}
    return tuple(found[slug] for slug in sorted(found))


def raw_usage_days(
    source: OpenSource,
    catalog: Upstream,
    slices: Mapping[dt.date, list[ChargeSlice]],
    seen_before: Callable[[dt.date], Mapping[str, str]],
) -> Iterator[DayOutput]:
    """``raw_usage``: what the source says, with the counts behind it as facts.

    ``seen_before`` gives the digests of the keys of earlier days by which a day's duplicates were told.
    """
    for day, found in slices.items():
        frame = source.raw_usage(day, catalog_on(catalog, day), found)
        counts = dict(source.counts(day))
        inputs = {**catalog.digest(day), **source.inputs(day, found), **seen_before(day)}
        yield DayOutput(day, frame, inputs, _EventCounts(counts), source.note(day))


def event_keys_days(source: SourceWithKeys, days: Sequence[dt.date]) -> Iterator[DayOutput]:
    """``event_keys``: what came on each day. Depends on no other day, so it is written before ``raw_usage``."""
    for day in days:
        yield DayOutput(day, source.keys(day))


@dataclass(frozen=True)
class _EventCounts:
    counts: Mapping[str, int]

    def __call__(self, frame: pl.LazyFrame) -> dict[str, Any]:
        return {"events": dict(self.counts)}


def quarantined_events_days(source: OpenSource, days: Sequence[dt.date]) -> Iterator[DayOutput]:
    """``quarantined_events``: what could not be metered."""
    for day in days:
        yield DayOutput(day, source.quarantined(day))


def normalized_usage_days(raw: Upstream, catalog: Upstream) -> Iterator[DayOutput]:
    """``normalized_usage`` of each day of ``raw``."""
    for day in raw.days:
        frame = normalized_usage(raw.on(day), catalog_on(catalog, day))
        yield DayOutput(day, frame, raw.digest(day) | catalog.digest(day), quantity_facts)


def usage_totals_days(normalized: Upstream, catalog: Upstream) -> Iterator[DayOutput]:
    """``usage_totals`` of each day of ``normalized``."""
    for day in normalized.days:
        slices = slices_on(catalog_on(catalog, day), day)
        frame = usage_totals(normalized.on(day), slices)
        yield DayOutput(day, frame, normalized.digest(day) | catalog.digest(day))


def unbilled_usage_days(normalized: Upstream, catalog: Upstream) -> Iterator[DayOutput]:
    """``unbilled_usage`` of each day of ``normalized``."""
    for day in normalized.days:
        snapshot = catalog_on(catalog, day)
        frame = unbilled_usage(normalized.on(day), slices_on(snapshot, day), snapshot)
        yield DayOutput(day, frame, normalized.digest(day) | catalog.digest(day), quantity_facts)


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
    slices = {day: slices_on(catalog_on(catalog, day), day) for day in normalized.days}
    earlier = {day: earlier_days(found, day, start) for day, found in slices.items()}
    _require_totals(totals.lake, totals.dataset, earlier)
    for day, found in slices.items():
        before = totals.lake.scan(totals.dataset, earlier[day]) if earlier[day] else no_earlier_totals()
        _require_same_charges(day, found, before, start)
        opening = opening_quantities(before, totals.on(day))
        snapshot, usage = catalog_on(catalog, day), normalized.on(day)
        closing = closing_on(totals.lake, day, close)
        invoiced, fees = closing.invoiced(found), closing.invoiced(fees_on(snapshot, day))
        imported = invoiced_day(totals.lake, snapshot, day, found, fees, start, close.as_of, late_usage)
        grants, credits_due = snapshot.credits, credits_on(snapshot, day)
        rateable = rateable_usage(usage, found, opening)
        rated = rated_day(rateable, opening, before, invoiced, fees, imported.splits, imported.never_billed)
        on_invoices = billed_by(invoiced, imported.bills)
        rows = build(rated, on_invoices, snapshot, billed_by(fees, imported.bills), in_order=True)
        if imported.bills:
            rows_of = partial(_rows_of, opening, before, imported, snapshot)
            imported, rows = imported.without_late_usage(rows, found, rateable, opening, rows_of)
        facts: Facts = cost_facts
        paid_on: list[dt.date] = []
        if grants:
            ours = late_usage == "not_billed" and not snapshot.invoices
            due = closing.invoiced(credits_due)
            credited, paid_on = credited_on(totals.lake, snapshot, day, start, found, rows, due, kept=ours)
            rows, facts = credited.rows, CreditFacts(credited.used, cost_facts)
        last = ending(billed_here(snapshot, invoiced))
        billed = charged_before(last, day, start)
        if last or (grants and any(fee.invoice for fee in fees)):
            ended: list[ChargeSlice | Fee] = [*last, *(fee for fee in fees if grants and fee.invoice)]
            own = rows
            if not grants:
                ids = {s.charge_id for s in last}
                slices_of_ended = [s for s in invoiced if s.charge_id in ids]
                used = rateable_usage(usage, slices_of_ended, opening)
                rated = rated_day(used, opening, before, slices_of_ended, (), *imported.parts)
                own = build(rated, slices_of_ended, snapshot, in_order=True)
            with settling_rows(totals.lake, day, billed, own, late_usage) as (fresh, counted):
                rows = settle(fresh, ended, day, default_issuer(snapshot), counted).applied_to(rows)
        rows = imported.applied_to(rows)
        charged: list[Charged] = [*invoiced, *fees, *credits_due]
        committed = commitments_of(snapshot, charged, commitments, start)
        rows = committed.applied_to(rows)
        today = Today(charged, closing, late_usage, default_issuer(snapshot), snapshot, committed)
        with with_closed_rows(totals.lake, day, rows, today) as kept:
            still_open = closing.issued_while_open(charged) | kept.waiting
            yield DayOutput(
                day,
                kept.rows,
                normalized.digest(day)
                | catalog.digest(day)
                | digests(totals.lake, totals.dataset, [*earlier[day], day])
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
    opening: pl.LazyFrame,
    before: pl.LazyFrame,
    imported: InvoicedDay,
    snapshot: Catalog,
    usage: pl.LazyFrame,
    slices: Sequence[ChargeSlice],
) -> pl.LazyFrame:
    rated = rated_day(usage, opening, before, slices, splits=imported.splits, unbilled=imported.never_billed)
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


class ChargeNotContinued(FocusAssetsError):
    """A charge that began earlier is not the one the earlier totals hold, so its tiers cannot be counted on."""


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


def quantity_facts(frame: pl.LazyFrame) -> dict[str, Any]:
    """Rows and quantity by meter, as decimal text; windows only, for quantities to date do not add up."""
    windows = frame.filter(pl.col("kind") == "window") if "kind" in frame.collect_schema() else frame
    totals = windows.group_by("meter").agg(pl.len().alias("rows"), pl.col("quantity").sum()).sort("meter")
    return {
        "usage": {
            meter: {"rows": rows, "quantity": f"{quantity.normalize():f}"}
            for meter, rows, quantity in totals.collect().iter_rows()
        }
    }


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
