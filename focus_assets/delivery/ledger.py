"""The ledger: the append-only record of every delivery, kept in the lake.

What belongs here: entries, how they are appended and read, and how they are made again from manifests. What
does not: which deliveries are due (``due``). An entry is ``_ledger/<destination>/<month>/<n>.json``, n
counting from 1; it is created only if absent, so of two writers one takes the number and the other sees it. What is
newest is remembered in one object beside them (``newest``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import polars as pl
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from focus_assets.decimals import UTC_INSTANT
from focus_assets.delivery import newest
from focus_assets.delivery.layout import COST_AND_USAGE, month_of_manifest
from focus_assets.delivery.manifest import ControlTotals, InvalidManifest, Manifest, canonical_json
from focus_assets.delivery.terms import asked_terms, place_of
from focus_assets.delivery.unforeseen import ANY_ERROR
from focus_assets.lake import Lake
from focus_assets.lake.errors import ConditionFailed
from focus_assets.lake.store import ObjectStore
from focus_assets.settings import Destination

ROOT: Final = "_ledger"
_ENDING: Final = ".json"
_log: Final = logging.getLogger(__name__)

_COLUMNS: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "destination": pl.String,
    "billing_month": pl.String,
    "dataset": pl.String,
    "sequence": pl.Int64,
    "result": pl.String,
    "focus_version": pl.String,
    "content_digest": pl.String,
    "supersedes": pl.String,
    "source_digest": pl.String,
    "terms_digest": pl.String,
    "rows": pl.Int64,
    "billed_cost": pl.String,
    "effective_cost": pl.String,
    "consumed_quantity": pl.String,
    "files": pl.Int64,
    "bytes": pl.Int64,
    "first_day": pl.Date,
    "last_day": pl.Date,
    "delivered_at": UTC_INSTANT,
    "started_at": UTC_INSTANT,
    "finished_at": UTC_INSTANT,
    "run_id": pl.String,
    "manifest_url": pl.String,
    "manifest_sha256": pl.String,
}

SCHEMA: Final = pl.Schema(_COLUMNS)
"""Columns of :func:`entries`; the three sums are JSON objects of decimal texts by currency or unit."""


_EMPTY: Final = pl.DataFrame(schema=SCHEMA)


class LedgerEntry(BaseModel):
    """One delivery: what came to lie at a destination, made from which state of the lake.

    ``result`` is ``delivered`` where a manifest was written, ``unchanged`` where the lake had changed and
    what is delivered had not. ``terms_digest`` covers the URL and everything asked for that
    changes what is delivered. ``first_day`` and ``last_day`` are those of the days delivered. ``delivered_at`` is the
    instant that counts as now; ``started_at`` and ``finished_at`` are the clock's and ``run_id`` is the run. They are
    null where the entry was made from a manifest later: equal lakes give equal manifests, so these are in none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal["1"] = "1"
    destination: str
    billing_month: str
    dataset: str = COST_AND_USAGE
    sequence: Annotated[int, Field(ge=1)]
    result: Literal["delivered", "unchanged"]
    focus_version: str
    content_digest: str
    supersedes: str | None
    source_digest: str
    terms_digest: str
    totals: ControlTotals
    files: int
    bytes: int
    first_day: dt.date | None = None
    last_day: dt.date | None = None
    delivered_at: AwareDatetime
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    run_id: str | None = None
    manifest_url: str
    manifest_sha256: str


def terms_at(url: str, terms: str) -> str:
    """A digest of what a destination asks for and where; where it differs, everything delivered so far is due again."""
    return hashlib.sha256(canonical_json({"url": url.rstrip("/"), "terms": terms})).hexdigest()


def terms_of(destination: Destination) -> str:
    """The digest of what ``destination`` asks for and where."""
    return terms_at(destination.url, asked_terms(destination))


@dataclass(frozen=True)
class Delivering:
    """The run that delivers, and when it began with a delivery, by the clock."""

    run_id: str
    started_at: dt.datetime

    def as_entered(self) -> dict[str, Any]:
        """What an entry that is made now says of it."""
        return {
            "run_id": self.run_id,
            "started_at": self.started_at,
            "finished_at": dt.datetime.now(dt.UTC),
        }


