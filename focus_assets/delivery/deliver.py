"""Delivering a billing month to a destination: data files first, the manifest last, then the ledger.

What belongs here: the order of the steps and what happens when another was faster or a store refuses. What
does not: whether the month may be delivered (``gate``), and what the files hold (``files``).

Data files carry their digest in their name and are never changed, so a reader that follows a manifest sees
the whole of one delivery. Each step can be repeated: after a kill at any point the next delivery ends with
the same bytes. Files that no manifest refers to any more stay where they are, for readers of the manifest
before.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from focus_assets.delivery import ledger
from focus_assets.delivery.errors import DeliveryRaced, DestinationError
from focus_assets.delivery.files import LocalFile, column_types, control_totals, rows_in_scope, write_day
from focus_assets.delivery.gate import Control, PassedMonth, require_days, require_rules, require_same
from focus_assets.delivery.layout import manifest_path, month_folder
from focus_assets.delivery.manifest import DayCompleteness, Generator, InvalidManifest, Manifest, scope_of
from focus_assets.delivery.months import DATASET
from focus_assets.delivery.urls import check_destinations
from focus_assets.errors import FocusAssetsError
from focus_assets.lake import Lake
from focus_assets.lake.copies import temporary_folder
from focus_assets.lake.errors import ConditionFailed, StoreError
from focus_assets.lake.folder import FolderStore
from focus_assets.lake.store import ObjectStore, open_store
from focus_assets.settings import Destination

OpenDestination = Callable[[Destination], ObjectStore]
"""Opens a destination's store; replaced where credentials come from elsewhere than the environment."""


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


@dataclass(frozen=True)
class DeliveryFailure:
    """A delivery that did not take place, and why."""

    destination: str
    month: str
    error: FocusAssetsError


def open_destination(destination: Destination) -> ObjectStore:
    """The destination's store, with credentials from the environment."""
    return open_store(destination.url, destination.options)


def deliver(
    lake: Lake,
    destination: Destination,
    month: str,
    *,
    now: dt.datetime,
    controls: Sequence[Control] = (),
    opener: OpenDestination = open_destination,
    passed: PassedMonth | None = None,
) -> DeliveryResult:
    """Deliver a billing month (such as ``2026-08``) to one destination, complete or not at all.

    ``now`` goes into the manifest; the same lake at the same instant gives the same bytes. ``passed`` is the
    month where it has passed the gate already, as :func:`deliver_all` does once for all destinations.

    Raises DeliveryRefused (the gate says no), DeliveryRaced (another delivery was faster) and
    DestinationError (the destination refuses). In each case the manifest that was there still stands.
    """
    check_destinations(lake.url, [destination])
    passed = passed or require_days(lake, month, controls=controls)
    passed = require_rules(lake, passed, destination.focus_version)
    with _blaming(destination):
        store = opener(destination)
        there = _read_manifest(store, destination, month)
    last = ledger.last(lake, destination.name, month)
    current = there.manifest if there is not None and there.manifest.sealed_as_it_is else None
    if current is not None:
        # A delivery that was killed between its manifest and the ledger is entered before another
        # replaces it. A manifest that somebody edited is not entered; it is replaced.
        last = ledger.record(lake, current, destination.url, last)
    with TemporaryDirectory(prefix="delivery-", dir=temporary_folder()) as folder:
        files, manifest = _build(lake, destination, passed, there, now, Path(folder))
        require_same(lake, passed)
        if current is not None and last is not None and current.content_digest == manifest.content_digest:
            with _blaming(destination):
                written = _put_files(store, files)
            ledger.confirm(lake, last, manifest.source_digest, terms=ledger.terms_of(destination), now=now)
            return _result(destination, current, "restored" if written else "unchanged", written)
        with _blaming(destination):
            written = _put_files(store, files)
            _put_manifest(store, destination, manifest, None if there is None else there.etag)
    ledger.record(lake, manifest, destination.url, last)
    return _result(destination, manifest, "delivered", written)


