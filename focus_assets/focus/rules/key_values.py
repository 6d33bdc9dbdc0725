"""Key-value columns: one flat JSON object, and the names of SKU price properties."""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.focus.columns import COST_AND_USAGE, FocusColumn, Format, columns
from focus_assets.focus.rules.model import AnyRule, Reads, RowRule, both, since
from focus_assets.focus.sku_properties import SKU_PRICE_PROPERTIES

INVOICE_DETAIL_GRAIN: Final = (
    "ContractId",
    "RegionId",
    "ResourceId",
    "ResourceType",
    "ServiceName",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "SubAccountId",
)
"""Columns of Cost and Usage that InvoiceDetailGrain may name in 1.4; every other key begins with ``x_``."""

# A flat JSON object is a regular language (RFC 8259 without nesting), so one expression decides it, at the
# speed of Polars' text search and without parsing a value.
_SPACE: Final = r"[ \t\r\n]*"
_CHARACTERS: Final = r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*'
_TEXT: Final = f'"{_CHARACTERS}"'
_SCALAR: Final = rf"(?:{_TEXT}|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)"


def _object(key: str) -> str:
    pair = f"{key}{_SPACE}:{_SPACE}{_SCALAR}"
    return rf"^{_SPACE}\{{{_SPACE}(?:{pair}(?:{_SPACE},{_SPACE}{pair})*{_SPACE})?\}}{_SPACE}$"


_FLAT: Final = _object(_TEXT)
_Names = tuple[str, ...]


def _named(names: _Names) -> str:
    return _object(rf'"(?:x_{_CHARACTERS}|{"|".join(names)})"')


def rules() -> tuple[AnyRule, ...]:
    """Flat objects everywhere; prefixed property names in SkuPriceDetails."""
    return (*flat(COST_AND_USAGE), _property_names())


def flat(dataset: str) -> tuple[AnyRule, ...]:
    """Flat objects in the key-value columns of a dataset."""
    return tuple(_flat(entry) for entry in columns(dataset=dataset) if entry.format is Format.KEY_VALUE)


def _flat(entry: FocusColumn) -> RowRule:
    return RowRule(
        id=f"key_values.{entry.id}_flat",
        sentence=f"{entry.id} must be one JSON object whose values are text, numbers, true, false or null.",
        section="Attributes: Key-Value Format",
        versions=tuple(entry.levels),
        reads={entry.id: Reads.TEXT},
        violation=~pl.col(entry.id).str.contains(_FLAT).fill_null(True),
        by_value=True,
    )


def _property_names() -> RowRule:
    return RowRule(
        id="key_values.SkuPriceDetails_names",
        sentence="The name of a property of SkuPriceDetails outside FOCUS must begin with x_.",
        section="Columns: SkuPriceDetails, SKU Price properties",
        versions=both("SkuPriceDetails", since("1.2")),
        reads={"SkuPriceDetails": Reads.TEXT},
        violation=_has_other_names("SkuPriceDetails", SKU_PRICE_PROPERTIES),
        by_value=True,
    )


def grain_names() -> RowRule:
    """Prefixed names in InvoiceDetailGrain, but for the columns that FOCUS lists."""
    return RowRule(
        id="key_values.InvoiceDetailGrain_names",
        sentence="A key of InvoiceDetailGrain that is none of the columns FOCUS lists must begin with x_.",
        section="Columns: InvoiceDetailGrain",
        versions=("1.4",),
        reads={"InvoiceDetailGrain": Reads.TEXT},
        violation=_has_other_names("InvoiceDetailGrain", INVOICE_DETAIL_GRAIN),
        by_value=True,
    )


def _has_other_names(name: str, known: _Names) -> pl.Expr:
    """Whether a flat object has a key neither ``known`` nor prefixed; what is no flat object breaks another rule."""
    value = pl.col(name)
    return value.str.contains(_FLAT).fill_null(False) & ~value.str.contains(_named(known)).fill_null(True)
