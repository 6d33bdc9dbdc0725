from __future__ import annotations

from pathlib import Path

from focus_assets.settings.file import FocusFile
from focus_assets.settings.reference import page

COMMITTED = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_committed_page_is_what_the_models_say() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == page(), (
        "run: python -m focus_assets.settings.reference > docs/configuration.md"
    )


def test_every_key_of_the_file_stands_on_the_page_with_a_meaning() -> None:
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| `")]
    named = {row[0].strip("| `") for row in rows}
    assert set(FocusFile.model_fields) <= named
    assert [row[0] for row in rows if not row[-1].strip(" |")] == []
