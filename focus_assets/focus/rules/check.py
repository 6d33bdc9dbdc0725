"""Running rules over a frame of any size.

What belongs here: the passes over the data. What does not: rules, reading files, and what to do about
violations.

One streaming pass counts the violations of all row rules, the duplicates and the values of each key; only
violated rules cost a second pass, which fetches example rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from focus_assets.focus.rules.model import (
    AnyRule,
    NoDuplicatesRule,
    OneValueRule,
    Reads,
    RowRule,
    SchemaRule,
    fits,
)
from focus_assets.focus.rules.report import CheckReport, RuleResult

EXAMPLES: Final = 20
"""Example rows per violated rule, unless told otherwise."""

ROW_NUMBER: Final = "row"
"""Column of an example that holds the row's position in the frame, from 1."""

_FINDING_A_ROW: Final = (
    "x_ChargeId",
    "ChargePeriodStart",
    "BillingAccountId",
    "SkuPriceId",
    "ChargeDescription",
)
_ROWS: Final = "\0rows"
_DISTINCT: Final = "\0distinct"


def check(frame: pl.LazyFrame, rules: Iterable[AnyRule], *, examples: int = EXAMPLES) -> CheckReport:
    """Apply rules to a frame in the shape of one FOCUS version.

    Args:
        frame: rows as :func:`~focus_assets.focus.project.project` returns them, or anybody's with FOCUS's
            names; columns may be absent or of other types: rules that need them are reported as not run.
        rules: normally :func:`~focus_assets.focus.rules.rules_for` of that version.
        examples: how many rows to show for each violated rule, first rows first.

    Returns:
        One result per rule, in their order.
    """
    rules = tuple(rules)
    schema = frame.collect_schema()
    not_run = {rule.id: reason for rule in rules if (reason := _why_not(rule, schema))}
    run = [rule for rule in rules if rule.id not in not_run]
    row_rules = [rule for rule in run if isinstance(rule, RowRule)]
    value_rules = [rule for rule in run if isinstance(rule, OneValueRule)]
    counts, pairs = _count(
        frame, schema, row_rules, value_rules, any(isinstance(r, NoDuplicatesRule) for r in run)
    )
    for row_rule in row_rules:
        if row_rule.when_used and not any(counts.get(f"\0used {name}") for name in row_rule.when_used):
            not_run[row_rule.id] = f"{', '.join(row_rule.when_used)}: null throughout, so taken as absent"
    violated = [rule for rule in row_rules if counts[rule.id] and rule.id not in not_run]
    rows = _example_rows(frame, schema, violated, examples)
    results: list[RuleResult] = []
    for rule in rules:
        if rule.id in not_run:
            results.append(RuleResult(rule, not_run=not_run[rule.id]))
            continue
        match rule:
            case SchemaRule():
                found = tuple({"column": name} for name in rule.finds(schema))
                results.append(RuleResult(rule, len(found), found[:examples]))
            case RowRule():
                results.append(RuleResult(rule, counts[rule.id], rows.get(rule.id, ())))
            case OneValueRule():
                results.append(_keys_with_several_values(rule, pairs[rule.id], examples))
            case NoDuplicatesRule():
                surplus = counts[_ROWS] - counts.get(_DISTINCT, counts[_ROWS])
                shown = _duplicates(frame, schema, examples) if surplus else ()
                results.append(RuleResult(rule, surplus, shown))
    return CheckReport(rows=counts[_ROWS], results=tuple(results))


def _why_not(rule: AnyRule, schema: pl.Schema) -> str | None:
    needed: Mapping[str, Reads] = {}
    if isinstance(rule, RowRule):
        needed = rule.reads
    elif isinstance(rule, OneValueRule):
        needed = dict.fromkeys((rule.key, rule.value), Reads.ANY)
    if absent := [name for name in needed if name not in schema]:
        return f"{', '.join(absent)}: no such column"
    for name, reads in needed.items():
        if not fits(schema[name], name, reads):
            return f"{name} is stored as {schema[name]}; the rule reads {reads}"
    return None


def _count(
    frame: pl.LazyFrame,
    schema: pl.Schema,
    row_rules: Sequence[RowRule],
    value_rules: Sequence[OneValueRule],
    duplicates: bool,
) -> tuple[dict[str, int], dict[str, pl.DataFrame]]:
    used = {name for rule in row_rules for name in rule.when_used if name in schema}
    counting = frame.select(
        pl.len().alias(_ROWS),
        *(rule.violation.sum().alias(rule.id) for rule in row_rules),
        *(pl.col(name).is_not_null().any().alias(f"\0used {name}") for name in sorted(used)),
        *([_row_hash(schema).n_unique().alias(_DISTINCT)] if duplicates and len(schema) else []),
    )
    pairing = [frame.select(rule.key, rule.value).drop_nulls().unique() for rule in value_rules]
    counted, *pairs = pl.collect_all([counting, *pairing], engine="streaming")
    return counted.row(0, named=True), {rule.id: pair for rule, pair in zip(value_rules, pairs, strict=True)}


def _row_hash(schema: pl.Schema) -> pl.Expr:
    """64 bits of the whole row. Adding up the columns' hashes costs a quarter of hashing them as one struct."""
    return pl.sum_horizontal(pl.col(name).hash(seed=i) for i, name in enumerate(schema.names()))


def _example_rows(
    frame: pl.LazyFrame, schema: pl.Schema, violated: Sequence[RowRule], examples: int
) -> dict[str, tuple[dict[str, Any], ...]]:
    numbered = frame.with_row_index(ROW_NUMBER, offset=1)
    queries = []
    for rule in violated:
        shown = dict.fromkeys((*_FINDING_A_ROW, *rule.reads))
        names = [name for name in shown if name in schema]
        queries.append(numbered.filter(rule.violation).select(ROW_NUMBER, *names).head(examples))
    found = pl.collect_all(queries, engine="streaming") if queries else []
    return {rule.id: tuple(rows.to_dicts()) for rule, rows in zip(violated, found, strict=True)}


def _keys_with_several_values(rule: OneValueRule, pairs: pl.DataFrame, examples: int) -> RuleResult:
    several = (
        pairs.group_by(rule.key)
        .agg(pl.col(rule.value).sort())
        .filter(pl.col(rule.value).list.len() > 1)
        .sort(rule.key)
    )
    return RuleResult(rule, several.height, tuple(several.head(examples).to_dicts()))


def _duplicates(frame: pl.LazyFrame, schema: pl.Schema, examples: int) -> tuple[dict[str, Any], ...]:
    names = [name for name in _FINDING_A_ROW if name in schema]
    found = (
        frame.with_row_index(ROW_NUMBER, offset=1)
        .with_columns(_row_hash(schema).alias(_DISTINCT))
        .group_by(_DISTINCT)
        .agg(pl.col(ROW_NUMBER).min(), pl.len().alias("times"), *(pl.col(name).first() for name in names))
        .filter(pl.col("times") > 1)
        .sort(ROW_NUMBER)
        .drop(_DISTINCT)
        .head(examples)
    )
    return tuple(found.collect(engine="streaming").to_dicts())
