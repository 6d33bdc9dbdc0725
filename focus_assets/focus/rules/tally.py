"""What a pass over the rows adds up: violations, pairs of ids, totals of groups, and hashes of rows.

What belongs here: what is gathered from a part and how two parts' findings become one. What does not: rules and
the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

import polars as pl

from focus_assets.focus.rules.model import AnyRule, NoDuplicatesRule, OneValueRule, RowRule, TotalsRule

HIDDEN: Final = "\0"
"""What the names of columns begin with that only expressions read."""

_ROWS: Final = "\0rows"
_TIMES: Final = "\0times"
_LOOKS: Final = "\0looks"

_TELLING: Final = (
    "x_ChargeId",
    "BillingAccountId",
    "SubAccountId",
    "ResourceId",
    "SkuPriceId",
    "ChargePeriodStart",
    "ChargeDescription",
    "ConsumedQuantity",
    "BilledCost",
    "Tags",
)
"""Columns of which one at least differs between most rows; equal rows are equal in them too."""


def row_hash(names: Iterable[str]) -> pl.Expr:
    """64 bits of some columns. Adding up the columns' hashes costs a quarter of hashing them as one struct."""
    hashed = [name for name in names if not name.startswith(HIDDEN)]
    return pl.sum_horizontal(pl.col(name).hash(seed=i) for i, name in enumerate(hashed))


class Tally:
    """Findings over the parts added so far."""

    def __init__(self, rules: Sequence[AnyRule], schema: pl.Schema) -> None:
        row_rules = [rule for rule in rules if isinstance(rule, RowRule)]
        self.rows = 0
        self.violations = {rule.id: 0 for rule in row_rules}
        self.used: set[str] = set()
        """Columns that some ``when_used`` names and that are not null on some row."""
        self._plain = [rule for rule in row_rules if rule.screen is None and not rule.by_value]
        self._screened = [rule for rule in row_rules if rule.screen is not None]
        self._by_value: dict[str, list[RowRule]] = {}
        for rule in row_rules:
            if rule.by_value:
                self._by_value.setdefault(next(iter(rule.reads)), []).append(rule)
        self._watched = sorted({name for rule in row_rules for name in rule.when_used if name in schema})
        self._one_value = [rule for rule in rules if isinstance(rule, OneValueRule)]
        self._totals: dict[tuple[str, ...], list[TotalsRule]] = {}
        for totals in rules:
            if isinstance(totals, TotalsRule):
                self._totals.setdefault(totals.keys, []).append(totals)
        self._gathered: dict[str, pl.DataFrame] = {}
        self._looks: list[pl.Series] = []
        duplicates = any(isinstance(rule, NoDuplicatesRule) for rule in rules)
        telling = [name for name in _TELLING if name in schema] or schema.names()
        self._look = row_hash(telling) if duplicates and len(schema) else None

    def add(self, part: pl.LazyFrame) -> None:
        """Add the findings of one part."""
        counting = part.select(
            pl.len().alias(_ROWS),
            *(rule.violation.sum().alias(rule.id) for rule in self._plain),
            *(rule.screen.sum().alias(rule.id) for rule in self._screened if rule.screen is not None),
            *(pl.col(name).is_not_null().any().alias(f"{HIDDEN}used {name}") for name in self._watched),
        )
        queries = [
            counting,
            *(part.select(rule.key, rule.value).drop_nulls().unique() for rule in self._one_value),
            *(_groups(keys, alike, part) for keys, alike in self._totals.items()),
            *(part.group_by(name).agg(pl.len().alias(_TIMES)) for name in self._by_value),
            *([] if self._look is None else [part.select(self._look.alias(_LOOKS))]),
        ]
        counted, *others = pl.collect_all(queries, engine="streaming")
        counts = counted.row(0, named=True)
        self.rows += counts[_ROWS]
        self.used.update(name for name in self._watched if counts[f"{HIDDEN}used {name}"])
        for rule in self._plain:
            self.violations[rule.id] += counts[rule.id] or 0
        self._look_closely(part, [rule for rule in self._screened if counts[rule.id]])
        found = iter(others)
        for one_value in self._one_value:
            self._gather(one_value.id, next(found), lambda frames: pl.concat(frames).unique())
        for keys, alike in self._totals.items():
            self._gather(" ".join(keys), next(found), partial(_regroup, keys, alike))
        for rules in self._by_value.values():
            values = next(found)
            seen = values.select((rule.violation * pl.col(_TIMES)).sum().alias(rule.id) for rule in rules)
            for rule in rules:
                self.violations[rule.id] += seen[rule.id].item() or 0
        if self._look is not None:
            self._looks.append(next(found).to_series())

    def pairs(self, rule: OneValueRule) -> pl.DataFrame:
        """The different pairs of key and value."""
        return self._gathered[rule.id]

    def groups(self, rule: TotalsRule) -> pl.DataFrame:
        """The groups with their totals."""
        gathered = self._gathered[" ".join(rule.keys)]
        names = (*rule.totals, *rule.lowest, *rule.highest)
        return gathered.select(*rule.keys, *(pl.col(f"{rule.id} {name}").alias(name) for name in names))

    @property
    def some_look_equal(self) -> bool:
        """Whether two rows are equal in the columns that tell most rows apart."""
        return self._look is not None and pl.concat(self._looks).n_unique() < self.rows

    def _look_closely(self, part: pl.LazyFrame, suspicious: Sequence[RowRule]) -> None:
        if not suspicious:
            return
        queries = [
            part.filter(rule.screen).select(rule.violation.sum())
            for rule in suspicious
            if rule.screen is not None
        ]
        for rule, found in zip(suspicious, pl.collect_all(queries, engine="streaming"), strict=True):
            self.violations[rule.id] += found.item() or 0

    def _gather(
        self, name: str, found: pl.DataFrame, joined: Callable[[list[pl.DataFrame]], pl.DataFrame]
    ) -> None:
        known = self._gathered.get(name)
        self._gathered[name] = found if known is None else joined([known, found])


def _groups(keys: tuple[str, ...], rules: Sequence[TotalsRule], part: pl.LazyFrame) -> pl.LazyFrame:
    return (
        part.drop_nulls(list(keys))
        .group_by(keys)
        .agg(
            *(expr.sum().alias(f"{rule.id} {n}") for rule in rules for n, expr in rule.totals.items()),
            *(expr.min().alias(f"{rule.id} {n}") for rule in rules for n, expr in rule.lowest.items()),
            *(expr.max().alias(f"{rule.id} {n}") for rule in rules for n, expr in rule.highest.items()),
        )
    )


def _regroup(keys: tuple[str, ...], rules: Sequence[TotalsRule], groups: list[pl.DataFrame]) -> pl.DataFrame:
    return (
        pl.concat(groups)
        .group_by(keys)
        .agg(
            *(pl.col(f"{rule.id} {name}").sum() for rule in rules for name in rule.totals),
            *(pl.col(f"{rule.id} {name}").min() for rule in rules for name in rule.lowest),
            *(pl.col(f"{rule.id} {name}").max() for rule in rules for name in rule.highest),
        )
    )
