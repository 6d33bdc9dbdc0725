"""FOCUS columns in the UI: types, levels by version, definitions and where each comes from.

What belongs here: the column registry as Dagster shows it. What does not: the registry (``focus.columns``).
"""

from __future__ import annotations

from itertools import groupby

import dagster as dg

from focus_assets.focus.columns import FocusColumn, columns, own_columns
from focus_assets.focus.cost_and_usage import NOT_FILLED
from focus_assets.orchestration.column_lineage import FOCUS
from focus_assets.orchestration.metadata import type_name, with_sources


def focus_table_schema() -> dg.TableSchema:
    """Every stored FOCUS column with its type, levels and definition; those that stay empty come last."""
    listed = sorted((*columns(), *own_columns()), key=lambda column: column.id in NOT_FILLED)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.id,
                type=type_name(column.dtype),
                description=_description(column),
                constraints=dg.TableColumnConstraints(
                    nullable=not column.levels or bool(column.nulls_in), other=_levels(column)
                ),
            )
            for column in listed
        ]
    )


def _description(column: FocusColumn) -> str:
    if column.id in NOT_FILLED:
        return f"{column.definition} Empty: nothing is committed, allocated or corrected here."
    return with_sources(column.definition, FOCUS, column.id)


def _levels(column: FocusColumn) -> list[str]:
    """The levels in the order of versions, such as ``Conditional 1.0 to 1.2``; one word for columns of our own."""
    if column.own:
        return ["not in FOCUS"]
    found = []
    for level, versions in groupby(column.levels.items(), key=lambda entry: entry[1]):
        named = [version for version, _ in versions]
        span = named[0] if len(named) == 1 else f"{named[0]} to {named[-1]}"
        found.append(f"{level} {span}")
    return found
