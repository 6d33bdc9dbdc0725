"""The column registry: every FOCUS column with its type, level and nullability in each version, and our own.

What belongs here: what a column *is*. What does not: which columns a file has in which order (``schema``),
what its values must satisfy (``rules``) and what we fill it with (``cost_and_usage``).

The facts are data (``registry/*.csv``): another dataset is one more file and one entry of ``DATASETS``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import polars as pl

from focus_assets.decimals import COST, METERED_QUANTITY, PRICING_QUANTITY, UNIT_PRICE, UTC_INSTANT
from focus_assets.errors import FocusAssetsError

VERSIONS: Final = ("1.0", "1.1", "1.2", "1.3", "1.4")
"""FOCUS versions this project writes and checks, oldest first."""

WORDS_FOR_NOTHING: Final = ("", " ", "N/A", "n/a", "NULL", "Null", "null", "Not Applicable", "not applicable")
"""What people write for null, which no column may hold. Spelled out: a pattern on 40 columns of text costs three times
the other rules."""

COST_AND_USAGE: Final = "cost-and-usage"

BILLING_PERIOD: Final = "billing-period"
INVOICE_DETAIL: Final = "invoice-detail"
CONTRACT_COMMITMENT: Final = "contract-commitment"

DATASETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        COST_AND_USAGE: "cost_and_usage.csv",
        BILLING_PERIOD: "billing_period.csv",
        INVOICE_DETAIL: "invoice_detail.csv",
        CONTRACT_COMMITMENT: "contract_commitment.csv",
    }
)
"""Dataset name to the data file with its columns."""

OWN_PREFIX: Final = "x_"
"""What the id of every column outside FOCUS begins with (FOCUS attribute Column Naming and Ordering)."""


class UnknownColumnError(FocusAssetsError):
    """A column id, version or dataset that the registry does not hold."""


class Level(StrEnum):
    """How strongly a version asks for a column to be present."""

    MANDATORY = "Mandatory"
    CONDITIONAL = "Conditional"
    RECOMMENDED = "Recommended"


class ValueType(StrEnum):
    """FOCUS data types, and Boolean for columns of our own."""

    STRING = "String"
    DECIMAL = "Decimal"
    DATE_TIME = "Date/Time"
    JSON = "JSON"
    BOOLEAN = "Boolean"


class Format(StrEnum):
    """What a value looks like beyond its type; on decimals the kind of number, which decides the scale."""

    COST = "cost"
    UNIT_PRICE = "unit price"
    METERED_QUANTITY = "metered quantity"
    PRICING_QUANTITY = "pricing quantity"
    SHARE = "share"
    NATIONAL_CURRENCY = "national currency"
    CURRENCY = "currency"
    UNIT = "unit"
    KEY_VALUE = "key-value"
    JSON_OBJECT = "json object"
    ALLOWED_VALUES = "allowed values"


_NUMBERS: Final[Mapping[Format | None, pl.DataType]] = {
    Format.COST: COST,
    Format.UNIT_PRICE: UNIT_PRICE,
    Format.METERED_QUANTITY: METERED_QUANTITY,
    Format.PRICING_QUANTITY: PRICING_QUANTITY,
    Format.SHARE: UNIT_PRICE,
}

_OTHERS: Final[Mapping[ValueType, pl.DataType]] = {
    ValueType.STRING: pl.String(),
    ValueType.JSON: pl.String(),
    ValueType.DATE_TIME: UTC_INSTANT,
    ValueType.BOOLEAN: pl.Boolean(),
}


@dataclass(frozen=True)
class FocusColumn:
    """One column of a FOCUS dataset, or one of our own (``own``), over all versions.

    ``levels`` holds the versions that have the column; ``nulls_in`` those of them that allow nulls.
    ``present_when`` completes "must be present when" for a Conditional or Recommended column.
    """

    id: str
    dataset: str
    kind: str
    type: ValueType
    format: Format | None
    not_negative: bool
    allowed_values: tuple[str, ...]
    introduced: str | None
    deprecated: str | None
    removed: str | None
    levels: Mapping[str, Level] = field(hash=False)
    nulls_in: frozenset[str]
    present_when: str | None
    definition: str

    @property
    def own(self) -> bool:
        """Whether the column is this project's and not FOCUS's."""
        return self.id.startswith(OWN_PREFIX)

    @property
    def dtype(self) -> pl.DataType:
        """The Polars type the column is stored and delivered in; JSON is text."""
        return _NUMBERS[self.format] if self.type is ValueType.DECIMAL else _OTHERS[self.type]

    @property
    def precision(self) -> int | None:
        """Digits in all, of a decimal."""
        return self.dtype.precision if isinstance(self.dtype, pl.Decimal) else None

    @property
    def scale(self) -> int | None:
        """Digits after the point, of a decimal."""
        return self.dtype.scale if isinstance(self.dtype, pl.Decimal) else None

    def in_version(self, version: str) -> bool:
        """Whether that version has the column."""
        return version in self.levels

    def allows_nulls(self, version: str) -> bool:
        """Whether that version lets the column be null on some row."""
        return version in self.nulls_in


def columns(version: str | None = None, dataset: str = COST_AND_USAGE) -> tuple[FocusColumn, ...]:
    """The FOCUS columns of a dataset, in alphabetical order, as the specification lists them.

    Without a version: those of any version. Columns of our own are not among them: :func:`own_columns`.

    Raises:
        UnknownColumnError: no such version or dataset.
    """
    registered = _focus_columns(_known(dataset, tuple(DATASETS), "dataset"))
    if version is None:
        return registered
    _known(version, VERSIONS, "FOCUS version")
    return tuple(column for column in registered if column.in_version(version))


def versions_of(dataset: str) -> tuple[str, ...]:
    """The versions that have a dataset, oldest first."""
    return tuple(version for version in VERSIONS if columns(version, dataset))


def own_columns(dataset: str = COST_AND_USAGE) -> tuple[FocusColumn, ...]:
    """The ``x_`` columns that this project adds to a dataset, in alphabetical order."""
    return _own_columns(_known(dataset, tuple(DATASETS), "dataset"))


def column(id: str, dataset: str = COST_AND_USAGE) -> FocusColumn:
    """The column with that id, FOCUS's or our own.

    Raises:
        UnknownColumnError: the registry has no such column.
    """
    found = _by_id(_known(dataset, tuple(DATASETS), "dataset")).get(id)
    if found is None:
        raise UnknownColumnError(
            f"{id!r} is no column of the FOCUS dataset {dataset}, nor one of ours. "
            f"Columns outside FOCUS begin with {OWN_PREFIX} and are listed in focus/registry/own_columns.csv."
        )
    return found


def records(name: str) -> Iterator[dict[str, str]]:
    """The rows of a data file of this package; lines that begin with ``#`` are comments."""
    text = files("focus_assets.focus").joinpath("registry", name).read_text(encoding="utf-8")
    return csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))


