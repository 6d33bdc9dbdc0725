"""A check's outcome as one JSON object; decimals are texts, because most readers of JSON make floats of numbers."""

from __future__ import annotations

import json
from typing import Any

from focus_assets.focus.reports.found import Found
from focus_assets.focus.rules import RuleResult


def as_json(found: Found) -> str:
    """All rules with their outcome: ``holds``, ``violated``, ``not followed`` or ``not run``."""
    said: dict[str, Any] = {
        "verdict": found.verdict,
        "files": [{"name": name, "rows": rows} for name, rows in found.files],
        "rows": found.report.rows,
        "columns": found.columns,
        "dataset": found.dataset,
        "focus_version": found.version,
        "version_detected": found.detected,
        "notes": list(found.notes),
        "violated": len(found.report.blocking),
        "not_followed": len(found.report.warnings),
        "rules": [_rule(found, result) for result in found.report.results],
    }
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def _rule(found: Found, result: RuleResult) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": result.rule.id,
        "outcome": outcome(result),
        "violations": result.violations,
        "sentence": result.rule.sentence,
        "section": result.rule.section,
    }
    if result.not_run is not None:
        rule["reason"] = result.not_run
    if result.violations:
        rule["examples"] = found.examples(result)
    return rule


def outcome(result: RuleResult) -> str:
    """One word or two for what became of a rule."""
    if result.not_run is not None:
        return "not run"
    if not result.violations:
        return "holds"
    return "violated" if result.rule.blocking else "not followed"
