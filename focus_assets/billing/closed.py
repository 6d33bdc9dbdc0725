"""The rows of closed billing periods, and of invoices in the middle of open ones, kept as they were when issued.

What belongs here: which periods a day has closed rows of, and the rows themselves. What does not: when a period closes
(``close``) and what becomes of usage that comes later (``corrections``).

A day's closed rows are one object, ``closed_cost_and_usage/charge_date=YYYY-MM-DD/<n>-<sha256>.parquet``: written whole
with one put, named by its digest and never changed. A period that closes later adds object n + 1, which holds all
closed rows of the day, those of object n unchanged; then n is removed. The periods and invoices are in the file itself,
for one without rows has closed too.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl

from focus_assets.billing.close import ClosedPeriod, IssuedPart, part_of
from focus_assets.billing.period_invoices import PeriodInvoice
from focus_assets.catalog.charges import ChargeSlice
from focus_assets.errors import FocusAssetsError
from focus_assets.focus.invoice_lines import is_on
from focus_assets.focus.schema import internal_schema
from focus_assets.lake import Lake
from focus_assets.lake.copies import temporary_folder

DATASET: Final = "closed_cost_and_usage"
PERIOD_COLUMNS: Final = ("BillingAccountId", "BillingPeriodStart", "BillingPeriodEnd", "BillingCurrency")

_PERIODS: Final = "focus_assets.closed_periods"
_PARTS: Final = "focus_assets.issued_parts"
_INVOICES: Final = "focus_assets.known_invoices"
_OBJECT: Final = re.compile(r"(\d{4})-([0-9a-f]{64})\.parquet")
_ROW_GROUP: Final = 250_000


class ClosedRowsDamaged(FocusAssetsError):
    """Closed rows are not what was closed. Nothing can compute them again; they come back from a backup."""


class ClosedRowsChanged(FocusAssetsError):
    """Rows of a closed period are about to be closed again as something else."""


@dataclass(frozen=True)
class ClosedDay:
    """What has closed of a day: ``periods``, ``parts`` of others, and their ``rows`` (stored shape), in a ``file``.

    ``invoices``: by period, OpenMeter's ids of the imported invoices that were issued when it closed.
    """

    number: int = 0
    sha256: str = ""
    periods: frozenset[ClosedPeriod] = frozenset()
    file: Path | None = None
    parts: frozenset[IssuedPart] = frozenset()
    invoices: Mapping[ClosedPeriod, frozenset[str]] = field(default_factory=dict)

    @property
    def rows(self) -> pl.LazyFrame:
        """The closed rows in the stored shape, in the order in which the day's file had them.

        A column that the shape has got since they were closed is null on them.
        """
        if self.file is None:
            raise ValueError("nothing of the day has closed")
        return in_shape_of(pl.scan_parquet(self.file, glob=False, hive_partitioning=False), internal_schema())

    def of(self, rows: pl.LazyFrame, *, others: bool = False) -> pl.LazyFrame:
        """Those of ``rows`` that have closed, or all ``others``; in their order."""
        return of_periods(rows, self.periods, self.parts, others=others)

    def keeps(self, charged: ChargeSlice) -> bool:
        """Whether what a slice bills has closed here, with its period or with an invoice in the middle of it.

        Not with a period that imported invoices closed: what none of them bills is an estimate still.
        """
        part, period = part_of(charged), ClosedPeriod.of(charged)
        closed = period in self.periods and period not in self.invoices
        return closed or (part is not None and part in self.parts)


NOTHING_CLOSED: Final = ClosedDay()


@contextmanager
def closed_on(lake: Lake, day: dt.date) -> Iterator[ClosedDay]:
    """What has closed of ``day``; :data:`NOTHING_CLOSED` where nothing has. Its rows can be read inside.

    Raises:
        ClosedRowsDamaged: the bytes are not those that were closed.
    """
    objects = kept_objects(lake, DATASET, day)
    if not objects:
        yield NOTHING_CLOSED
        return
    number, sha256, path = objects[-1]
    root = lake.store.local_root
    with TemporaryDirectory(prefix="closed-", dir=temporary_folder()) as folder:
        file = Path(folder, "rows.parquet") if root is None else root / path
        if root is None:
            lake.store.download(path, file)
        with file.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != sha256:
                raise ClosedRowsDamaged(
                    f"{lake.url}/{path} holds rows of closed billing periods, and its bytes are not what its name "
                    "says. Bring it back from a backup of the lake. Nothing was written."
                )
        metadata = pl.read_parquet_metadata(file)
        parts = (
            IssuedPart(invoice, ClosedPeriod.parse(period))
            for invoice, period in json.loads(metadata.get(_PARTS, "[]"))
        )
        periods = frozenset(map(ClosedPeriod.parse, json.loads(metadata[_PERIODS])))
        invoices = {
            ClosedPeriod.parse(period): frozenset(ids)
            for period, ids in json.loads(metadata.get(_INVOICES, "{}")).items()
        }
        yield ClosedDay(number, sha256, periods, file, frozenset(parts), invoices)


def close_rows(
    lake: Lake,
    day: dt.date,
    rows: pl.LazyFrame,
    periods: Iterable[ClosedPeriod],
    parts: Iterable[IssuedPart] = (),
    invoices: Iterable[PeriodInvoice] = (),
) -> None:
    """Keep the ``rows`` (a day's file, stored shape) of ``periods`` and of ``parts`` of others for good.

    ``invoices`` are those that are issued now. Those of periods that close with this call are kept too.

    Rows of what is kept already have to be there as they were. Nothing is written where nothing new closes.
    Call it as the lake's writer.

    Raises:
        ClosedRowsChanged: rows of a period that has closed differ.
    """
    with closed_on(lake, day) as kept, TemporaryDirectory(prefix="close-", dir=temporary_folder()) as folder:
        wanted, wanted_parts = kept.periods | set(periods), kept.parts | set(parts)
        if (wanted, wanted_parts) == (kept.periods, kept.parts):
            return
        known = {str(period): sorted(ids) for period, ids in kept.invoices.items()}
        for invoice in sorted(invoices):
            if invoice.period in wanted - kept.periods:
                known.setdefault(str(invoice.period), []).append(invoice.id)
        file = Path(folder, "rows.parquet")
        of_periods(rows, wanted, wanted_parts).sink_parquet(
            file,
            compression="zstd",
            row_group_size=_ROW_GROUP,
            maintain_order=True,
            metadata={
                _PERIODS: json.dumps(sorted(map(str, wanted))),
                _PARTS: json.dumps([[each.invoice, str(each.period)] for each in sorted(wanted_parts)]),
                _INVOICES: json.dumps(known, sort_keys=True),
            },
        )
        written = pl.scan_parquet(file, glob=False, hive_partitioning=False)
        if kept.file is not None and not same_rows(kept.of(written), kept.rows):
            raise ClosedRowsChanged(
                f"{day:%F}: rows of a billing period that has closed differ from those that were kept when it did. "
                f"Run: focus-assets materialize --from {day:%F} --to {day:%F}\nNothing was written."
            )
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        lake.store.put_file(kept_path(DATASET, day, kept.number + 1, sha256), file)
        for _, _, path in kept_objects(lake, DATASET, day)[:-1]:
            lake.store.delete(path)


def of_periods(
    rows: pl.LazyFrame,
    periods: Iterable[ClosedPeriod],
    parts: Iterable[IssuedPart] = (),
    *,
    others: bool = False,
) -> pl.LazyFrame:
    """Those of ``rows`` that are billed in ``periods`` or by ``parts`` and are no estimates, or all ``others``."""
    schema = rows.collect_schema()
    wanted = pl.LazyFrame(
        sorted(periods), schema={name: schema[name] for name in PERIOD_COLUMNS}, orient="row"
    ).with_columns(pl.lit(True).alias("_wanted"))
    marked = rows.join(wanted, on=PERIOD_COLUMNS, how="left", maintain_order="left")
    invoices = {part.invoice for part in parts}
    billed = pl.col("_wanted").eq_missing(True) | (is_on(invoices) if invoices else pl.lit(False))
    chosen = billed & pl.col("x_IsEstimated").eq_missing(False)
    return marked.filter(~chosen if others else chosen).drop("_wanted")


def in_shape_of(rows: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame:
    """``rows`` with the columns of ``schema``: those they lack are null, others are left out."""
    held = rows.collect_schema().names()
    return rows.select(
        pl.col(name).cast(dtype) if name in held else pl.lit(None, dtype).alias(name)
        for name, dtype in schema.items()
    )


def same_rows(one: pl.LazyFrame, other: pl.LazyFrame) -> bool:
    """Whether two frames hold the same rows, each as often; order does not count."""
    names = one.collect_schema().names()
    if names != other.collect_schema().names():
        return False
    digest = pl.struct(names).hash(seed=0)
    sums = [
        frame.select(pl.len(), digest.sum().alias("sum"), (digest // 3).sum().alias("other"))
        for frame in (one, other)
    ]
    first, second = (each.row(0) for each in pl.collect_all(sums))
    return first == second


def closed_days(lake: Lake) -> list[dt.date]:
    """The days that hold closed rows, sorted; lists the store once, however many they are."""
    found = set()
    for info in lake.store.list(f"{DATASET}/"):
        folder, _, name = info.path.rpartition("/")
        if _OBJECT.fullmatch(name):
            found.add(dt.date.fromisoformat(folder.rpartition("charge_date=")[2]))
    return sorted(found)


def kept_path(dataset: str, day: dt.date, number: int, sha256: str) -> str:
    """Where object ``number`` of a day lies, by its digest."""
    return f"{dataset}/charge_date={day:%F}/{number:04d}-{sha256}.parquet"


def kept_objects(lake: Lake, dataset: str, day: dt.date) -> list[tuple[int, str, str]]:
    """Number, digest and path of a day's objects; the last one holds everything."""
    found = []
    for info in lake.store.list(f"{dataset}/charge_date={day:%F}/"):
        if match := _OBJECT.fullmatch(info.path.rpartition("/")[2]):
            found.append((int(match[1]), match[2], info.path))
    return sorted(found)
