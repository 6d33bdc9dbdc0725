"""Building a delivery: its data files in a local folder, and the manifest that names them.

What belongs here: what a delivery consists of. What does not: rows and types (``files``), FOCUS's metadata
(``metadata_files``) and putting anything anywhere (``put``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from focus_assets.catalog.charges import midnight
from focus_assets.delivery.by_customer import LakeOfScope
from focus_assets.delivery.datasets import as_decided, focus_name, rows_of
from focus_assets.delivery.files import (
    ENDINGS,
    LocalFile,
    Shape,
    control_totals,
    read_file,
    write_day,
)
from focus_assets.delivery.gate import PassedMonth, require_files
from focus_assets.delivery.layout import Layout, NamedFile
from focus_assets.delivery.manifest import (
    DataFile,
    DayCompleteness,
    Generator,
    Manifest,
    PeriodStatus,
    RetiredFile,
    Scope,
)
from focus_assets.delivery.metadata_files import Provider, SchemaFile, month_ends, month_metadata
from focus_assets.delivery.months import DATASET, month_of
from focus_assets.delivery.one_value import require_one_value
from focus_assets.delivery.period_status import periods_of
from focus_assets.delivery.scope import Reads, scope_in
from focus_assets.delivery.terms import asked_terms, layout_for
from focus_assets.settings import Destination


@dataclass(frozen=True)
class Built:
    """A delivery that is ready to be put: local files by path, the schema, and the manifest over them."""

    manifest: Manifest
    files: Mapping[str, Path]
    schema: SchemaFile

    def with_schema(self, schema: SchemaFile) -> Built:
        """This delivery, referring to the schema file of another that was faster."""
        manifest = self.manifest.model_copy(update={"focus_schema": schema.reference}).sealed()
        return replace(self, manifest=manifest, schema=schema)


def build(
    lake: Reads,
    destination: Destination,
    passed: PassedMonth,
    before: Manifest | None,
    there: Iterable[str],
    now: dt.datetime,
    folder: Path,
    provider: Provider,
    schema: SchemaFile,
) -> Built:
    """Write a month's files into ``folder`` and describe them.

    ``before`` is the manifest that stands, ``there`` the paths in the month's folders. Raises DeliveryRefused where
    what the destination decides about FOCUS columns breaks a rule.
    """
    month, dataset, now = passed.month, passed.dataset, now.astimezone(dt.UTC)
    scope, layout = scope_in(lake, destination, passed), layout_for(destination, dataset)
    shape = replace(Shape.of(destination), dataset=dataset)
    rows = rows_of(lake, dataset, month, passed.held.days, scope, destination)
    if isinstance(lake, LakeOfScope):
        # They are in memory already: chosen once, not by each that reads them.
        rows = {day: frame.collect().lazy() for day, frame in rows.items()}
    periods = periods_of(passed, scope)
    written = [
        write_day(rows[day], day, shape, folder) for day in _theirs(rows, month, scope, periods, before)
    ]
    named = [NamedFile(file.day, file.sha256, ENDINGS[shape.format]) for file in written]
    paths = dict(zip((file.day for file in written), layout.data_paths(month, named), strict=True))
    columns = written[0].columns
    read = {file.day: read_file(file.local, shape.format, columns) for file in written}
    decides = destination.dimensions or destination.tags or destination.columns
    if dataset == DATASET and decides and not destination.partial:
        require_files(month, destination, read)
    if dataset == DATASET and (destination.dimensions or destination.focus_version in passed.apart):
        shown = {day: as_decided(rows[day], destination) for day in read}
        require_one_value(month, destination, shown)
    days = _days(before, written, now)
    metadata = folder / "metadata.json"
    entry, data = month_metadata(
        path=lambda sha256: layout.metadata_path(month, sha256),
        destination=destination.name,
        version=destination.focus_version,
        provider=provider,
        schema_id=schema.reference.schema_id,
        days=days,
        ends=max(month_ends(month), *(period.end for period in periods)) if periods else month_ends(month),
        dataset=focus_name(dataset),
    )
    metadata.write_bytes(data)
    files = {paths[file.day]: file.local for file in written} | {entry.path: metadata}
    manifest = Manifest(
        destination=destination.name,
        dataset=dataset,
        focus_version=destination.focus_version,
        partial=destination.partial,
        format=destination.format,
        compression=destination.packed,
        layout=destination.layout,
        mode=destination.mode,
        billing_month=month,
        scope=scope,
        dimensions=dict(destination.dimensions),
        tags=destination.tags,
        periods=periods,
        days=days,
        files=tuple(
            DataFile(
                path=paths[file.day],
                charge_date=file.day,
                bytes=file.bytes,
                rows=file.rows,
                sha256=file.sha256,
            )
            for file in written
        ),
        totals=control_totals(pl.concat(read.values())),
        columns=columns,
        focus_schema=schema.reference,
        focus_metadata=entry,
        source_digest=passed.held.source_digest_for(destination),
        terms_digest=asked_terms(destination),
        supersedes=None if before is None else before.content_digest,
        retired=_retired(destination, layout, before, (path for path in there if path not in files), now),
        generated_at=now,
        generator=Generator.this(),
    )
    return Built(manifest.sealed(), files, schema)


def _theirs(
    rows: Mapping[dt.date, pl.LazyFrame],
    month: str,
    scope: Scope,
    periods: Sequence[PeriodStatus],
    before: Manifest | None,
) -> list[dt.date]:
    """The days that are a scope's: those of the month, of its billing periods, with rows, and that it has already.

    Other days are in the month because periods of other customers go on then; they are nobody else's business, and a
    month that has closed for these would change day by day.
    """
    if scope.customers == "all":
        return list(rows)
    held = set() if before is None else {day.day for day in before.days}
    theirs = [
        day
        for day, of_day in rows.items()
        if month_of(day) == month
        or day in held
        or any(period.start.date() <= day and midnight(day) < period.end for period in periods)
        or not of_day.limit(1).collect().is_empty()
    ]
    # A manifest has a file: its columns are those of the files.
    return theirs or list(rows)[:1]


def _days(
    before: Manifest | None, files: Sequence[LocalFile], now: dt.datetime
) -> tuple[DayCompleteness, ...]:
    """The days with their rows; a day is updated now unless the destination has these rows of it already."""
    updated = {} if before is None else {day.day: day.last_updated for day in before.days}
    held = set() if before is None else {(file.charge_date, file.sha256) for file in before.files}
    return tuple(
        DayCompleteness(
            day=file.day,
            rows=file.rows,
            last_updated=updated.get(file.day, now) if (file.day, file.sha256) in held else now,
        )
        for file in files
    )


def _retired(
    destination: Destination,
    layout: Layout,
    before: Manifest | None,
    there: Iterable[str],
    now: dt.datetime,
) -> tuple[RetiredFile, ...]:
    """The files of ours that are there and that nothing refers to any more; none where versions are kept."""
    if destination.mode == "new_version":
        return ()
    since = {} if before is None else {file.path: file.since for file in before.retired}
    return tuple(
        RetiredFile(path=path, since=since.get(path, now)) for path in sorted(there) if layout.is_ours(path)
    )
