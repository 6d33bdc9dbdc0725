"""The data files of a delivery: a destination's rows of a billing month, one Parquet file per day.

What belongs here: choosing, projecting and writing rows, and summing what was written. What does not: putting
files anywhere (``deliver``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl

from focus_assets.delivery.facts import billing_month_of_row, sums_by
from focus_assets.delivery.layout import data_file_path
from focus_assets.delivery.manifest import ColumnType, ControlTotals, DataFile, Scope
from focus_assets.focus.export_dimensions import as_exported
from focus_assets.focus.project import project

CUSTOMER: Final = "x_CustomerKey"
_ROW_GROUP: Final = 250_000
_ZSTD_LEVEL: Final = 3
_NONE: Final[Mapping[str, str | None]] = MappingProxyType({})


@dataclass(frozen=True)
class LocalFile:
    """A data file as it will be delivered, and where it lies until then."""

    entry: DataFile
    local: Path


def rows_in_scope(frame: pl.LazyFrame, month: str, scope: Scope) -> pl.LazyFrame:
    """The rows of ``frame`` that are of the billing month and in scope, in their order.

    A row without customer is in no list of customers: what is not known to be theirs is never theirs.
    """
    chosen = frame.filter(billing_month_of_row() == month)
    if scope.customers == "all":
        return chosen
    return chosen.filter(pl.col(CUSTOMER).is_in(list(scope.customers)).fill_null(False))


def write_day(
    rows: pl.LazyFrame,
    month: str,
    day: dt.date,
    focus_version: str,
    folder: Path,
    dimensions: Mapping[str, str | None] = _NONE,
) -> LocalFile:
    """Write a day's rows as ``focus_version``, also when there are none, and name them by their digest.

    ``dimensions`` are the columns that the destination decides.
    """
    local = folder / f"{day.isoformat()}.parquet"
    project(as_exported(rows, dimensions), focus_version).sink_parquet(
        local,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        statistics=True,
        row_group_size=_ROW_GROUP,
        maintain_order=True,
    )
    with local.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    entry = DataFile(
        path=data_file_path(month, day, sha256),
        charge_date=day,
        bytes=local.stat().st_size,
        rows=pl.scan_parquet(local, glob=False).select(pl.len()).collect().item(),
        sha256=sha256,
    )
    return LocalFile(entry, local)


def control_totals(paths: Sequence[Path]) -> ControlTotals:
    """Rows, costs by currency and quantity by unit over all of a delivery's files, as written."""
    frame = pl.scan_parquet(list(paths), glob=False, hive_partitioning=False)
    return ControlTotals(
        rows=frame.select(pl.len()).collect().item(),
        billed_cost=sums_by(frame, "BillingCurrency", "BilledCost"),
        effective_cost=sums_by(frame, "BillingCurrency", "EffectiveCost"),
        consumed_quantity=sums_by(frame, "ConsumedUnit", "ConsumedQuantity"),
    )


def column_types(path: Path) -> tuple[ColumnType, ...]:
    """The columns of a data file, in order, with type names that other engines know."""
    schema = pl.read_parquet_schema(path)
    return tuple(ColumnType(name=name, type=_type_name(dtype)) for name, dtype in schema.items())


def _type_name(dtype: pl.DataType) -> str:
    match dtype:
        case pl.Decimal():
            return f"decimal({dtype.precision}, {dtype.scale})"
        case pl.Datetime():
            return f"timestamp({dtype.time_unit}, {dtype.time_zone})"
        case _:
            return str(dtype).lower()
