"""Lines come out of a file as they stand in it, wherever its blocks begin and end."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from focus_assets.cloudevents import lines
from focus_assets.cloudevents.files import list_event_files
from focus_assets.cloudevents.lines import read_lines
from focus_assets.lake.store import open_store

_LINE = st.text(st.sampled_from('{}"a: \t\r\u00e9\U0001f600'), max_size=80)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks shorter than some lines, and less place before them than the rest of a line may need."""
    monkeypatch.setattr(lines, "BLOCK_BYTES", 32)
    monkeypatch.setattr(lines, "_LEAD", 8)
    monkeypatch.setattr(lines, "MAX_EVENT_BYTES", 150)


def _read(path: Path) -> list[tuple[int, str, bool]]:
    [file] = list_event_files(open_store(str(path.parent))).files
    # All before the first is looked at: the next block is read to the place of the one before.
    tables = list(read_lines(file))
    return [
        (row["line"], row["event"], row["defect"] is not None)
        for table in tables
        for row in table.to_pylist()
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(_LINE, max_size=12), st.booleans(), st.booleans(), st.booleans())
def test_every_line_keeps_its_text_and_number(
    small_blocks: None,
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    marked: bool,
    ended: bool,
    compressed: bool,
) -> None:
    content = "\n".join(texts).encode() + (b"\n" if ended else b"")
    path = tmp_path_factory.mktemp("events") / ("a.ndjson.gz" if compressed else "a.ndjson")
    whole = (b"\xef\xbb\xbf" if marked else b"") + content
    path.write_bytes(gzip.compress(whole) if compressed else whole)
    by_hand = []
    for number, text in enumerate(content.decode().split("\n"), 1):
        if len(text.encode()) > 150:
            by_hand.append((number, None, True))
        elif text.strip(" \t\r\n"):
            by_hand.append((number, text, False))
    found = [(number, None if defect else text, defect) for number, text, defect in _read(path)]
    assert found == by_hand
