"""Columns of anybody's types as the types that rules read.

What belongs here: what a stored type is taken for, and what of it breaks a rule. What does not: the rules.

Numbers stay as they are; text is read as a float, instants without zone as UTC. A text that is no number or no
instant is a violation of its notation and of nothing else: rules that need the value pass over the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import polars as pl

from focus_assets.focus.columns import FocusColumn, ValueType
from focus_assets.focus.rules import AnyRule, Reads, RowRule
from focus_assets.focus.rules.check import AS_WRITTEN
from focus_assets.focus.rules.formats import not_finite, not_in_notation

_UNREAD: Final = "\0unread "
_INSTANT: Final = "%Y-%m-%dT%H:%M:%S%.fZ"
_UTC: Final = pl.Datetime("us", "UTC")


def readable(column: FocusColumn, dtype: pl.DataType) -> bool:
    """Whether values of that type can be taken for the column's at all."""
    if isinstance(dtype, pl.Null):
        return True
    text = isinstance(dtype, pl.String | pl.Categorical | pl.Enum)
    match column.type:
        case ValueType.DECIMAL:
            return text or dtype.is_numeric()
        case ValueType.DATE_TIME:
            return text or isinstance(dtype, pl.Datetime | pl.Date)
        case ValueType.JSON:
            return not isinstance(dtype, pl.Binary)
    return text or dtype.is_numeric()


def kept_as_text(column: FocusColumn, dtype: pl.DataType) -> bool:
    """Whether a number or an instant is stored as text."""
    wanted = column.type in (ValueType.DECIMAL, ValueType.DATE_TIME)
    return wanted and isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


def typed(
    frame: pl.LazyFrame, stored: Mapping[str, pl.DataType], known: Iterable[FocusColumn]
) -> pl.LazyFrame:
    """The frame with FOCUS's columns in types that rules read, and the texts of numbers and instants beside them."""
    made: list[pl.Expr] = []
    for column in known:
        dtype = stored.get(column.id)
        if dtype is None:
            continue
        value = pl.col(column.id)
        if isinstance(dtype, pl.Null):
            made.append(value.cast(column.dtype))
        elif kept_as_text(column, dtype):
            text = value.cast(pl.String)
            read = _read(column, text)
            made += [
                read.alias(column.id),
                text.alias(f"{AS_WRITTEN}{column.id}"),
                (text.is_not_null() & read.is_null()).alias(f"{_UNREAD}{column.id}"),
            ]
        elif column.type is ValueType.DATE_TIME and isinstance(dtype, pl.Datetime):
            utc = (
                value.dt.replace_time_zone("UTC")
                if dtype.time_zone is None
                else value.dt.convert_time_zone("UTC")
            )
            made.append(utc.cast(_UTC))
        elif column.type is ValueType.DATE_TIME and isinstance(dtype, pl.Date):
            made.append(value.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
        elif isinstance(dtype, pl.Categorical | pl.Enum):
            made.append(value.cast(pl.String))
    return frame.with_columns(made)


def declared(stored: Mapping[str, pl.DataType], known: Iterable[FocusColumn], *, all_text: bool) -> pl.Schema:
    """The types that rules about types look at.

    An instant without zone, or of another zone, is the same instant in UTC; and in CSV (``all_text``) everything
    is text, whose notation is what counts.
    """
    types = dict(stored)
    for column in known:
        dtype = stored.get(column.id)
        if dtype is None:
            continue
        instant = column.type is ValueType.DATE_TIME and isinstance(dtype, pl.Datetime)
        if instant or isinstance(dtype, pl.Null) or (all_text and kept_as_text(column, dtype)):
            types[column.id] = _UTC if instant else column.dtype
    return pl.Schema(types)


def rules_for_types(
    rules: Iterable[AnyRule], stored: Mapping[str, pl.DataType], known: Iterable[FocusColumn]
) -> tuple[AnyRule, ...]:
    """The rules as they apply to a frame that :func:`typed` made of ``stored``."""
    texts = {c.id: c for c in known if c.id in stored and kept_as_text(c, stored[c.id])}
    return tuple(_for(rule, texts, stored) for rule in rules)


def _for(rule: AnyRule, texts: Mapping[str, FocusColumn], stored: Mapping[str, pl.DataType]) -> AnyRule:
    if not isinstance(rule, RowRule):
        return rule
    name = rule.id.removeprefix("formats.")
    if name != rule.id and name in texts:
        written = f"{AS_WRITTEN}{name}"
        return replace(rule, reads={written: Reads.TEXT}, violation=not_in_notation(texts[name], written))
    if name != rule.id and name in stored and stored[name].is_float():
        return replace(rule, reads={name: Reads.NUMBER}, violation=not_finite(name))
    unread = [f"{_UNREAD}{read}" for read in rule.reads if read in texts]
    if not unread:
        return rule
    for_types = rule.for_types
    return replace(
        rule,
        violation=rule.violation & ~pl.any_horizontal(unread),
        for_types=None if for_types is None else lambda schema: _with_mask(for_types(schema), unread),
    )


def _with_mask(rule: RowRule, unread: list[str]) -> RowRule:
    return replace(rule, violation=rule.violation & ~pl.any_horizontal(unread))


def _read(column: FocusColumn, text: pl.Expr) -> pl.Expr:
    if column.type is ValueType.DATE_TIME:
        return text.str.to_datetime(_INSTANT, time_unit="us", time_zone="UTC", strict=False)
    return text.cast(pl.Float64, strict=False)
