"""FOCUS's metadata of a delivery: the schema that all its months share, and the month's own metadata.

What belongs here: which metadata files a delivery has, their bytes, and whether given bytes agree with a manifest.
What does not: the objects themselves (``focus.metadata``), putting files anywhere (``deliver``).

The schema is one file per destination, written once and read again, for its CreationDate is that of the first
delivery that used it. A month's metadata is a file named by its digest, like the data: a reader that follows the
manifest never meets one of another delivery.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from focus_assets.delivery.layout import metadata_path, schema_path
from focus_assets.delivery.manifest import (
    DayCompleteness,
    Generator,
    Manifest,
    ReferredFile,
    SchemaReference,
    canonical_json,
)
from focus_assets.focus.metadata import (
    TimeSector,
    data_generator,
    dataset_instance,
    day_sectors,
    recency,
    schema_object,
)

RECENCY_SINCE: Final = "1.3"
"""The first FOCUS version with Dataset Instance and Recency."""


@dataclass(frozen=True)
class Provider:
    """Who publishes the data, for the metadata: the Data Generator's name and the prefix of the provider's own tags."""

    name: str = "focus-assets"
    tag_prefixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SchemaFile:
    """The Schema object's file as it is to lie at a destination."""

    reference: SchemaReference
    data: bytes


def schema_file(version: str, provider: Provider, created: dt.datetime) -> SchemaFile:
    """The Schema object of a FOCUS version as delivered by this program, ``created`` then."""
    described = schema_object(
        version,
        created=created,
        generator_version=Generator.this().version,
        tag_prefixes=provider.tag_prefixes,
    )
    data, schema_id = _bytes(described), str(described["SchemaId"])
    reference = SchemaReference(
        path=schema_path(schema_id),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        schema_id=schema_id,
        created_at=created,
    )
    return SchemaFile(reference, data)


def schema_in_use(
    version: str, provider: Provider, there: bytes | None, before: Manifest | None, now: dt.datetime
) -> SchemaFile:
    """The schema file for a delivery at ``now``: with the CreationDate it has, where it is in use already.

    ``there`` is what lies at its path, ``before`` the month's manifest, which tells where the file is damaged or gone.
    """
    fresh = schema_file(version, provider, now.astimezone(dt.UTC))
    if there is not None and (created := _created(there)) is not None:
        used = schema_file(version, provider, created)
        if used.data == there:
            return used
    if before is not None and before.focus_schema.schema_id == fresh.reference.schema_id:
        return schema_file(version, provider, before.focus_schema.created_at)
    return fresh


def in_use_of(there: bytes, ours: SchemaFile) -> SchemaFile:
    """The schema file that another delivery put in the place of ``ours``; ours where it is none of this schema."""
    created, said = _created(there), json.loads(ours.data)
    if created is None or (_object(there) or {}) | {"CreationDate": ""} != said | {"CreationDate": ""}:
        return ours
    reference = ours.reference.model_copy(
        update={"bytes": len(there), "sha256": hashlib.sha256(there).hexdigest(), "created_at": created}
    )
    return SchemaFile(reference, there)


def month_metadata(
    *,
    destination: str,
    month: str,
    version: str,
    provider: Provider,
    schema_id: str,
    days: Sequence[DayCompleteness],
    month_ends: dt.datetime,
) -> tuple[ReferredFile, bytes]:
    """The file with a month's Data Generator and SchemaId, and from 1.3 its Dataset Instance and Recency.

    Recency has a time sector for each day delivered, and one that is not complete from the last of them to
    ``month_ends``, where the month's billing periods go on. A destination's months are one dataset instance;
    each month's Recency is about that month's part of it.
    """
    found: dict[str, Any] = {"DataGenerator": data_generator(provider.name), "SchemaId": schema_id}
    if version >= RECENCY_SINCE:
        instance = dataset_instance(destination)
        found |= {"DatasetInstance": instance, "Recency": recency(instance, _sectors(days, month_ends))}
    data = _bytes(found)
    sha256 = hashlib.sha256(data).hexdigest()
    return ReferredFile(path=metadata_path(month, sha256), bytes=len(data), sha256=sha256), data


def month_ends(month: str, paths: Sequence[Path]) -> dt.datetime:
    """When the last billing period that begins in ``month`` ends by its rows; never before the month does."""
    first = dt.datetime.strptime(month, "%Y-%m").replace(tzinfo=dt.UTC)
    calendar_end = (first + dt.timedelta(days=32)).replace(day=1)
    frame = pl.scan_parquet(list(paths), glob=False, hive_partitioning=False)
    last = frame.select(pl.col("BillingPeriodEnd").max()).collect(engine="streaming").item()
    return calendar_end if last is None else max(calendar_end, last.astimezone(dt.UTC))


def contradictions(manifest: Manifest, schema: bytes | None, metadata: bytes | None) -> Iterator[str]:
    """What the metadata files of a delivery say differently from its manifest; ``None`` where one is missing."""
    for reference, data in ((manifest.focus_schema, schema), (manifest.focus_metadata, metadata)):
        if data is None:
            yield f"{reference.path}: missing"
        elif hashlib.sha256(data).hexdigest() != reference.sha256 or len(data) != reference.bytes:
            yield f"{reference.path}: it is not the file of {reference.bytes} bytes that the manifest names"
    schema_said, metadata_said = _object(schema), _object(metadata)
    if schema_said is not None:
        path = manifest.focus_schema.path
        if schema_said.get("SchemaId") != manifest.focus_schema.schema_id:
            yield f"{path}: its SchemaId is {schema_said.get('SchemaId')}, not {manifest.focus_schema.schema_id}"
        if schema_said.get("FocusVersion") != manifest.focus_version:
            yield f"{path}: its FocusVersion is not {manifest.focus_version}"
        named = [entry.get("ColumnName") for entry in schema_said.get("ColumnDefinition", [])]
        if named != [column.name for column in manifest.columns]:
            yield f"{path}: its columns are not those of the manifest"
    if metadata_said is not None:
        path = manifest.focus_metadata.path
        if metadata_said.get("SchemaId") != manifest.focus_schema.schema_id:
            yield f"{path}: its SchemaId is not that of the manifest"
        sectors = metadata_said.get("Recency", {}).get("TimeSectors", [])
        complete = [each["TimeSectorStart"][:10] for each in sectors if each["TimeSectorComplete"]]
        if manifest.focus_version >= RECENCY_SINCE and complete != [f"{d.day:%F}" for d in manifest.days]:
            yield f"{path}: its complete time sectors are not the days of the manifest"


def _sectors(days: Sequence[DayCompleteness], ends: dt.datetime) -> list[TimeSector]:
    sectors = day_sectors({day.day: (day.complete, day.last_updated) for day in days})
    if sectors[-1].end < ends:
        sectors.append(TimeSector(sectors[-1].end, ends, False, max(s.last_updated for s in sectors)))
    return sectors


def _created(schema: bytes) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat((_object(schema) or {})["CreationDate"])
    except (KeyError, TypeError, ValueError):
        return None


def _object(data: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(data or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _bytes(described: dict[str, Any]) -> bytes:
    return canonical_json(described) + b"\n"
