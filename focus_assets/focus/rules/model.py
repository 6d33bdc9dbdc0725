"""What a rule is: an id, a sentence, the specification's section, and how to find what violates it.

What belongs here: the kinds of rules. What does not: the rules themselves (one module per subject beside this
one) and running them (``check``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import polars as pl

from focus_assets.focus.columns import COST_AND_USAGE, VERSIONS, column


class Reads(StrEnum):
    """What a rule needs a column to be stored as; on anything else it is not run, and says so."""

    ANY = "any type"
    TEXT = "text"
    NUMBER = "a number"
    INSTANT = "an instant with time zone UTC"
    REGISTERED = "the type in the column registry"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What every rule has.

    ``id`` is ``<subject>.<what>``; ``sentence`` states what must hold; ``section`` says where the
    specification asks for it. A ``blocking`` rule guards against wrong data; the others are what FOCUS
    recommends.
    """

    id: str
    sentence: str
    section: str
    versions: tuple[str, ...] = VERSIONS
    blocking: bool = True
    dataset: str = COST_AND_USAGE


@dataclass(frozen=True, kw_only=True)
class SchemaRule(Rule):
    """A rule about columns alone: ``finds`` takes the schema and returns the columns that violate it."""

    finds: Callable[[pl.Schema], Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class RowRule(Rule):
    """A rule about one row: ``violation`` is true on a row that violates it, and never null.

    ``reads`` names the columns the expression needs; without one of them the rule does not apply. Where
    ``when_used`` names columns, the rule applies only if one of them is not null on some row: a conditional
    column that is null throughout stands for one that is absent.

    A costly ``violation`` has a cheap ``screen``, never null and true wherever ``violation`` is: only such rows
    are looked at closely. ``for_types`` makes the rule for the types that its columns are stored in. A rule
    ``by_value`` reads one column with few different values, and each value is looked at once. Columns that are
    ``optional`` are null on every row where a file does not have them.
    """

    reads: Mapping[str, Reads] = field(hash=False)
    violation: pl.Expr = field(hash=False, compare=False)
    when_used: tuple[str, ...] = ()
    screen: pl.Expr | None = field(default=None, hash=False, compare=False)
    for_types: Callable[[pl.Schema], RowRule] | None = field(default=None, hash=False, compare=False)
    by_value: bool = False
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class OneValueRule(Rule):
    """A rule over rows: each ``key`` has one ``value``; rows where either is null do not count."""

    key: str
    value: str


@dataclass(frozen=True, kw_only=True)
class NoDuplicatesRule(Rule):
    """A rule over rows: no two rows are equal in all columns."""


@dataclass(frozen=True, kw_only=True)
class TotalsRule(Rule):
    """A rule over groups of rows: those equal in ``keys``, rows where one of them is null left out.

    ``totals`` are added up over a group, ``lowest`` and ``highest`` are the smallest and largest value in it;
    ``violation`` is true on a group that violates the rule, reads what the three name, and is never null.
    ``finer_keys`` are keys too where a file has them.
    """

    keys: tuple[str, ...]
    reads: Mapping[str, Reads] = field(hash=False)
    totals: Mapping[str, pl.Expr] = field(hash=False, compare=False)
    lowest: Mapping[str, pl.Expr] = field(default_factory=dict, hash=False, compare=False)
    highest: Mapping[str, pl.Expr] = field(default_factory=dict, hash=False, compare=False)
    violation: pl.Expr = field(hash=False, compare=False)
    finer_keys: tuple[str, ...] = ()


AnyRule = SchemaRule | RowRule | OneValueRule | NoDuplicatesRule | TotalsRule

CHARGE_COLUMNS: Final = {"ChargeCategory": Reads.TEXT, "ChargeClass": Reads.TEXT}
"""What :func:`usage_or_purchase` and :func:`correction` read."""


def fits(dtype: pl.DataType, name: str, reads: Reads) -> bool:
    """Whether a column stored as ``dtype`` can be read as the rule needs it."""
    match reads:
        case Reads.ANY:
            return True
        case Reads.TEXT:
            return isinstance(dtype, pl.String)
        case Reads.NUMBER:
            return dtype.is_numeric()
        case Reads.INSTANT:
            return isinstance(dtype, pl.Datetime) and dtype.time_zone == "UTC"
        case Reads.REGISTERED:
            return dtype == column(name).dtype


def one_of(name: str, *values: str) -> pl.Expr:
    """True where the column has one of the values; false on null."""
    return pl.col(name).is_in(values).fill_null(False)


def correction() -> pl.Expr:
    """True on rows that correct an invoiced billing period."""
    return one_of("ChargeClass", "Correction")


def usage_or_purchase() -> pl.Expr:
    """True on usage and purchases that are no correction: the rows that must have prices and SKUs."""
    return one_of("ChargeCategory", "Usage", "Purchase") & ~correction()


def since(first: str) -> tuple[str, ...]:
    """The versions from ``first`` on."""
    return VERSIONS[VERSIONS.index(first) :]


def until(last: str) -> tuple[str, ...]:
    """The versions up to ``last``."""
    return VERSIONS[: VERSIONS.index(last) + 1]


def both(names: str, versions: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``versions`` that have every one of the columns in ``names`` (divided by spaces)."""
    return tuple(v for v in versions if all(column(name).in_version(v) for name in names.split()))
