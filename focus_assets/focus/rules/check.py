"""Running rules over rows of any number.

What belongs here: the passes over the data. What does not: rules, reading files (``focus.files``), and what to do
about violations.

One pass counts the violations of all row rules and gathers what rules over several rows need; only what is
violated costs a second pass, which fetches example rows. Rows may come in parts, which bounds the memory: what
outlives a part is eight bytes a row (to find duplicates), the pairs of ids, and the totals of groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import polars as pl

from focus_assets.focus.columns import column
from focus_assets.focus.rules.model import (
    AnyRule,
    NoDuplicatesRule,
    OneValueRule,
    Reads,
    RowRule,
    SchemaRule,
    TotalsRule,
    fits,
)
from focus_assets.focus.rules.report import CheckReport, RuleResult
from focus_assets.focus.rules.tally import HIDDEN, Tally, row_hash

EXAMPLES: Final = 20
"""Example rows per violated rule, unless told otherwise."""

ROW_NUMBER: Final = "row"
"""Column of an example that holds the row's position among all rows, from 1."""

FINDING_A_ROW: Final = (
    "x_ChargeId",
    "ChargePeriodStart",
    "BillingAccountId",
    "SkuPriceId",
    "ChargeDescription",
)
"""Columns that an example shows beside those the rule reads."""

AS_WRITTEN: Final = f"{HIDDEN}text "
"""What the name of a hidden column begins with that holds a number or an instant as it was written."""

_HASH: Final = f"{HIDDEN}hash"
_FIRST_YEAR: Final = 1
_LAST_YEAR: Final = 9999


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
    return check_parts([frame], rules, examples=examples)


def check_parts(
    parts: Sequence[pl.LazyFrame],
    rules: Iterable[AnyRule],
    *,
    examples: int = EXAMPLES,
    stored: pl.Schema | None = None,
    counted: Callable[[int], None] = lambda rows: None,
) -> CheckReport:
    """Apply rules to rows that come in parts, as if the parts were one frame.

    Args:
        parts: at least one; all have the same columns. Columns whose name begins with a null character are
            nobody's: expressions may read them, but they are never shown and never counted as columns.
        rules: see :func:`check`.
        examples: see :func:`check`.
        stored: the types that rules about columns look at, where the parts were brought to other types.
        counted: called after each part with its number of rows.
    """
    rules = tuple(rules)
    schema = parts[0].collect_schema()
    declared = pl.Schema({n: t for n, t in (stored or schema).items() if not n.startswith(HIDDEN)})
    not_run = {rule.id: reason for rule in rules if (reason := _why_not(rule, schema))}
    run = [_for_types(rule, schema) for rule in rules if rule.id not in not_run]
    absent = {n for r in run if isinstance(r, RowRule) for n in r.optional if n not in schema}
    nulls = [pl.lit(None, column(name).dtype).alias(name) for name in sorted(absent)]
    parts = [part.with_columns(nulls) for part in parts]
    tally = Tally(run, schema)
    for part in parts:
        before = tally.rows
        tally.add(part)
        counted(tally.rows - before)
    row_rules = [rule for rule in run if isinstance(rule, RowRule)]
    for rule in row_rules:
        if rule.when_used and not tally.used.intersection(rule.when_used):
            not_run[rule.id] = f"{', '.join(rule.when_used)}: null throughout, so taken as absent"
    violated = [rule for rule in row_rules if tally.violations[rule.id] and rule.id not in not_run]
    rows = _example_rows(parts, schema, violated, examples)
    results: list[RuleResult] = []
    for asked, made in zip(rules, _in_order(rules, run), strict=True):
        if asked.id in not_run:
            results.append(RuleResult(asked, not_run=not_run[asked.id]))
            continue
        match made:
            case SchemaRule():
                found = tuple({"column": name} for name in made.finds(declared))
                results.append(RuleResult(asked, len(found), found[:examples]))
            case RowRule():
                results.append(RuleResult(asked, tally.violations[made.id], rows.get(made.id, ())))
            case OneValueRule():
                results.append(_keys_with_several_values(made, tally.pairs(made), examples))
            case TotalsRule():
                groups = tally.groups(made).filter(made.violation).sort(made.keys)
                shown = _as_rows(groups.select(pl.exclude(f"^{HIDDEN}.*$")).head(examples))
                results.append(RuleResult(asked, groups.height, tuple(shown)))
            case NoDuplicatesRule():
                surplus, first = _duplicates(parts, tally, schema, examples)
                results.append(RuleResult(asked, surplus, first))
    return CheckReport(rows=tally.rows, results=tuple(results))


def _in_order(rules: Sequence[AnyRule], run: Sequence[AnyRule]) -> list[AnyRule]:
    made = {rule.id: rule for rule in run}
    return [made.get(rule.id, rule) for rule in rules]


