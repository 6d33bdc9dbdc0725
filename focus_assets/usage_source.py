"""Which source of usage and of the catalog an installation has, opened as its settings say.

What belongs here: the choice. What does not: what a source does (``cloudevents``, ``openmeter``) and the stages
that read it (``chain``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from duckdb import DuckDBPyConnection

from focus_assets.catalog.charges import ChargeSlice
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
from focus_assets.cloudevents import CloudEventsSource, source_fingerprint
from focus_assets.datasets import CATALOG
from focus_assets.lake import Lake
from focus_assets.openmeter import OpenMeterSource, asked_once, catalog_now, server_fingerprint
from focus_assets.settings import Settings
from focus_assets.settings.access import open_place


def source_input(settings: Settings) -> dict[str, str]:
    """The source's entry in the record of ``raw_usage``.

    Event files: a digest of their bytes. A server: a digest of how it is asked, for it cannot say whether its
    usage changed; the late usage sensor finds that out.
    """
    if settings.source.openmeter is not None:
        return {"source/openmeter": server_fingerprint(settings.source.openmeter)}
    events = settings.source.cloudevents
    return {"source/cloudevents": source_fingerprint(events, open_place(events))}


def catalog_snapshots(settings: Settings, lake: Lake, days: Sequence[dt.date]) -> Iterator[DayOutput]:
    """``catalog`` of each day: from the configuration, or from OpenMeter.

    OpenMeter says what is so now and cannot be asked what was: a day that has a snapshot keeps it, so that usage
    which is read again goes to the customer it belonged to. Raises OpenMeterError.
    """
    openmeter = settings.source.openmeter
    if openmeter is None or openmeter.catalog == "file":
        yield from catalog_days(settings.catalog, days)
        return
    kept = [day for day in days if lake.record(CATALOG.name, day) is not None]
    new = [day for day in days if day not in kept]
    snapshots: dict[dt.date, DayOutput] = {}
    if new:
        question = partial(
            catalog_now,
            defaults=settings.catalog.defaults,
            details=openmeter.meters,
            fees=openmeter.fees,
            customer_id_is_subject=openmeter.customer_id_is_subject,
        )
        snapshots = {output.day: output for output in catalog_days(asked_once(openmeter, question), new)}
    for day in days:
        yield snapshots.get(day) or DayOutput(
            day, Catalog.from_frame(lake.scan(CATALOG.name, [day])).to_frame()
        )


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
    """The usage source, for the days of ``catalog``. ``connection`` meters event files."""
    if settings.source.openmeter is not None:
        with OpenMeterSource(settings.source.openmeter).open(first_day=settings.start_date) as server:
            yield server
        return
    files = CloudEventsSource(
        settings.source.cloudevents, connection, open_place(settings.source.cloudevents)
    )
    with files.open(
        catalog.days,
        meters_of_days(catalog, catalog.days),
        since=metered_since(slices, settings.start_date),
        undated_day=settings.start_date,
    ) as read:
        yield read
