"""What values look like: text that says something, and the notation of instants and numbers kept as text."""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.focus.columns import (
    COST_AND_USAGE,
    WORDS_FOR_NOTHING,
    FocusColumn,
    Format,
    ValueType,
    columns,
    own_columns,
)
from focus_assets.focus.rules.model import AnyRule, Reads, RowRule

_CLOSED: Final = (Format.ALLOWED_VALUES, Format.NATIONAL_CURRENCY)
_DAY: Final = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
_INSTANT: Final = f"^{_DAY}T{_TIME}Z$"
_NUMBER: Final = r"^-?([0-9]+(\.[0-9]+)?|\.[0-9]+)([eE]-?[0-9]+)?$"


def rules(dataset: str = COST_AND_USAGE) -> tuple[AnyRule, ...]:
    """No empty text nor words for nothing; ISO 8601 instants; plain numbers."""
    text = [
        entry
        for entry in (*columns(dataset=dataset), *own_columns(dataset))
        if entry.type is ValueType.STRING and entry.format not in _CLOSED
    ]
    return (
        *(_not_empty(entry) for entry in text),
        *(
            _matches(entry)
            for entry in columns(dataset=dataset)
            if entry.type in (ValueType.DATE_TIME, ValueType.DECIMAL)
        ),
    )


def _not_empty(entry: FocusColumn) -> RowRule:
    return RowRule(
        id=f"formats.{entry.id}_empty",
        sentence=f"{entry.id} must be null where it has no value, not an empty text or a word such as N/A.",
        section="Attributes: Null Handling",
        versions=tuple(entry.levels),
        reads={entry.id: Reads.TEXT},
        violation=pl.col(entry.id).is_in(WORDS_FOR_NOTHING).fill_null(False),
    )


def not_in_notation(entry: FocusColumn, written: str) -> pl.Expr:
    """True where the text in ``written`` is not in the notation of the column."""
    pattern = _INSTANT if entry.type is ValueType.DATE_TIME else _NUMBER
    return ~pl.col(written).str.contains(pattern).fill_null(True)


def not_finite(name: str) -> pl.Expr:
    """True where a float is no number or infinite."""
    return ~pl.col(name).is_finite().fill_null(True)


def _matches(entry: FocusColumn) -> RowRule:
    instant = entry.type is ValueType.DATE_TIME
    return RowRule(
        id=f"formats.{entry.id}",
        sentence=(
            f"{entry.id} must be written as ISO 8601 in UTC, such as 2026-10-01T00:00:00Z."
            if instant
            else f"{entry.id} must be written as a plain number, without plus sign, commas or symbols."
        ),
        section=f"Attributes: {'Date/Time' if instant else 'Numeric'} Format",
        versions=tuple(entry.levels),
        reads={entry.id: Reads.TEXT},
        violation=not_in_notation(entry, entry.id),
    )
