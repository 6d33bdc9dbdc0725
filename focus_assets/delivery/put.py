"""Putting a delivery: data, metadata, schema; then the manifest, by a conditional put.

What belongs here: what is written in which order and what happens when another was faster. What does not: what is
written (``build``) and when (``deliver``).
"""

from __future__ import annotations

from focus_assets.delivery.build import Built
from focus_assets.delivery.errors import DeliveryRaced
from focus_assets.delivery.layout import manifest_path
from focus_assets.delivery.manifest import Manifest
from focus_assets.delivery.metadata_files import in_use_of
from focus_assets.lake.errors import ConditionFailed
from focus_assets.lake.store import ObjectStore, StoredObject
from focus_assets.settings import Destination


def put_files(store: ObjectStore, built: Built, schema_there: StoredObject | None) -> tuple[Built, int]:
    """Put what is not there of data, metadata and schema; returns the delivery as put and how many files that were.

    Months of a destination share the schema file: it is written once, and of two that write it the second takes
    the first one's. ``schema_there`` is what lay in its place; another content is a damaged copy and is replaced.
    """
    written = 0
    named = [(file.entry.path, file.entry.bytes, file.local) for file in built.files]
    metadata = built.metadata
    for path, size, local in (*named, (metadata.entry.path, metadata.entry.bytes, metadata.local)):
        head = store.head(path)
        if head is not None and head.size == size:
            continue
        # Not if absent: an object of this name and another size is a damaged copy of these very bytes.
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
