"""Building a delivery: its data files in a local folder, and the manifest that names them.

What belongs here: what a delivery consists of. What does not: rows and types (``files``), FOCUS's metadata
(``metadata_files``) and putting anything anywhere (``put``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from focus_assets.delivery.files import LocalFile, column_types, control_totals, rows_in_scope, write_day
from focus_assets.delivery.gate import PassedMonth, require_files
from focus_assets.delivery.manifest import DayCompleteness, Generator, Manifest, ReferredFile, scope_of
from focus_assets.delivery.metadata_files import Provider, SchemaFile, month_ends, month_metadata
from focus_assets.delivery.months import DATASET
from focus_assets.lake import Lake
from focus_assets.settings import Destination


@dataclass(frozen=True)
class LocalMetadata:
    """A month's FOCUS metadata as it will be delivered, and where it lies until then."""

    entry: ReferredFile
    local: Path


@dataclass(frozen=True)
class Built:
    """A delivery that is ready to be put: files, metadata, schema, and the manifest over them."""

    manifest: Manifest
    files: tuple[LocalFile, ...]
    metadata: LocalMetadata
    schema: SchemaFile

    def with_schema(self, schema: SchemaFile) -> Built:
        """This delivery, referring to the schema file of another that was faster."""
        manifest = self.manifest.model_copy(update={"focus_schema": schema.reference}).sealed()
        return replace(self, manifest=manifest, schema=schema)


def build(
    lake: Lake,
    destination: Destination,
    passed: PassedMonth,
    before: Manifest | None,
    now: dt.datetime,
    folder: Path,
    provider: Provider,
    schema: SchemaFile,
) -> Built:
    """Write a month's files into ``folder`` and describe them; ``before`` is the manifest that stands.

    Raises DeliveryRefused where what the destination decides about FOCUS columns breaks a rule.
    """
    scope = scope_of(destination)
    files = tuple(
        write_day(
            rows_in_scope(lake.scan(DATASET, [day]), passed.month, scope),
            passed.month,
            day,
            destination.focus_version,
            folder,
            destination.dimensions,
        )
        for day in passed.held.days
    )
    if destination.dimensions:
        require_files(passed.month, destination, [(file.entry.charge_date, file.local) for file in files])
    paths = [file.local for file in files]
    days = _days(before, files, now.astimezone(dt.UTC))
    metadata = folder / "metadata.json"
    entry, data = month_metadata(
        destination=destination.name,
        month=passed.month,
        version=destination.focus_version,
        provider=provider,
        schema_id=schema.reference.schema_id,
        days=days,
        month_ends=month_ends(passed.month, paths),
    )
    metadata.write_bytes(data)
    manifest = Manifest(
        destination=destination.name,
        dataset=DATASET,
        focus_version=destination.focus_version,
        format=destination.format,
        billing_month=passed.month,
        scope=scope,
        dimensions=dict(destination.dimensions),
        days=days,
        files=tuple(file.entry for file in files),
        totals=control_totals(paths),
        columns=column_types(paths[0]),
        focus_schema=schema.reference,
        focus_metadata=entry,
        source_digest=passed.held.source_digest,
        supersedes=None if before is None else before.content_digest,
        generated_at=now.astimezone(dt.UTC),
        generator=Generator.this(),
    )
    return Built(manifest.sealed(), files, LocalMetadata(entry, metadata), schema)


def _days(
    before: Manifest | None, files: Sequence[LocalFile], now: dt.datetime
) -> tuple[DayCompleteness, ...]:
    """The days with their rows; a day is updated now unless the destination has these rows of it already."""
    updated = {} if before is None else {day.day: day.last_updated for day in before.days}
    held = set() if before is None else {file.path for file in before.files}
    return tuple(
        DayCompleteness(
            day=file.entry.charge_date,
            rows=file.entry.rows,
            last_updated=updated.get(file.entry.charge_date, now) if file.entry.path in held else now,
        )
        for file in files
    )
