"""Which source of usage and of the catalog an installation has, opened as its settings say.

What belongs here: the choice. What does not: what a source does (``cloudevents``, ``openmeter``) and the stages
that read it (``chain``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from duckdb import DuckDBPyConnection

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.invoices import Invoice
from focus_assets.catalog.kept import catalog_in
from focus_assets.catalog.snapshot import Catalog
from focus_assets.chain import (
    DayOutput,
    OpenSource,
    Upstream,
    catalog_days,
    metered_since,
    meters_of_days,
    slices_of_days,
)
from focus_assets.cloudevents import CloudEventsSource, KeptKeys, days_looked_back_on
from focus_assets.cloudevents.file_days import remember, remembered
from focus_assets.datasets import CATALOG
from focus_assets.issued_instants import issued_instants
from focus_assets.lake import Lake
from focus_assets.openmeter import OpenMeterSource, asked_once, catalog_now, invoices_now, unlinked
from focus_assets.settings import Settings
from focus_assets.settings.access import open_place


def catalog_snapshots(settings: Settings, lake: Lake, days: Sequence[dt.date]) -> Iterator[DayOutput]:
    """``catalog`` of each day: from the configuration, or from OpenMeter.

    OpenMeter says what is so now and cannot be asked what was: a day that has a snapshot keeps it, so that usage
    which is read again goes to the customer it belonged to. What is the configuration's is as it now is, and so are
    invoices: they are made after the days that they are for. Raises OpenMeterError.
    """
    openmeter = settings.source.openmeter
    if openmeter is None or openmeter.catalog == "file":
        yield from catalog_days(settings.catalog, days, issued_instants(lake))
        return
    kept = [day for day in days if lake.record(CATALOG.name, day) is not None]
    new = [day for day in days if day not in kept]
    snapshots: dict[dt.date, DayOutput] = {}
    invoices: tuple[Invoice, ...] = ()
    if kept and settings.source.has_invoices:
        invoices = asked_once(openmeter, partial(invoices_now, first_day=min(days)))
    if new:
        question = partial(
            catalog_now,
            defaults=settings.catalog.defaults,
            details=openmeter.meters,
            fees=openmeter.fees,
            credits=settings.catalog.credits,
            custom_currencies=settings.catalog.custom_currencies,
            customer_id_is_subject=openmeter.customer_id_is_subject,
            invoices_since=min(days) if settings.source.has_invoices else None,
        )
        snapshots = {output.day: output for output in catalog_days(asked_once(openmeter, question), new)}
    for day in days:
        yield snapshots.get(day) or DayOutput(day, _kept(settings, lake, day, invoices).to_frame())


def _kept(settings: Settings, lake: Lake, day: dt.date, invoices: tuple[Invoice, ...]) -> Catalog:
    """The snapshot that a day has, with ``invoices``, and the credit and custom currencies that the configuration has.

    These never were OpenMeter's: a grant that is written down late has to reach the days on which it could be used.
    """
    kept = catalog_in(lake, day)
    entries = {name: getattr(kept, name) for name in Catalog.model_fields}
    own = {name: getattr(settings.catalog, name) for name in ("credits", "custom_currencies")}
    return Catalog(**{**entries, **own, "invoices": invoices}).on(day)


def days_invoiced_otherwise(settings: Settings, lake: Lake, days: Sequence[dt.date]) -> set[dt.date]:
    """Those of ``days`` that other invoices concern now than when their catalog was written. Raises OpenMeterError."""
    openmeter = settings.source.openmeter
    held = [day for day in days if lake.record(CATALOG.name, day) is not None]
    if openmeter is None or not settings.source.has_invoices or not held:
        return set()
    found = asked_once(openmeter, partial(invoices_now, first_day=min(held), linked=False))
    now = [unlinked(invoice) for invoice in found]
    return {
        day
        for day in held
        if [unlinked(each) for each in catalog_in(lake, day).invoices]
        != [each for each in now if each.concerns(day)]
    }


def slices_to_meter(
    settings: Settings, catalog: Upstream, days: Sequence[dt.date]
) -> dict[dt.date, list[ChargeSlice]]:
    """What is rated on each day; event files refuse charges whose opening quantity nobody knows."""
    known = settings.source.openmeter is not None or settings.opening == "zero"
    return slices_of_days(catalog, days, settings.start_date, assume_zero=known)


@contextmanager
def opened(
    settings: Settings,
    connection: DuckDBPyConnection,
    catalog: Upstream,
    slices: Mapping[dt.date, list[ChargeSlice]],
) -> Iterator[OpenSource]:
    """The usage source, for the days of ``catalog``. ``connection`` meters event files.

    Event files that are known to hold nothing of these days are not read; what was read is remembered in the lake.
    """
    if settings.source.openmeter is not None:
        with OpenMeterSource(settings.source.openmeter).open(first_day=settings.start_date) as server:
            yield server
        return
    store = catalog.lake.store
    known = remembered(store, settings.start_date)
    files = CloudEventsSource(
        settings.source.cloudevents, connection, open_place(settings.source.cloudevents)
    )
    with files.open(
        catalog.days,
        meters_of_days(catalog, catalog.days),
        since=metered_since(slices, settings.start_date),
        undated_day=settings.start_date,
        seen=KeptKeys(catalog.lake, settings.start_date),
        known=known,
    ) as read:
        remember(store, known.with_read(read.listing.files, read.days_read, dt.datetime.now(dt.UTC)), known)
        yield read


def seen_before(settings: Settings, lake: Lake) -> Callable[[dt.date], Mapping[str, str]]:
    """For each day the digests of the keys of the days before, by which its duplicates are told.

    A server tells duplicates itself. Raises EarlierKeysMissing.
    """
    if settings.source.openmeter is not None:
        return lambda day: {}
    keys, lookback = KeptKeys(lake, settings.start_date), settings.source.cloudevents.lookback_days
    return lambda day: keys.inputs(days_looked_back_on(day, lookback, settings.start_date))