def record(
    lake: Lake,
    manifest: Manifest,
    url: str,
    last: LedgerEntry | None,
    by: Delivering | None = None,
) -> LedgerEntry:
    """Append the entry of a manifest that was written below ``url``, unless ``last`` is already about it.

    The entry follows from the manifest, so it is the same whether it is appended at once or, after a crash between
    manifest and ledger, by the next delivery; but for whom it is delivered ``by``, which only that run knows.
    """
    data = manifest.to_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if last is not None and last.manifest_sha256 == digest:
        return last
    entry = LedgerEntry(
        destination=manifest.destination,
        billing_month=manifest.billing_month,
        dataset=manifest.dataset,
        sequence=1 if last is None else last.sequence + 1,
        result="delivered",
        focus_version=manifest.focus_version,
        content_digest=manifest.content_digest,
        supersedes=manifest.supersedes,
        source_digest=manifest.source_digest,
        terms_digest=terms_at(url, manifest.terms_digest),
        totals=manifest.totals,
        files=len(manifest.files),
        bytes=sum(file.bytes for file in manifest.files),
        first_day=min((day.day for day in manifest.days), default=None),
        last_day=max((day.day for day in manifest.days), default=None),
        delivered_at=manifest.generated_at,
        manifest_url=f"{url.rstrip('/')}/{place_of(manifest).manifest_path(manifest.billing_month)}",
        manifest_sha256=digest,
        **(by.as_entered() if by else {}),
    )
    return append(lake, entry)


def confirm(
    lake: Lake,
    last: LedgerEntry,
    source_digest: str,
    *,
    terms: str,
    now: dt.datetime,
    by: Delivering | None = None,
) -> LedgerEntry:
    """Append that the lake changed and what is delivered did not, unless ``last`` says so already."""
    if (last.source_digest, last.terms_digest) == (source_digest, terms):
        return last
    return append(
        lake,
        last.model_copy(
            update={
                "sequence": last.sequence + 1,
                "result": "unchanged",
                "source_digest": source_digest,
                "terms_digest": terms,
                "delivered_at": now.astimezone(dt.UTC),
                **dict.fromkeys(("run_id", "started_at", "finished_at")),
                **(by.as_entered() if by else {}),
            }
        ),
    )


def append(lake: Lake, entry: LedgerEntry) -> LedgerEntry:
    """Write ``entry`` under its number, or the next free one where another writer took it."""
    with newest.appending(lake.store):
        while True:
            data = canonical_json(entry.model_dump(mode="json")) + b"\n"
            folder = f"{_folder(entry.destination, entry.dataset)}/{entry.billing_month}"
            path = f"{folder}/{entry.sequence:06d}{_ENDING}"
            try:
                lake.store.put(path, data, if_absent=True)
            except ConditionFailed:
                there = LedgerEntry.model_validate_json(lake.store.get(path))
                if (
                    there.manifest_sha256 == entry.manifest_sha256
                    and there.source_digest == entry.source_digest
                ):
                    return there
                entry = entry.model_copy(update={"sequence": entry.sequence + 1})
            else:
                return entry


def last(lake: Lake, destination: str, month: str, dataset: str = COST_AND_USAGE) -> LedgerEntry | None:
    """The newest entry of a destination's billing month of a dataset."""
    paths = _paths(lake, f"{_folder(destination, dataset)}/{month}/")
    return LedgerEntry.model_validate_json(lake.store.get(paths[-1])) if paths else None


def entries(lake: Lake) -> pl.DataFrame:
    """Every delivery, as :data:`SCHEMA`, sorted by destination, billing month, dataset and sequence."""
    return _frame(lake, _paths(lake, f"{ROOT}/"))


def entries_of(lake: Lake, destination: str, dataset: str = COST_AND_USAGE) -> pl.DataFrame:
    """Every delivery of a dataset to one destination, as :data:`SCHEMA`, by billing month and sequence."""
    return _frame(lake, _paths(lake, f"{_folder(destination, dataset)}/"))


def latest_deliveries(lake: Lake) -> pl.DataFrame:
    """The newest entry of each destination's billing month and dataset, as :data:`SCHEMA`.

    Reads one object where they are remembered (:func:`remembering`), else lists the ledger and reads those alone.
    """
    known = newest.remembered(lake.store, SCHEMA)
    return _frame(lake, _newest_below(lake, f"{ROOT}/")) if known is None else known


@contextmanager
def remembering(lake: Lake) -> Iterator[None]:
    """Remember the newest entries once the ``with`` block has appended its own, unless somebody else appends too.

    The ledger is listed once, and of its entries those are read that the block appended.
    """
    before, version = newest.found(lake.store, SCHEMA)
    with newest.together(lake.store):
        yield
        # It is a copy: what was delivered stands, whether it can be put or not.
        try:
            _remember_newest(lake, before, version)
        except ANY_ERROR as error:
            _log.warning("%s: which deliveries are newest could not be remembered: %s", lake.url, error)


def _remember_newest(lake: Lake, before: pl.DataFrame | None, version: str | None) -> None:
    before = None if before is None else before.with_columns(_lies_at().alias("path"))
    if (
        before is not None
        and newest.version(lake.store) == version
        # Nobody has said that he appends; but one who slept and was killed may have done so unsaid.
        and set(before["path"]) == set(_newest_below(lake, f"{ROOT}/"))
    ):
        return
    claimed = newest.claim(lake.store)
    if claimed is None:
        return
    paths, kept = _newest_below(lake, f"{ROOT}/"), _EMPTY
    if before is not None:
        known = before.filter(pl.col("path").is_in(paths))
        held = set(known["path"])
        paths, kept = [path for path in paths if path not in held], known.drop("path")
    newest.remember(lake.store, _sorted(pl.concat([kept, _frame(lake, paths)])), claimed)