def _known(found: str, allowed: tuple[str, ...], what: str) -> str:
    if found not in allowed:
        raise UnknownColumnError(f"{found!r} is no {what} this project knows. Known: {', '.join(allowed)}.")
    return found


@cache
def _by_id(dataset: str) -> Mapping[str, FocusColumn]:
    return {entry.id: entry for entry in (*_focus_columns(dataset), *_own_columns(dataset))}


@cache
def _focus_columns(dataset: str) -> tuple[FocusColumn, ...]:
    return tuple(_focus_column(dataset, record) for record in records(DATASETS[dataset]))


@cache
def _own_columns(dataset: str) -> tuple[FocusColumn, ...]:
    if dataset != COST_AND_USAGE:
        return ()
    return tuple(_own_column(dataset, record) for record in records("own_columns.csv"))


def _focus_column(dataset: str, record: Mapping[str, str]) -> FocusColumn:
    cells = {version: record[version] for version in VERSIONS if record[version]}
    return FocusColumn(
        id=record["id"],
        dataset=dataset,
        kind=record["kind"],
        type=ValueType(record["type"]),
        format=Format(record["format"]) if record["format"] else None,
        not_negative=record["range"] == "not negative",
        allowed_values=tuple(record["allowed_values"].split("|")) if record["allowed_values"] else (),
        introduced=record["introduced"] or None,
        deprecated=record["deprecated"] or None,
        removed=record["removed"] or None,
        levels=MappingProxyType({version: Level(cell.rstrip("?")) for version, cell in cells.items()}),
        nulls_in=frozenset(version for version, cell in cells.items() if cell.endswith("?")),
        present_when=record["present_when"] or None,
        definition=record["definition"],
    )


def _own_column(dataset: str, record: Mapping[str, str]) -> FocusColumn:
    return FocusColumn(
        id=record["id"],
        dataset=dataset,
        kind="Dimension",
        type=ValueType(record["type"]),
        format=None,
        not_negative=False,
        allowed_values=(),
        introduced=None,
        deprecated=None,
        removed=None,
        levels=MappingProxyType(dict.fromkeys(VERSIONS, Level.CONDITIONAL)),
        nulls_in=frozenset(VERSIONS) if record["nulls"] == "yes" else frozenset(),
        present_when=None,
        definition=record["definition"],
    )
