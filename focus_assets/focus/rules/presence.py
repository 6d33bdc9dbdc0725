"""Which columns must be there, of which type, and how others must be called."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from focus_assets.focus.columns import (
    COST_AND_USAGE,
    OWN_PREFIX,
    FocusColumn,
    Level,
    ValueType,
    columns,
    own_columns,
    versions_of,
)
from focus_assets.focus.rules.model import AnyRule, SchemaRule


def rules(dataset: str = COST_AND_USAGE) -> tuple[AnyRule, ...]:
    """Presence by level, type by column, and the prefix of custom columns."""
    known = columns(dataset=dataset)
    return (
        *(_present(entry, level) for entry in known for level in Level if level is not Level.CONDITIONAL),
        *(_typed(entry) for entry in (*known, *own_columns(dataset))),
        *(_prefixed(version, dataset) for version in versions_of(dataset)),
    )


def _present(entry: FocusColumn, level: Level) -> SchemaRule:
    must = level is Level.MANDATORY
    return SchemaRule(
        id=f"presence.{entry.id}" if must else f"presence.{entry.id}_recommended",
        sentence=f"The column {entry.id} {'must' if must else 'should'} be present.",
        section=f"Columns: {entry.id}",
        versions=tuple(version for version, asked in entry.levels.items() if asked is level),
        blocking=must,
        finds=lambda schema: () if entry.id in schema else (entry.id,),
    )


def _typed(entry: FocusColumn) -> SchemaRule:
    what = {
        ValueType.DECIMAL: "a number",
        ValueType.DATE_TIME: "an instant with time zone UTC",
        ValueType.BOOLEAN: "true or false",
        ValueType.JSON: "text that holds JSON",
    }.get(entry.type, "text")
    return SchemaRule(
        id=f"types.{entry.id}",
        sentence=f"{entry.id} must be stored as {what}.",
        section=f"Columns: {entry.id}",
        versions=tuple(entry.levels),
        finds=_of_type(entry),
    )


def _of_type(entry: FocusColumn) -> Callable[[pl.Schema], Sequence[str]]:
    def finds(schema: pl.Schema) -> Sequence[str]:
        dtype = schema.get(entry.id)
        if dtype is None:
            return ()
        match entry.type:
            case ValueType.DECIMAL:
                fits = dtype.is_numeric()
            case ValueType.DATE_TIME:
                fits = isinstance(dtype, pl.Datetime) and dtype.time_zone == "UTC"
            case ValueType.BOOLEAN:
                fits = isinstance(dtype, pl.Boolean)
            case _:
                fits = isinstance(dtype, (pl.String, pl.Categorical, pl.Enum))
        return () if fits else (f"{entry.id}: {dtype}",)

    return finds


def _prefixed(version: str, dataset: str) -> SchemaRule:
    known = {entry.id for entry in columns(version, dataset)}
    return SchemaRule(
        id=f"presence.custom_columns_{version.replace('.', '_')}",
        sentence=f"The name of a column that FOCUS {version} does not define must begin with {OWN_PREFIX}.",
        section="Attributes: Column Naming and Ordering",
        versions=(version,),
        finds=lambda schema: [n for n in schema if n not in known and not n.startswith(OWN_PREFIX)],
    )