def deliver_all(
    lake: Lake,
    destinations: Sequence[Destination],
    month: str,
    *,
    now: dt.datetime,
    controls: Sequence[Control] = (),
    opener: OpenDestination = open_destination,
    since: dt.date | None = None,
) -> list[DeliveryResult | DeliveryFailure]:
    """Deliver a billing month to each destination, in order; one that fails does not stop the others.

    ``since`` is the first day of all: a month that has days before those held is not whole without them. The gate is
    asked once, and once for each FOCUS version: a month whose days it refuses is refused to all,
    one whose rows break a version's rules to all destinations of that version. Call it as the lake's writer: what
    a killed delivery of the month left unfinished in a folder is removed.
    """
    try:
        check_destinations(lake.url, destinations)
        passed = require_days(lake, month, controls=controls, since=since)
    except FocusAssetsError as error:
        return [DeliveryFailure(destination.name, month, error) for destination in destinations]
    conforming = {d.focus_version: _conforming(lake, passed, d.focus_version) for d in destinations}
    found: list[DeliveryResult | DeliveryFailure] = []
    for destination in destinations:
        try:
            month_passed = conforming[destination.focus_version]
            if isinstance(month_passed, FocusAssetsError):
                raise month_passed
            with _blaming(destination):
                _sweep(opener(destination), month)
            found.append(deliver(lake, destination, month, now=now, opener=opener, passed=month_passed))
        except FocusAssetsError as error:
            found.append(DeliveryFailure(destination.name, month, error))
    return found


def _conforming(lake: Lake, passed: PassedMonth, version: str) -> PassedMonth | FocusAssetsError:
    try:
        return require_rules(lake, passed, version)
    except FocusAssetsError as error:
        return error


def _sweep(store: ObjectStore, month: str) -> None:
    # A bucket shows no object before it is whole.
    if isinstance(store, FolderStore):
        store.sweep(month_folder(month))


@dataclass(frozen=True)
class _Present:
    manifest: Manifest
    etag: str


def _read_manifest(store: ObjectStore, destination: Destination, month: str) -> _Present | None:
    path = manifest_path(month)
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


def _build(
    lake: Lake,
    destination: Destination,
    passed: PassedMonth,
    there: _Present | None,
    now: dt.datetime,
    folder: Path,
) -> tuple[list[LocalFile], Manifest]:
    scope = scope_of(destination)
    files = [
        write_day(
            rows_in_scope(lake.scan(DATASET, [day]), passed.month, scope),
            passed.month,
            day,
            destination.focus_version,
            folder,
        )
        for day in passed.held.days
    ]
    manifest = Manifest(
        destination=destination.name,
        dataset=DATASET,
        focus_version=destination.focus_version,
        format=destination.format,
        billing_month=passed.month,
        scope=scope,
        days=tuple(DayCompleteness(day=file.entry.charge_date, rows=file.entry.rows) for file in files),
        files=tuple(file.entry for file in files),
        totals=control_totals([file.local for file in files]),
        columns=column_types(files[0].local),
        source_digest=passed.held.source_digest,
        supersedes=None if there is None else there.manifest.content_digest,
        generated_at=now.astimezone(dt.UTC),
        generator=Generator.this(),
    )
    return files, manifest.sealed()


def _put_files(store: ObjectStore, files: Sequence[LocalFile]) -> int:
    """Put the files that are not there; returns how many that were."""
    written = 0
    for file in files:
        head = store.head(file.entry.path)
        if head is not None and head.size == file.entry.bytes:
            continue
        # Not if absent: an object of this name and another size is a damaged copy of these very bytes.
        store.put_file(file.entry.path, file.local)
        written += 1
    return written


def _put_manifest(store: ObjectStore, destination: Destination, manifest: Manifest, etag: str | None) -> None:
    path, data = manifest_path(manifest.billing_month), manifest.to_bytes()
    try:
        if etag is None:
            store.put(path, data, if_absent=True)
        else:
            store.put(path, data, if_match=etag)
    except ConditionFailed:
        # A put whose answer was lost and that was tried again meets its own first success.
        if store.get_or_none(path) == data:
            return
        raise DeliveryRaced(
            f"destination {destination.name}: another delivery of {manifest.billing_month} replaced "
            f"{destination.url.rstrip('/')}/{path} meanwhile; its manifest stands, ours was not written. "
            "Deliver again: it will see what is there."
        ) from None


def _result(
    destination: Destination,
    manifest: Manifest,
    outcome: Literal["delivered", "unchanged", "restored"],
    files_written: int,
) -> DeliveryResult:
    url = f"{destination.url.rstrip('/')}/{manifest_path(manifest.billing_month)}"
    return DeliveryResult(destination.name, manifest.billing_month, outcome, manifest, url, files_written)


@contextmanager
def _blaming(destination: Destination) -> Iterator[None]:
    """Turn a store's error into the destination's, so that it is clear who has to act."""
    try:
        yield
    except StoreError as error:
        raise DestinationError(
            f"destination {destination.name} ({destination.url}) refused: {error}. The manifest that "
            "was there stands; deliver again when it is mended."
        ) from error