def _lies_at() -> pl.Expr:
    """Where an entry of :data:`SCHEMA` lies."""
    return pl.format(
        f"{ROOT}/{{}}{{}}/{{}}/{{}}{_ENDING}",
        "destination",
        pl.when(pl.col("dataset") == COST_AND_USAGE).then(pl.lit("")).otherwise("." + pl.col("dataset")),
        "billing_month",
        pl.col("sequence").cast(pl.String).str.zfill(6),
    )


def replacements_of(lake: Lake, destination: str, dataset: str = COST_AND_USAGE) -> pl.DataFrame:
    """The newest entry of each billing month of a destination's dataset that has more than one, as :data:`SCHEMA`.

    Reads those alone.
    """
    newest_of_each = _newest_below(lake, f"{_folder(destination, dataset)}/")
    return _frame(lake, [path for path in newest_of_each if not path.endswith(f"/{1:06d}{_ENDING}")])


def _newest_below(lake: Lake, folder: str) -> list[str]:
    found = {path.rpartition("/")[0]: path for path in _paths(lake, folder)}
    return list(found.values())


def _paths(lake: Lake, below: str) -> list[str]:
    return sorted(info.path for info in lake.store.list(below) if info.path.endswith(_ENDING))


def days_delivered(
    lake: Lake, month: str | None = None, dataset: str = COST_AND_USAGE
) -> dict[str, tuple[dt.date, dt.date]]:
    """The first and the last day that destinations have of each billing month, or of one, by their newest entries."""
    known = newest.remembered(lake.store, SCHEMA)
    if known is not None:
        return spans(known if month is None else known.filter(pl.col("billing_month") == month), dataset)
    found: dict[tuple[str, str], str] = {}
    for path in _paths(lake, f"{ROOT}/"):
        _, folder, of_month, _ = path.split("/")
        if month in (None, of_month) and (folder.partition(".")[2] or COST_AND_USAGE) == dataset:
            found[folder, of_month] = path
    return spans(_frame(lake, found.values()), dataset)


def spans(latest: pl.DataFrame, dataset: str = COST_AND_USAGE) -> dict[str, tuple[dt.date, dt.date]]:
    """As :func:`days_delivered`, from the newest entries."""
    of_each = of_dataset(latest, dataset).group_by("billing_month")
    found = of_each.agg(pl.col("first_day").min(), pl.col("last_day").max())
    known = found.drop_nulls().sort("billing_month").iter_rows()
    return {month: (first, last) for month, first, last in known}


def rebuild(lake: Lake, store: ObjectStore, destination: str | None = None) -> list[LedgerEntry]:
    """Append what is missing for each manifest below a destination's ``store``; an entry per manifest.

    A manifest that somebody edited, or that is of another ``destination``, raises InvalidManifest; those before it
    are entered.
    """
    found = []
    for path in sorted(info.path for info in store.list("")):
        if month_of_manifest(path) is not None:
            where = f"{store.url}/{path}"
            manifest = Manifest.from_bytes(store.get(path), where)
            if not manifest.sealed_as_it_is:
                raise InvalidManifest(
                    f"{where} is not the manifest that was written: its content digest differs"
                )
            if destination not in (None, manifest.destination):
                raise InvalidManifest(f"{where} is the manifest of destination {manifest.destination}")
            before = last(lake, manifest.destination, manifest.billing_month, manifest.dataset)
            found.append(record(lake, manifest, store.url, before))
    return found


def of_dataset(found: pl.DataFrame, dataset: str = COST_AND_USAGE) -> pl.DataFrame:
    """The entries of one dataset."""
    return found.filter(pl.col("dataset") == dataset) if "dataset" in found.columns else found


def _folder(destination: str, dataset: str) -> str:
    # The name of a destination has no point in it.
    return f"{ROOT}/{destination}" + ("" if dataset == COST_AND_USAGE else f".{dataset}")


def _frame(lake: Lake, paths: Iterable[str]) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    for path in paths:
        entry = LedgerEntry.model_validate_json(lake.store.get(path))
        values = entry.model_dump(exclude={"format_version", "totals"})
        values["rows"] = entry.totals.rows
        for name in ("billed_cost", "effective_cost", "consumed_quantity"):
            values[name] = canonical_json(getattr(entry.totals, name)).decode()
        rows.append(values)
    return _sorted(pl.DataFrame(rows, schema=SCHEMA)) if rows else _EMPTY


def _sorted(found: pl.DataFrame) -> pl.DataFrame:
    return found.sort("destination", "billing_month", "dataset", "sequence")
