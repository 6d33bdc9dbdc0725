"""What a check found: per rule how often it was violated, with example rows.

What belongs here: the result and its words. What does not: HTML, JUnit and asset check metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from focus_assets.focus.rules.model import AnyRule


@dataclass(frozen=True)
class RuleResult:
    """One rule's outcome.

    ``violations`` counts rows for a row rule, columns for a schema rule, keys for a one-value rule and
    surplus rows for duplicates. ``not_run`` says why the rule was not applied; such a rule has no violations.
    """

    rule: AnyRule
    violations: int = 0
    examples: tuple[Mapping[str, Any], ...] = ()
    not_run: str | None = None

    @property
    def sentence(self) -> str:
        """The rule and how often it was violated, for people."""
        strength = "blocking" if self.rule.blocking else "warning"
        return f"{self.rule.id} ({strength}): {self.violations:,} violations. {self.rule.sentence}"


@dataclass(frozen=True)
class CheckReport:
    """All outcomes over one frame of ``rows`` rows, in the order of the rules."""

    rows: int
    results: tuple[RuleResult, ...]

    @property
    def violated(self) -> tuple[RuleResult, ...]:
        """Results of rules that were violated, blocking ones first."""
        found = [result for result in self.results if result.violations]
        return tuple(sorted(found, key=lambda result: not result.rule.blocking))

    @property
    def blocking(self) -> tuple[RuleResult, ...]:
        """Violated rules that would deliver wrong data."""
        return tuple(result for result in self.violated if result.rule.blocking)

    @property
    def warnings(self) -> tuple[RuleResult, ...]:
        """Violated rules that only fall short of a recommendation."""
        return tuple(result for result in self.violated if not result.rule.blocking)

    @property
    def clean(self) -> bool:
        """Whether no rule was violated, not even a recommendation."""
        return not self.violated

    def result(self, rule_id: str) -> RuleResult:
        """The outcome of one rule; ``KeyError`` if it was not among those checked."""
        return {result.rule.id: result for result in self.results}[rule_id]
