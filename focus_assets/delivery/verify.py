"""Checking a delivery from outside: whether what lies at a URL is what its manifests say, byte for byte.

What belongs here: what a recipient can check with the URL alone. What does not: whether the rows are right
(``focus.rules``). Neither Dagster nor the lake is needed.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from focus_assets.billing.datasets import BILLING_PERIODS
from focus_assets.delivery.facts import billing_month_of_row
from focus_assets.delivery.files import (
    CUSTOMER,
    ENDINGS,
    control_totals,
    names_of_csv,
    read_file,
    types_of,
)
from focus_assets.delivery.layout import NamedFile, month_of_manifest, schema_path, split_manifest_url
from focus_assets.delivery.manifest import DataFile, InvalidManifest, Manifest
from focus_assets.delivery.metadata_files import contradictions
from focus_assets.delivery.signature import PublicKey
from focus_assets.delivery.terms import place_of
from focus_assets.errors import FocusAssetsError
from focus_assets.lake.store import ObjectStore, open_store


class NothingDelivered(FocusAssetsError):
    """There is no manifest below a URL."""


@dataclass(frozen=True)
class Verification:
    """What was found of one manifest: ``problems`` is empty where everything is as it says."""

    manifest_url: str
    manifest: Manifest | None
    problems: tuple[str, ...]


def verify(
    url: str,
    *,
    options: Mapping[str, str] | None = None,
    credential_provider: Callable[[], Any] | None = None,
    public_key: PublicKey | None = None,
) -> list[Verification]:
    """Check every manifest below ``url``, or the one it names, against the files, by billing month.

    ``url`` is a destination's URL or that of one manifest. Files are downloaded. With ``public_key`` each manifest has
    to be signed by it. Raises
    :class:`NothingDelivered` where there is no manifest, and StoreError where the store cannot be read.
    """
    named = split_manifest_url(url.rstrip("/"))
    root, path = named if named is not None else (url.rstrip("/"), None)
    store = open_store(root, options, credential_provider)
    if path is None:
        found = (info.path for info in store.list("") if month_of_manifest(info.path) is not None)
        paths = sorted(found, key=lambda each: (month_of_manifest(each), each))
    else:
        paths = [path] if store.exists(path) else []
    if not paths:
        raise NothingDelivered(f"{url} has no manifest of a billing month; nothing was delivered there")
    return [verify_manifest(store, each, public_key) for each in paths]


def verify_manifest(store: ObjectStore, path: str, public_key: PublicKey | None = None) -> Verification:
    """Check the manifest at ``path`` below a destination's URL and the files it names."""
    where = f"{store.url}/{path}"
    try:
        manifest = Manifest.from_bytes(store.get(path), where)
    except InvalidManifest as error:
        return Verification(where, None, (str(error),))
    with tempfile.TemporaryDirectory(prefix="focus-assets-verify-") as folder:
        problems = (
            *_own_problems(manifest, path),
            *(() if public_key is None else public_key.problems(manifest)),
            *_file_problems(store, manifest, Path(folder)),
            *_metadata_problems(store, manifest),
        )
    return Verification(where, manifest, problems)


def _own_problems(manifest: Manifest, path: str) -> Iterator[str]:
    if not manifest.sealed_as_it_is:
        yield "the manifest is not the one that was written: its content digest differs"
    month = month_of_manifest(path)
    if manifest.billing_month != month:
        yield f"the manifest in the folder of {month} is that of {manifest.billing_month}"
    elif place_of(manifest).manifest_path(month) != path:
        yield f"the manifest is one of layout {manifest.layout} for destination {manifest.destination}, elsewhere"
    rows = Counter({day.day: day.rows for day in manifest.days})
    held: Counter[Any] = Counter()
    for file, place in zip(manifest.files, _places(manifest), strict=True):
        held[file.charge_date] += file.rows
        if file.path != place:
            yield f"{file.path}: not where the file of {file.charge_date} with this digest lies"
    for day in sorted(rows.keys() | held.keys()):
        if rows[day] != held[day]:
            yield f"{day}: complete with {rows[day]} rows, but its files have {held[day]}"
    if sum(held.values()) != manifest.totals.rows:
        yield f"the totals say {manifest.totals.rows} rows, the files {sum(held.values())}"


