"""Putting a delivery: data, metadata, schema; then the manifest, by a conditional put; and removing what is retired.

What belongs here: what is written in which order and what happens when another was faster. What does not: what is
written (``build``) and when (``deliver``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from focus_assets.delivery.build import Built
from focus_assets.delivery.errors import DeliveryRaced
from focus_assets.delivery.layout import Layout
from focus_assets.delivery.manifest import Manifest
from focus_assets.delivery.metadata_files import in_use_of
from focus_assets.delivery.terms import place_of
from focus_assets.lake.errors import ConditionFailed
from focus_assets.lake.store import ObjectStore, StoredObject
from focus_assets.settings import Destination


def sizes(store: ObjectStore, layout: Layout, month: str) -> dict[str, int]:
    """What lies in a billing month's folders: bytes by path."""
    return {info.path: info.size for folder in layout.folders(month) for info in store.list(f"{folder}/")}


def put_files(
    store: ObjectStore, built: Built, there: Mapping[str, int], schema_there: StoredObject | None
) -> tuple[Built, int]:
    """Put what is not ``there`` of data, metadata and schema; returns the delivery as put and how many files that were.

    Months of a destination share the schema file: it is written once, and of two that write it the second takes
    the first one's. ``schema_there`` is what lay in its place; another content is a damaged copy and is replaced.
    """
    written = 0
    for path, local in built.files.items():
        # Not if absent: an object of this name and another size is a damaged copy of these very bytes.
        if there.get(path) != local.stat().st_size:
            store.put_file(path, local)
            written += 1
    path, data = built.schema.reference.path, built.schema.data
    if schema_there is not None and schema_there.data == data:
        return built, written
    try:
        if schema_there is None:
            store.put(path, data, if_absent=True)
        else:
            store.put(path, data, if_match=schema_there.etag)
    except ConditionFailed:
        return built.with_schema(in_use_of(store.get(path), built.schema)), written
    return built, written + 1


def put_manifest(store: ObjectStore, destination: Destination, manifest: Manifest, etag: str | None) -> None:
    """Put the manifest in the place of the version ``etag``, or where there is none; raises :class:`DeliveryRaced`."""
    path, data = place_of(manifest).manifest_path(manifest.billing_month), manifest.to_bytes()
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


def keep_version(store: ObjectStore, manifest: Manifest) -> None:
    """Keep a copy of a manifest that stands, where its destination keeps versions; a copy that is there is left."""
    if manifest.mode == "new_version":
        path = place_of(manifest).version_path(manifest.billing_month, manifest.content_digest)
        if not store.exists(path):
            store.put(path, manifest.to_bytes())


def remove_retired(
    store: ObjectStore, manifest: Manifest, grace: dt.timedelta, now: dt.datetime
) -> list[str]:
    """Remove the files that ``manifest``, which stands, retired ``grace`` ago or earlier; returns their paths.

    A path that is not one of ours is never removed, whatever a manifest says.
    """
    layout = place_of(manifest)
    folders = tuple(f"{folder}/" for folder in layout.folders(manifest.billing_month))
    held = {file.path for file in manifest.files} | {manifest.focus_metadata.path}
    gone = [
        file.path
        for file in manifest.retired
        if file.since + grace <= now
        and file.path not in held
        and layout.is_ours(file.path)
        and file.path.startswith(folders)
    ]
    for path in gone:
        store.delete(path)
    return gone
