"""Delivering a billing month to a destination: data files first, then FOCUS's metadata, the manifest, the ledger.

What belongs here: the order of the steps and what happens when another was faster or a store refuses. What
does not: whether the month may be delivered (``gate``), what the files hold (``build``) and how they are put (``put``).

Data files carry their digest in their name and are never changed, so a reader that follows a manifest sees
the whole of one delivery. Each step can be repeated: after a kill at any point the next delivery ends with
the same bytes. Files that no manifest refers to any more stay for a while, for readers of the manifest before;
then a delivery of the month removes them.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from focus_assets.delivery import ledger
from focus_assets.delivery.build import build
from focus_assets.delivery.by_customer import RowsByCustomer
from focus_assets.delivery.datasets import focus_name, own_columns
from focus_assets.delivery.errors import DestinationError
from focus_assets.delivery.files import Shape
from focus_assets.delivery.gate import Control, PassedMonth, require_days, require_rules, require_same
from focus_assets.delivery.layout import METADATA, manifest_folders, month_of_manifest
from focus_assets.delivery.manifest import Generator, InvalidManifest, Manifest
from focus_assets.delivery.metadata_files import Provider, SchemaFile, schema_file, schema_in_use
from focus_assets.delivery.months import DATASET
from focus_assets.delivery.one_pass import one_pass, source_for
from focus_assets.delivery.period_status import look_up_periods
from focus_assets.delivery.put import keep_version, put_files, put_manifest, remove_retired, sizes
from focus_assets.delivery.run import DeliveryRun
from focus_assets.delivery.terms import layout_for, place_of
from focus_assets.delivery.unforeseen import ANY_ERROR, of_destination, of_month
from focus_assets.delivery.urls import check_destinations
from focus_assets.errors import FocusAssetsError
from focus_assets.focus.export_dimensions import require_valid
from focus_assets.lake import Lake
from focus_assets.lake.copies import temporary_folder
from focus_assets.lake.errors import StoreError
from focus_assets.lake.folder import FolderStore
from focus_assets.lake.store import ObjectStore
from focus_assets.settings import Destination

_log: Final = logging.getLogger(__name__)
_TIDYING: Final = dt.timedelta(days=31)
"""How long after the grace period deliveries of other months remove what a month retired."""

SIDE_BY_SIDE: Final = 4
"""Destinations that are delivered to at a time, where the month was taken apart for many."""

WHOLE_SIDE_BY_SIDE: Final = 2
"""Destinations that are delivered to at a time, where each reads the whole month."""


@dataclass(frozen=True)
class DeliveryResult:
    """A delivery that ended well.

    ``delivered``: a manifest was written. ``unchanged``: the destination already had exactly this.
    ``restored``: it had this manifest, but files were gone from it and were put back.
    """

    destination: str
    month: str
    outcome: Literal["delivered", "unchanged", "restored"]
    manifest: Manifest
    manifest_url: str
    files_written: int

    @property
    def dataset(self) -> str:
        """What was delivered."""
        return self.manifest.dataset


@dataclass(frozen=True)
class DeliveryFailure:
    """A delivery that did not take place, and why."""

    destination: str
    month: str
    error: FocusAssetsError
    dataset: str = DATASET


def deliver(
    lake: Lake,
    destination: Destination,
    month: str,
    run: DeliveryRun,
    *,
    controls: Sequence[Control] = (),
    passed: PassedMonth | None = None,
    rows: RowsByCustomer | None = None,
) -> DeliveryResult:
    """Deliver a billing month (such as ``2026-08``) to one destination, complete or not at all.

    ``passed`` is the month where it has passed the gate already, as :func:`deliver_all` does once for all
    destinations. ``rows`` are the month's rows where they were taken apart for many destinations at once; the bytes
    delivered are the same.

    Raises InvalidDimension (the destination decides what FOCUS does not have), DeliveryRefused (the gate says
    no), DeliveryRaced (another delivery was faster) and
    DestinationError (the destination refuses). In each case the manifest that was there still stands.
    """
    by, now, signer = run.begins(), run.now, run.signer
    check_destinations(lake.url, [destination])
    require_valid(f"destinations[{destination.name}].dimensions", destination.dimensions)
    shape, dataset = Shape.of(destination), DATASET if passed is None else passed.dataset
    passed = passed or require_days(lake, month, controls=controls)
    if dataset == DATASET:
        passed = require_rules(lake, passed, destination.focus_version)
    look_up_periods(lake, passed)
    fresh = _schema(
        dataset, destination.focus_version, run.provider, Generator.this(), run.now, shape.columns
    )
    layout = layout_for(destination, dataset)
    with blaming(destination):
        store = run.opener(destination)
        there = _read_manifest(store, destination, month, dataset)
        if there is None:
            _require_alone(store, destination, month, dataset)
        listed = sizes(store, layout, month)
        found = store.read(fresh.reference.path)
    last = ledger.last(lake, destination.name, month, dataset)
    before = None if there is None else there.manifest
    current = before if before is not None and before.sealed_as_it_is else None
    if current is not None:
        # A delivery that was killed between its manifest and the ledger is entered before another
        # replaces it. A manifest that somebody edited is not entered; it is replaced.
        last = ledger.record(lake, current, destination.url, last)
        with blaming(destination):
            keep_version(store, current)
    schema = schema_in_use(fresh, None if found is None else found.data, before)
    with TemporaryDirectory(prefix="delivery-", dir=temporary_folder()) as folder:
        source = lake if rows is None else source_for(lake, rows, destination, passed)
        built = build(source, destination, passed, before, listed, now, Path(folder), run.provider, schema)
        if source is lake:
            # Rows that were taken apart are of the days that passed: that was asked when they were read.
            require_same(lake, passed)
        with blaming(destination):
            built, written = put_files(store, built, listed, found)
    manifest = built.manifest if signer is None else signer.sign(built.manifest)
    signed = signer is None or (current is not None and signer.has_signed(current))
    if (
        current is not None
        and last is not None
        and signed
        and current.content_digest == manifest.content_digest
    ):
        with blaming(destination):
            remove_retired(store, current, destination.grace, now)
        terms = ledger.terms_of(destination)
        ledger.confirm(lake, last, manifest.source_digest, terms=terms, now=now, by=by)
        return _result(destination, current, "restored" if written else "unchanged", written)
    with blaming(destination):
        put_manifest(store, destination, manifest, None if there is None else there.etag)
        keep_version(store, manifest)
    ledger.record(lake, manifest, destination.url, last, by)
    with blaming(destination):
        remove_retired(store, manifest, destination.grace, now)
    return _result(destination, manifest, "delivered", written)


def deliver_all(
    lake: Lake,
    destinations: Sequence[Destination],
    month: str,
    run: DeliveryRun,
    *,
    controls: Sequence[Control] = (),
    before_put: Callable[[PassedMonth], None] | None = None,
) -> list[DeliveryResult | DeliveryFailure]:
    """Deliver a billing month to each destination, in order; one that fails does not stop the others.

    The gate is asked once, and once for each FOCUS version: a month whose days it refuses is refused to all, one whose
    rows break a version's rules to all destinations of that version. ``before_put`` hears of a month that may go to
    some destination. Call it as the lake's writer: what a killed delivery of the month left unfinished in a folder is
    removed.
    """

    def refused(error: BaseException, days: Sequence[dt.date] = ()) -> list[DeliveryResult | DeliveryFailure]:
        failed = of_month(error, lake, month, DATASET, days)
        return [DeliveryFailure(destination.name, month, failed) for destination in destinations]

    try:
        check_destinations(lake.url, destinations)
        passed = require_days(lake, month, controls=controls, since=run.since)
    except ANY_ERROR as error:
        return refused(error)
    versions = sorted({destination.focus_version for destination in destinations})
    conforming = {version: _conforming(lake, passed, version) for version in versions}
    if before_put is not None and any(isinstance(each, PassedMonth) for each in conforming.values()):
        try:
            before_put(passed)
        except ANY_ERROR as error:
            return refused(error, passed.held.days)

    def served(destination: Destination, rows: RowsByCustomer | None) -> DeliveryResult | DeliveryFailure:
        return serve(lake, destination, month, run, conforming[destination.focus_version], rows=rows)

    with ExitStack() as until_all_are_served:
        try:
            rows = until_all_are_served.enter_context(one_pass(lake, passed, destinations))
        except ANY_ERROR as error:
            return refused(error, passed.held.days)
        # Most of a delivery of few rows is waiting for its store; whole months take memory too.
        with ThreadPoolExecutor(WHOLE_SIDE_BY_SIDE if rows is None else SIDE_BY_SIDE) as pool:
            return list(pool.map(lambda destination: served(destination, rows), destinations))


def serve(
    lake: Lake,
    destination: Destination,
    month: str,
    run: DeliveryRun,
    passed: PassedMonth | FocusAssetsError,
    *,
    rows: RowsByCustomer | None = None,
    dataset: str = DATASET,
) -> DeliveryResult | DeliveryFailure:
    """:func:`deliver` one of many, and tidy up before and after; whatever fails is an answer and stops no other.

    ``passed`` is the month that may be delivered, or why it may not.
    """
    try:
        if isinstance(passed, FocusAssetsError):
            raise passed
        with blaming(destination):
            _sweep(run.opener(destination), destination, month, dataset)
        result = deliver(lake, destination, month, run, passed=passed, rows=rows)
        # The delivery stands; what cannot be removed now is tried again with the next.
        try:
            others = _replaced(lake, destination, month, run.now, dataset)
            _tidy(run.opener(destination), destination, others, run.now, dataset)
        except ANY_ERROR as error:
            _log.warning("destination %s: what was retired could not be removed: %s", destination.name, error)
    except ANY_ERROR as error:
        days = [] if isinstance(passed, FocusAssetsError) else passed.held.days
        named = of_destination(error, destination, lake, month, dataset, days)
        return DeliveryFailure(destination.name, month, named, dataset)
    return result


@lru_cache(maxsize=64)
def _schema(
    dataset: str,
    version: str,
    provider: Provider,
    generator: Generator,
    now: dt.datetime,
    columns: tuple[str, ...],
) -> SchemaFile:
    """The schema file of a delivery; many destinations ask for the same."""
    now = now.astimezone(dt.UTC)
    if dataset == DATASET:
        return schema_file(version, provider, generator, now, columns)
    return schema_file(
        version, provider, generator, now, dataset=focus_name(dataset), own_columns=own_columns(dataset)
    )


def _conforming(lake: Lake, passed: PassedMonth, version: str) -> PassedMonth | FocusAssetsError:
    try:
        return require_rules(lake, passed, version)
    except ANY_ERROR as error:
        return of_month(error, lake, passed.month, DATASET, passed.held.days)


def _replaced(lake: Lake, destination: Destination, month: str, now: dt.datetime, dataset: str) -> list[str]:
    """The other months whose newest delivery replaced one, and whose readers have had their grace since."""
    replaced = ledger.replacements_of(lake, destination.name, dataset)
    return [
        other
        for other, at in replaced.select("billing_month", "delivered_at").iter_rows()
        if other != month and at + destination.grace <= now <= at + destination.grace + _TIDYING
    ]


def _tidy(
    store: ObjectStore,
    destination: Destination,
    months: Sequence[str],
    now: dt.datetime,
    dataset: str,
) -> None:
    """Remove what deliveries of other months retired: those months may never be delivered again."""
    for month in months:
        there = _read_manifest(store, destination, month, dataset)
        if there is not None and there.manifest.sealed_as_it_is:
            remove_retired(store, there.manifest, destination.grace, now)


def _sweep(store: ObjectStore, destination: Destination, month: str, dataset: str) -> None:
    # A bucket shows no object before it is whole.
    if isinstance(store, FolderStore):
        for folder in {*layout_for(destination, dataset).folders(month), METADATA}:
            store.sweep(folder)


@dataclass(frozen=True)
class _Present:
    manifest: Manifest
    etag: str


def _read_manifest(
    store: ObjectStore, destination: Destination, month: str, dataset: str = DATASET
) -> _Present | None:
    path = layout_for(destination, dataset).manifest_path(month)
    found = store.read(path)
    if found is None:
        return None
    where = f"{destination.url.rstrip('/')}/{path}"
    try:
        manifest = Manifest.from_bytes(found.data, where)
    except InvalidManifest as error:
        raise DestinationError(
            f"destination {destination.name}: {error}. Move it away, or give the destination another URL. "
            "Nothing was delivered."
        ) from None
    if (manifest.destination, manifest.billing_month) != (destination.name, month):
        raise DestinationError(
            f"destination {destination.name}: {where} is the manifest of destination "
            f"{manifest.destination} for {manifest.billing_month}; give each destination a URL of its own. "
            "Nothing was delivered."
        )
    return _Present(manifest, found.etag)


def _require_alone(store: ObjectStore, destination: Destination, month: str, dataset: str) -> None:
    """Raise DestinationError where a manifest of ours would stand beside the first of this layout and name.

    Readers would count the month twice, and nothing would ever replace or remove the other: not even where it has rows
    that this destination may not see any more. A hub takes months from many; one for another name is left alone there.
    """
    own = layout_for(destination, dataset).manifest_path(month)
    found = [info.path for folder in manifest_folders(month, dataset) for info in store.list(f"{folder}/")]
    for path in found:
        if path == own or month_of_manifest(path) != month:
            continue
        try:
            other = Manifest.from_bytes(store.get(path), path)
        except InvalidManifest:
            continue
        if other.destination == destination.name or other.layout != "finops-hubs":
            raise DestinationError(
                f"destination {destination.name}: {destination.url.rstrip('/')}/{path} is the manifest of {month} for "
                f"destination {other.destination} in layout {other.layout}; with {own} beside it the month would be "
                "there twice. Give the destination another URL, or remove what lies there. Nothing was delivered."
            )


def _result(
    destination: Destination,
    manifest: Manifest,
    outcome: Literal["delivered", "unchanged", "restored"],
    files_written: int,
) -> DeliveryResult:
    path = place_of(manifest).manifest_path(manifest.billing_month)
    url = f"{destination.url.rstrip('/')}/{path}"
    return DeliveryResult(destination.name, manifest.billing_month, outcome, manifest, url, files_written)


@contextmanager
def blaming(destination: Destination) -> Iterator[None]:
    """Turn a store's error into the destination's, so that it is clear who has to act."""
    try:
        yield
    except StoreError as error:
        raise DestinationError(
            f"destination {destination.name} ({destination.url}) refused: {error}. The manifest that "
            "was there stands; deliver again when it is mended."
        ) from error