def _places(manifest: Manifest) -> list[str]:
    """Where the files have to be: a path that is not the one we give is never followed, it could lead elsewhere."""
    ending = ENDINGS[manifest.format]
    named = [NamedFile(file.charge_date, file.sha256, ending) for file in manifest.files]
    return place_of(manifest).data_paths(manifest.billing_month, named)


def _file_problems(store: ObjectStore, manifest: Manifest, folder: Path) -> Iterator[str]:
    sound: list[pl.LazyFrame] = []
    for number, (file, place) in enumerate(zip(manifest.files, _places(manifest), strict=True)):
        local = folder / f"{number}.{ENDINGS[manifest.format]}"
        if file.path != place:
            continue
        if not store.exists(file.path):
            yield f"{file.path}: missing"
            continue
        store.download(file.path, local)
        with local.open("rb") as data:
            digest = hashlib.file_digest(data, "sha256").hexdigest()
        if digest != file.sha256 or local.stat().st_size != file.bytes:
            yield (
                f"{file.path}: {local.stat().st_size} bytes with digest {digest}, "
                f"the manifest says {file.bytes} with {file.sha256}"
            )
            continue
        if not _has_columns(manifest, local):
            yield f"{file.path}: its columns are not those of the manifest"
            continue
        try:
            rows = read_file(local, manifest.format, manifest.columns)
            if manifest.format == "csv":
                _require_types(rows)
        except pl.exceptions.PolarsError as error:
            # A Parquet file says its types itself; texts of CSV have to be of those that the manifest says.
            yield f"{file.path}: its values are not of the types that the manifest says: {_first_line(error)}"
            continue
        yield from _row_problems(manifest, file, rows)
        sound.append(rows)
    if len(sound) == len(manifest.files) and sound:
        totals = control_totals(pl.concat(sound))
        for name in type(totals).model_fields:
            said, is_ = getattr(manifest.totals, name), getattr(totals, name)
            if said != is_:
                yield f"totals: {name} is {is_}, the manifest says {said}"


def _metadata_problems(store: ObjectStore, manifest: Manifest) -> Iterator[str]:
    schema, metadata = manifest.focus_schema, manifest.focus_metadata
    places = (
        (schema, schema_path(schema.schema_id)),
        (metadata, place_of(manifest).metadata_path(manifest.billing_month, metadata.sha256)),
    )
    strayed = [reference.path for reference, place in places if reference.path != place]
    for path in strayed:
        yield f"{path}: not where FOCUS metadata of this delivery lies"
    if not strayed:
        yield from contradictions(
            manifest, *(store.get_or_none(reference.path) for reference in (schema, metadata))
        )


def _has_columns(manifest: Manifest, local: Path) -> bool:
    if manifest.format == "parquet":
        return types_of(pl.Schema(pl.read_parquet_schema(local))) == manifest.columns
    return names_of_csv(local) == [column.name for column in manifest.columns]


def _require_types(rows: pl.LazyFrame) -> None:
    """Read each value once; raises PolarsError for one that is not of its column's type."""
    rows.select(pl.all().count()).collect(engine="streaming")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".:")


def _row_problems(manifest: Manifest, file: DataFile, frame: pl.LazyFrame) -> Iterator[str]:
    held = frame.collect_schema()
    rows = frame.select(pl.len()).collect().item()
    if rows != file.rows:
        yield f"{file.path}: {rows} rows, the manifest says {file.rows}"
    if "BillingPeriodStart" in held:
        other = frame.filter(billing_month_of_row().ne_missing(manifest.billing_month))
        if strangers := other.select(pl.len()).collect().item():
            yield f"{file.path}: {strangers} rows are not of billing month {manifest.billing_month}"
    if manifest.scope.customers != "all" and CUSTOMER in held:
        theirs = (
            pl.col(CUSTOMER)
            .is_in(list(manifest.scope.customers))
            .fill_null(
                # A billing period that several of them share is nobody's alone.
                manifest.dataset == BILLING_PERIODS.name
            )
        )
        outside = frame.filter(~theirs)
        if strangers := outside.select(pl.len()).collect().item():
            yield f"{file.path}: {strangers} rows are of customers outside the delivery's scope"
