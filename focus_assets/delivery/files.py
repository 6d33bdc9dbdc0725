"""The data files of a delivery: a destination's rows of a billing month, one file per day.

What belongs here: choosing, showing and writing rows, reading them again, and summing what was written. What does not:
how files are called (``layout``) and putting them anywhere (``put``).
"""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow.parquet as pq

from focus_assets.billing.datasets import FOCUS_DATASET
from focus_assets.catalog.key_values import Value
from focus_assets.delivery.facts import billing_month_of_row, decimal_text
from focus_assets.delivery.layout import COST_AND_USAGE
from focus_assets.delivery.manifest import ColumnType, ControlTotals, DecimalText, Scope
from focus_assets.focus.export_dimensions import as_exported
from focus_assets.focus.project import project
from focus_assets.focus.selection import selected
from focus_assets.settings import Destination

CUSTOMER: Final = "x_CustomerKey"
ENDINGS: Final[Mapping[str, str]] = {"parquet": "parquet", "csv": "csv.gz"}
"""How the names of data files end, by format."""

_EXACTLY: Final = Context(prec=60, traps=[Inexact])
"""Adds sums of 38 digits without rounding."""

_ROW_GROUP: Final = 250_000
_ZSTD_LEVEL: Final = 3
_GZIP_LEVEL: Final = 6
_INSTANT: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Shape:
    """How rows are shown to a destination: FOCUS version, its own dimensions, tags and columns, the file format."""

    version: str
    dimensions: Mapping[str, str | None]
    tags: Mapping[str, Value]
    columns: tuple[str, ...]
    format: str
    compression: str
    dataset: str = COST_AND_USAGE

    @classmethod
    def of(cls, destination: Destination) -> Shape:
        """The shape that a destination asks for; raises InvalidSelection for columns its version does not have."""
        columns = selected(
            destination.focus_version,
            destination.columns,
            partial=destination.partial,
            place=f"destinations[{destination.name}].columns",
        )
        return cls(
            destination.focus_version,
            destination.dimensions,
            destination.tags,
            tuple(columns),
            destination.format,
            destination.packed,
        )

    def show(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Stored rows as the destination sees them; those of other datasets than Cost and Usage have all columns."""
        if self.dataset in FOCUS_DATASET:
            return project(rows, self.version, FOCUS_DATASET[self.dataset])
        if self.dataset != COST_AND_USAGE:
            return rows
        return project(as_exported(rows, self.dimensions, self.tags), self.version).select(self.columns)


@dataclass(frozen=True)
class LocalFile:
    """A day's data file as it will be delivered, and where it lies until then."""

    day: dt.date
    local: Path
    sha256: str
    bytes: int
    rows: int
    columns: tuple[ColumnType, ...]


def rows_in_scope(frame: pl.LazyFrame, month: str, scope: Scope) -> pl.LazyFrame:
    """The rows of ``frame`` that are of the billing month and in scope, in their order.

    A row without customer is in no list of customers: what is not known to be theirs is never theirs.
    """
    chosen = frame.filter(billing_month_of_row() == month)
    if scope.customers == "all":
        return chosen
    return chosen.filter(pl.col(CUSTOMER).is_in(list(scope.customers)).fill_null(False))


def write_day(rows: pl.LazyFrame, day: dt.date, shape: Shape, folder: Path) -> LocalFile:
    """Write a day's rows in a shape, also when there are none; equal rows give equal bytes."""
    local = folder / f"{day.isoformat()}.{ENDINGS[shape.format]}"
    shown = shape.show(rows)
    columns = types_of(shown.collect_schema())
    if shape.format == "csv":
        _write_csv(shown, local)
    else:
        compressed: dict[str, Any] = {"compression": shape.compression}
        if shape.compression == "zstd":
            compressed["compression_level"] = _ZSTD_LEVEL
        shown.sink_parquet(
            local, **compressed, statistics=True, row_group_size=_ROW_GROUP, maintain_order=True
        )
    with local.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return LocalFile(day, local, sha256, local.stat().st_size, _rows(local, columns, shape.format), columns)


def _rows(local: Path, columns: Sequence[ColumnType], format: str) -> int:
    """The rows of a file, told from the file."""
    if format == "parquet":
        return int(pq.read_metadata(local).num_rows)
    return int(read_file(local, format, columns).select(pl.len()).collect().item())


def _write_csv(shown: pl.LazyFrame, local: Path) -> None:
    plain = local.with_suffix("")
    instants = [name for name, dtype in shown.collect_schema().items() if isinstance(dtype, pl.Datetime)]
    texts = [pl.col(name).dt.convert_time_zone("UTC").dt.to_string(_INSTANT) for name in instants]
    shown.with_columns(texts).sink_csv(plain, maintain_order=True)
    # Without a name and a time in its header: equal rows give equal bytes.
    with (
        plain.open("rb") as source,
        local.open("wb") as target,
        gzip.GzipFile("", "wb", _GZIP_LEVEL, target, mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed, 1 << 20)
    plain.unlink()


def read_file(path: Path, format: str, columns: Sequence[ColumnType]) -> pl.LazyFrame:
    """A delivered file's rows in the types that its manifest names; CSV has ``columns`` by their names."""
    if format == "parquet":
        return pl.scan_parquet(path, glob=False, hive_partitioning=False)
    texts = pl.scan_csv(path, glob=False, schema={column.name: pl.String() for column in columns})
    return texts.with_columns(_typed(column) for column in columns)


def names_of_csv(path: Path) -> list[str]:
    """The columns that a delivered CSV file has, in order."""
    return pl.scan_csv(path, glob=False, infer_schema=False).collect_schema().names()


def control_totals(frame: pl.LazyFrame) -> ControlTotals:
    """Rows, costs by currency and quantity by unit; empty where a partial delivery has not the columns."""
    held = frame.collect_schema().names()
    wanted = {
        "billed_cost": ("BillingCurrency", "BilledCost"),
        "effective_cost": ("BillingCurrency", "EffectiveCost"),
        "consumed_quantity": ("ConsumedUnit", "ConsumedQuantity"),
    }
    asked = {name: pair for name, pair in wanted.items() if set(pair) <= set(held)}
    keys = sorted({key for key, _ in asked.values()})
    if not keys:
        return ControlTotals(rows=frame.select(pl.len()).collect().item(), **{name: {} for name in wanted})
    # One reading for all: of a thousand destinations' few rows, most of the time would go into asking four times.
    values = [value for _, value in asked.values()]
    counted = [pl.col(value).count().alias(f"values of {value}") for value in values]
    parts = frame.group_by(keys).agg(pl.len().alias("rows"), pl.col(values).sum(), *counted).collect()
    texts: dict[str, dict[str, DecimalText]] = {name: {} for name in wanted}
    for name, (key, value) in asked.items():
        sums: dict[str, Decimal] = {}
        for group, total, held in parts.select(key, value, f"values of {value}").iter_rows():
            # A key whose values are all null has no sum.
            if group is not None and held:
                sums[str(group)] = _EXACTLY.add(sums.get(str(group), Decimal(0)), total)
        texts[name] = {group: decimal_text(sums[group]) for group in sorted(sums)}
    return ControlTotals(rows=int(parts["rows"].sum()), **texts)


def types_of(schema: pl.Schema) -> tuple[ColumnType, ...]:
    """Columns in order, with type names that other engines know."""
    return tuple(ColumnType(name=name, type=_type_name(dtype)) for name, dtype in schema.items())


def _type_name(dtype: pl.DataType) -> str:
    match dtype:
        case pl.Decimal():
            return f"decimal({dtype.precision}, {dtype.scale})"
        case pl.Datetime():
            return f"timestamp({dtype.time_unit}, {dtype.time_zone})"
        case _:
            return str(dtype).lower()


def _typed(column: ColumnType) -> pl.Expr:
    text = pl.col(column.name)
    if match := re.fullmatch(r"decimal\((\d+), (\d+)\)", column.type):
        return text.cast(pl.Decimal(int(match[1]), int(match[2])))
    if column.type.startswith("timestamp"):
        return text.str.to_datetime(_INSTANT, time_unit="us").dt.replace_time_zone("UTC")
    return text == "true" if column.type == "boolean" else text
