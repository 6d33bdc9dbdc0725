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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from focus_assets.delivery.layout import schema_path
from focus_assets.delivery.manifest import (
    DayCompleteness,
    Generator,
    Manifest,
    ReferredFile,
    SchemaReference,
    canonical_json,
)
from focus_assets.focus.columns import COST_AND_USAGE
from focus_assets.focus.metadata import (
    TimeSector,
    data_generator,
    dataset_instance,
    day_sectors,
    instant,
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


def schema_file(
    version: str,
    provider: Provider,
    generator: Generator,
    created: dt.datetime,
    columns: Sequence[str] | None = None,
    dataset: str = COST_AND_USAGE,
    own_columns: Mapping[str, pl.DataType] | None = None,
) -> SchemaFile:
    """The Schema object of a FOCUS version, or of some ``columns`` of it, as this program delivers it from then on.

    ``own_columns`` are further ones that files of ``dataset`` (a name of ``focus.columns``) have.
    """
    described = schema_object(
        version,
        created=created,
        generator_version=generator.version,
        tag_prefixes=provider.tag_prefixes,
        columns=columns,
        dataset=dataset,
        own_columns=own_columns,
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


def schema_in_use(fresh: SchemaFile, there: bytes | None, before: Manifest | None) -> SchemaFile:
    """The schema file for a delivery that would make ``fresh``, with its CreationDate where it is in use already.

    ``there`` is what lies at its path, ``before`` the month's manifest, which tells where the file is damaged or gone.
    """
    if there is not None and (used := in_use_of(there, fresh)) is not fresh:
        return used
    if before is not None and before.focus_schema.schema_id == fresh.reference.schema_id:
        created = before.focus_schema.created_at
        data = _bytes(json.loads(fresh.data) | {"CreationDate": instant(created)})
        return _created_as(fresh, data, created)
    return fresh


def in_use_of(there: bytes, ours: SchemaFile) -> SchemaFile:
    """The schema file that lies in the place of ``ours``; ours itself where that is none of this schema."""
    created, said = _created(there), json.loads(ours.data)
    if created is None or _bytes(said | {"CreationDate": instant(created)}) != there:
        return ours
    return _created_as(ours, there, created)


def _created_as(schema: SchemaFile, data: bytes, created: dt.datetime) -> SchemaFile:
    reference = schema.reference.model_copy(
        update={"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "created_at": created}
    )
    return SchemaFile(reference, data)


def month_metadata(
    *,
    path: Callable[[str], str],
    destination: str,
    version: str,
    provider: Provider,
    schema_id: str,
    days: Sequence[DayCompleteness],
    ends: dt.datetime,
    dataset: str = COST_AND_USAGE,
) -> tuple[ReferredFile, bytes]:
    """The file with a month's Data Generator and SchemaId, and from 1.3 its Dataset Instance and Recency.

    ``path`` gives its place by its digest. Recency has a time sector for each day delivered, and one that is not
    complete from the last of them to ``ends``, where the month's billing periods go on. A destination's months are one
    dataset instance; each month's Recency is about that month's part of it.
    """
    found: dict[str, Any] = {"DataGenerator": data_generator(provider.name), "SchemaId": schema_id}
    if version >= RECENCY_SINCE:
        instance = dataset_instance(destination, dataset)
        found |= {"DatasetInstance": instance, "Recency": recency(instance, _sectors(days, ends))}
    data = _bytes(found)
    sha256 = hashlib.sha256(data).hexdigest()
    return ReferredFile(path=path(sha256), bytes=len(data), sha256=sha256), data


def month_ends(month: str) -> dt.datetime:
    """When a calendar month ends."""
    first = dt.datetime.strptime(month, "%Y-%m").replace(tzinfo=dt.UTC)
    return (first + dt.timedelta(days=32)).replace(day=1)


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
