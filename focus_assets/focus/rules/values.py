"""Values out of closed lists, looked at row by row and with their case."""

from __future__ import annotations

import polars as pl

from focus_assets.catalog.national_currencies import NATIONAL_CURRENCIES
from focus_assets.focus.columns import COST_AND_USAGE, FocusColumn, Format, columns
from focus_assets.focus.rules.model import AnyRule, Reads, RowRule, both, since
from focus_assets.focus.services import SERVICE_CATEGORIES, SUBCATEGORY_PARENTS


def rules() -> tuple[AnyRule, ...]:
    """Allowed values, services with their parents, national currencies."""
    return (
        *lists(COST_AND_USAGE),
        *(
            _allowed(entry, allowed)
            for entry in columns()
            for id_, allowed in (
                ("ServiceCategory", SERVICE_CATEGORIES),
                ("ServiceSubcategory", tuple(SUBCATEGORY_PARENTS)),
            )
            if entry.id == id_
        ),
        _parent(),
    )


def lists(dataset: str) -> tuple[AnyRule, ...]:
    """Allowed values and national currencies of a dataset's columns."""
    known = columns(dataset=dataset)
    return (
        *(_allowed(entry, entry.allowed_values) for entry in known if entry.allowed_values),
        *(_currency(entry) for entry in known if entry.format is Format.NATIONAL_CURRENCY),
    )


def _outside(name: str, allowed: tuple[str, ...]) -> pl.Expr:
    return pl.col(name).is_not_null() & ~pl.col(name).is_in(allowed).fill_null(False)


def _allowed(entry: FocusColumn, allowed: tuple[str, ...]) -> RowRule:
    said = ", ".join(allowed) if len(allowed) < 20 else f"the {len(allowed)} that FOCUS lists"
    return RowRule(
        id=f"values.{entry.id}",
        sentence=f"{entry.id} must be one of its allowed values, written exactly so: {said}.",
        section=f"Columns: {entry.id}, Allowed Values",
        versions=tuple(entry.levels),
        reads={entry.id: Reads.TEXT},
        violation=_outside(entry.id, allowed),
    )


def _parent() -> RowRule:
    parent = pl.col("ServiceSubcategory").replace_strict(
        dict(SUBCATEGORY_PARENTS), default=None, return_dtype=pl.String
    )
    return RowRule(
        id="values.ServiceSubcategory_parent",
        sentence="ServiceSubcategory must belong to the row's ServiceCategory.",
        section="Columns: ServiceSubcategory, Allowed Values",
        versions=both("ServiceSubcategory", since("1.0")),
        reads={"ServiceCategory": Reads.TEXT, "ServiceSubcategory": Reads.TEXT},
        violation=(parent != pl.col("ServiceCategory")).fill_null(False)
        & pl.col("ServiceCategory").is_in(SERVICE_CATEGORIES).fill_null(False),
    )


def _currency(entry: FocusColumn) -> RowRule:
    return RowRule(
        id=f"values.{entry.id}",
        sentence=f"{entry.id} must be a national currency by its ISO 4217 code, such as EUR.",
        section="Attributes: Currency Format",
        versions=tuple(entry.levels),
        reads={entry.id: Reads.TEXT},
        violation=_outside(entry.id, NATIONAL_CURRENCIES),
    )