def _for_types(rule: AnyRule, schema: pl.Schema) -> AnyRule:
    if isinstance(rule, TotalsRule) and rule.finer_keys:
        return replace(rule, keys=(*rule.keys, *(name for name in rule.finer_keys if name in schema)))
    return rule.for_types(schema) if isinstance(rule, RowRule) and rule.for_types else rule


def _why_not(rule: AnyRule, schema: pl.Schema) -> str | None:
    needed: Mapping[str, Reads] = {}
    if isinstance(rule, RowRule | TotalsRule):
        needed = rule.reads
    elif isinstance(rule, OneValueRule):
        needed = dict.fromkeys((rule.key, rule.value), Reads.ANY)
    optional = rule.optional if isinstance(rule, RowRule) else frozenset[str]()
    if absent := [name for name in needed if name not in schema and name not in optional]:
        return f"{', '.join(absent)}: no such column"
    for name, reads in needed.items():
        if name in schema and not fits(schema[name], name, reads):
            return f"{name} is stored as {schema[name]}; the rule reads {reads}"
    return None


def _example_rows(
    parts: Sequence[pl.LazyFrame], schema: pl.Schema, violated: Sequence[RowRule], examples: int
) -> dict[str, tuple[dict[str, Any], ...]]:
    found: dict[str, list[dict[str, Any]]] = {rule.id: [] for rule in violated}
    first = 1
    for part in parts if examples else ():
        wanting = [rule for rule in violated if len(found[rule.id]) < examples]
        if not wanting:
            break
        numbered = part.with_row_index(ROW_NUMBER, offset=first)
        queries = [numbered.select(pl.len())] if len(parts) > 1 else []
        for rule in wanting:
            suspects = numbered if rule.screen is None else numbered.filter(rule.screen)
            queries.append(
                suspects.filter(rule.violation).select(ROW_NUMBER, *_shown(rule, schema)).head(examples)
            )
        collected = pl.collect_all(queries, engine="streaming")
        if len(parts) > 1:
            first += int(collected.pop(0).item())
        for rule, rows in zip(wanting, collected, strict=True):
            found[rule.id] += _as_rows(rows.head(examples - len(found[rule.id])))
    return {id_: tuple(rows) for id_, rows in found.items()}


def _as_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as Python has them. It has the years 1 to 9999 alone: a column with an instant outside them is text."""
    far = [
        name
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.Datetime | pl.Date)
        and not frame[name].dt.year().is_between(_FIRST_YEAR, _LAST_YEAR).all()
    ]
    return frame.with_columns(pl.col(far).dt.to_string("iso")).to_dicts()


def _shown(rule: RowRule, schema: pl.Schema) -> list[pl.Expr]:
    sources: dict[str, str] = {}
    for name in (*rule.reads, *FINDING_A_ROW):
        if name in schema:
            sources.setdefault(name.removeprefix(AS_WRITTEN), name)
    return [pl.col(source).alias(name) for name, source in sources.items()]


def _keys_with_several_values(rule: OneValueRule, pairs: pl.DataFrame, examples: int) -> RuleResult:
    several = (
        pairs.group_by(rule.key)
        .agg(pl.col(rule.value).sort())
        .filter(pl.col(rule.value).list.len() > 1)
        .sort(rule.key)
    )
    return RuleResult(rule, several.height, tuple(_as_rows(several.head(examples))))


def _duplicates(
    parts: Sequence[pl.LazyFrame], tally: Tally, schema: pl.Schema, examples: int
) -> tuple[int, tuple[dict[str, Any], ...]]:
    """How many rows are surplus, and the first of those that occur several times.

    Rows that differ in a few telling columns differ; only where some do not are all columns compared.
    """
    if not tally.some_look_equal:
        return 0, ()
    whole = row_hash(schema.names())
    hashes = pl.concat([part.select(whole.alias(_HASH)).collect(engine="streaming") for part in parts])
    times = (
        hashes.with_row_index(ROW_NUMBER, offset=1).group_by(_HASH).agg(pl.col(ROW_NUMBER).min(), pl.len())
    )
    several = times.filter(pl.col("len") > 1).sort(ROW_NUMBER)
    surplus = int((several["len"] - 1).sum())
    names = [name for name in FINDING_A_ROW if name in schema]
    shown: list[dict[str, Any]] = []
    first = several.head(examples).select(ROW_NUMBER, pl.col("len").alias("times"))
    offset = 1
    for part in parts if surplus else ():
        rows = part.with_row_index(ROW_NUMBER, offset=offset).select(
            pl.col(ROW_NUMBER).cast(first.schema[ROW_NUMBER]), *names
        )
        shown += _as_rows(first.lazy().join(rows, on=ROW_NUMBER).sort(ROW_NUMBER).collect(engine="streaming"))
        if len(shown) >= first.height:
            break
        offset += int(part.select(pl.len()).collect(engine="streaming").item())
    return surplus, tuple(shown)
