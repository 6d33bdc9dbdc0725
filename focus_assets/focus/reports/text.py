"""A check's outcome for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from focus_assets.focus.reports.found import Found, what_counts

_WIDEST: Final = 48


def as_text(found: Found) -> str:
    """What was checked, each violated rule with its first rows, and a verdict at the end."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Found) -> Iterator[str]:
    names = ", ".join(_printable(name) for name, _ in found.files[:3])
    more = f" and {len(found.files) - 3} more files" if len(found.files) > 3 else ""
    yield f"{names}{more}: {found.report.rows:,} rows, {found.columns} columns"
    how = "by its columns; another can be named with --focus-version" if found.detected else "as asked"
    yield f"FOCUS {found.version}, {found.dataset} ({how})"
    yield from (f"Note: {note}" for note in found.notes)
    for result in found.report.violated:
        yield ""
        yield f"{'violated' if result.rule.blocking else 'not followed'}  {result.rule.id}  {what_counts(result)}"
        yield f"  {result.rule.sentence}"
        yield f"  FOCUS {result.rule.section}"
        yield from _table(found.examples(result))
    yield ""
    yield f"{found.verdict} {found.held} rules hold, {len(found.not_run)} do not apply."


def _table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(names)]
    for line in (names, *cells):
        yield "    " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cell(value: Any) -> str:
    text = (
        "null"
        if value is None
        else repr(value)
        if isinstance(value, str) and not value.strip()
        else str(value)
    )
    text = _printable(text)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _printable(text: str) -> str:
    """The text with what a terminal would obey, or nobody would see, written out: files come from anybody."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
