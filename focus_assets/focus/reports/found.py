"""A check's outcome with what it was made of: files, version, and how they were read.

What belongs here: facts that every format shows, and their words. What does not: layout.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any

from focus_assets.focus.rules import ROW_NUMBER, CheckReport, RuleResult


@dataclass(frozen=True)
class Found:
    """What was checked and what came of it; ``detected`` says that nobody named the version."""

    report: CheckReport
    files: Sequence[tuple[str, int]]
    dataset: str
    version: str
    detected: bool
    columns: int
    notes: Sequence[str]

    @property
    def verdict(self) -> str:
        """One sentence: how many rules are violated."""
        blocking, warnings = len(self.report.blocking), len(self.report.warnings)
        advice = f"{_count(warnings, 'recommendation')} not followed"
        if not blocking:
            followed = "every rule holds" if not warnings else f"no rule is violated, {advice}"
            return f"{followed[0].upper()}{followed[1:]}."
        return f"{_count(blocking, 'rule')} violated" + (f", {advice}." if warnings else ".")

    @property
    def held(self) -> int:
        """How many rules were applied and hold."""
        return sum(1 for result in self.report.results if not result.violations and result.not_run is None)

    @property
    def not_run(self) -> list[RuleResult]:
        """Rules that did not apply, with the reason in each."""
        return [result for result in self.report.results if result.not_run is not None]

    def examples(self, result: RuleResult) -> list[dict[str, Any]]:
        """A result's examples as plain values; of several files, each row says which file it is in."""
        shown = []
        for example in result.examples:
            row = {name: plain(value) for name, value in example.items()}
            if len(self.files) > 1 and ROW_NUMBER in row:
                row = {**self._place(row.pop(ROW_NUMBER)), **row}
            shown.append(row)
        return shown

    def _place(self, row: int) -> Mapping[str, Any]:
        for name, rows in self.files:
            if row <= rows:
                return {"file": name, ROW_NUMBER: row}
            row -= rows
        return {ROW_NUMBER: row}


def what_counts(result: RuleResult) -> str:
    """How often a rule is violated, with the thing that is counted."""
    thing = {"SchemaRule": "column", "OneValueRule": "id", "TotalsRule": "group"}.get(
        type(result.rule).__name__, "row"
    )
    return _count(result.violations, thing)


def plain(value: Any) -> Any:
    """A value as JSON can say it: decimals without trailing zeros, instants, and floats that are none, as text."""
    match value:
        case float() if not isfinite(value):
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            text = format(value, "f")
            return text.rstrip("0").rstrip(".") if "." in text else text
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        case list() | tuple():
            return [plain(inner) for inner in value]
        case dict():
            return {str(key): plain(inner) for key, inner in value.items()}
    return str(value)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
