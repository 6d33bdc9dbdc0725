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
from typing import Any, Protocol

import polars as pl

from focus_assets.catalog.charges import ChargeSlice, require_known_opening, slices_on
from focus_assets.catalog.kept import catalog_in
from focus_assets.catalog.models import Meter
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.dimensions import resolve
from focus_assets.issued_instants import NONE, Instants, with_issued_instants
from focus_assets.lake import Lake
from focus_assets.usage.normalize import normalized_usage
from focus_assets.usage.totals import unbilled_usage, usage_totals

FOCUS = "focus_cost_and_usage"

Facts = Callable[[pl.LazyFrame], Mapping[str, Any]]


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
