"""The committed page of rules is that of the rules."""

from __future__ import annotations

from pathlib import Path

from focus_assets.focus.columns import DATASETS
from focus_assets.focus.rule_book import rule_book
from focus_assets.focus.rules import all_rules

COMMITTED = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_committed_page_of_rules_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == rule_book(), (
        "docs/rules.md is out of date: python -m focus_assets.focus.rule_book > docs/rules.md"
    )


def test_every_rule_is_on_the_page_with_its_sentence() -> None:
    text = rule_book()
    for dataset in DATASETS:
        for rule in all_rules(dataset):
            assert f"| `{rule.id}` |" in text
            assert rule.sentence in text
