"""Which views there are, and their SQL.

What belongs here: names, columns and the text of each view. What does not: where they are created
(``view_file``, ``query``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from polars.datatypes import DataTypeClass

from focus_assets.billing.datasets import BILLING_DATASETS
from focus_assets.datasets import USAGE_DATASETS
from focus_assets.delivery.restatements import RESTATEMENTS
from focus_assets.focus.columns import COST_AND_USAGE, VERSIONS
from focus_assets.focus.schema import internal_schema, version_schema

FOCUS_DATASET = "focus_cost_and_usage"
CHARGE_DATE = "charge_date"


@dataclass(frozen=True)
class View:
    """A view: its name, the dataset it reads, its columns in order, and what it says of itself."""

    name: str
    dataset: str
    schema: pl.Schema
    comment: str

    def sql(self, files: Sequence[str]) -> str:
        """The ``CREATE VIEW`` over Parquet files or globs; over none, a view with these columns and no rows.

        The day of the partition is part of every view of a dataset, as ``charge_date``.
        """
        return f"CREATE VIEW {identifier(self.name)} AS {self._select(files)}"

    def _select(self, files: Sequence[str]) -> str:
        if not files:
            columns = ", ".join(
                f"CAST(NULL AS {sql_type(dtype)}) AS {identifier(name)}"
                for name, dtype in self.schema.items()
            )
            return f"SELECT {columns} WHERE false"
        columns = ", ".join(identifier(name) for name in self.schema)
        listed = ", ".join(text(file) for file in files)
        # Names come from the registry and the datasets, files from the lake; all of them are quoted.
        return (
            f"SELECT {columns} FROM read_parquet([{listed}], hive_partitioning = true, "  # noqa: S608
            f"hive_types = {{'{CHARGE_DATE}': DATE}})"
        )


def views() -> tuple[View, ...]:
    """One view for each dataset, and one for each FOCUS version, sorted by name."""
    datasets = (*USAGE_DATASETS, *BILLING_DATASETS, RESTATEMENTS)
    found = [View(d.name, d.name, _with_day(d.schema), d.grain) for d in datasets]
    stored = _with_day(internal_schema(COST_AND_USAGE))
    found.append(
        View(FOCUS_DATASET, FOCUS_DATASET, stored, "a FOCUS charge row with the columns of every version")
    )
    found += [
        View(
            f"focus_{version.replace('.', '_')}",
            FOCUS_DATASET,
            version_schema(version),
            f"a charge row of FOCUS {version}, as it is delivered",
        )
        for version in VERSIONS
    ]
    return tuple(sorted(found, key=lambda view: view.name))


def _with_day(schema: pl.Schema) -> pl.Schema:
    others = [(name, dtype) for name, dtype in schema.items() if name != CHARGE_DATE]
    return pl.Schema([(CHARGE_DATE, pl.Date()), *others])


def identifier(name: str) -> str:
    """``name`` quoted as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """``value`` quoted as an SQL text."""
    return "'" + value.replace("'", "''") + "'"


def literal_glob(path: str) -> str:
    """A glob that matches ``path`` alone: folders may be called ``[a]`` or ``*``."""
    return re.sub(r"[*?\[]", lambda found: f"[{found.group()}]", path)


def sql_type(dtype: pl.DataType | DataTypeClass) -> str:
    """DuckDB's name of a Polars type, as ``read_parquet`` gives it; TypeError for a type no dataset has."""
    if isinstance(dtype, pl.List):
        return f"{sql_type(dtype.inner)}[]"
    if isinstance(dtype, pl.Struct):
        fields = ", ".join(f"{identifier(field.name)} {sql_type(field.dtype)}" for field in dtype.fields)
        return f"STRUCT({fields})"
    if isinstance(dtype, pl.Decimal):
        return f"DECIMAL({dtype.precision}, {dtype.scale})"
    if isinstance(dtype, pl.Datetime):
        return "TIMESTAMP WITH TIME ZONE" if dtype.time_zone else "TIMESTAMP"
    names = {
        pl.String: "VARCHAR",
        pl.Date: "DATE",
        pl.Boolean: "BOOLEAN",
        pl.Int32: "INTEGER",
        pl.Int64: "BIGINT",
        pl.Float64: "DOUBLE",
    }
    for known, name in names.items():
        if dtype == known:
            return name
    raise TypeError(f"no SQL type for {dtype}")
