"""The committed data dictionary is the registry's."""

from __future__ import annotations

from pathlib import Path

from focus_assets.focus.columns import columns, own_columns
from focus_assets.focus.dictionary import dictionary

COMMITTED = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def test_the_committed_data_dictionary_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == dictionary(), (
        "docs/data-dictionary.md is out of date: "
        "python -m focus_assets.focus.dictionary > docs/data-dictionary.md"
    )


def test_the_dictionary_defines_every_column_and_names_the_specification() -> None:
    text = dictionary()
    for entry in (*columns(), *own_columns()):
        assert entry.definition in text
    assert "CC-BY-4.0" in text
    assert "FinOps Foundation" in text
