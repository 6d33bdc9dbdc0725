"""What quantities that imported invoices froze come to: rated once, however many days and stages ask.

What belongs here: asking the kernel for lines and remembering its answers. What does not: which lines there are
(``bills``).

A line of a month is asked for on each of its days by each stage, and its invoice says the same every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import Any, Final

from focus_assets.rating.detailed_lines import Line, detailed_lines, line_tables

_MOST: Final = 20_000
"""Lines that are remembered: those of a month of as many customers, some 5 kB each."""

_known: Final[dict[Line, tuple[dict[str, Any], ...]]] = {}
_changing: Final = Lock()


def details_of(lines: Sequence[Line]) -> dict[str, list[dict[str, Any]]]:
    """By ``line_id``, the rows of DETAILED_LINES that each line comes to; nothing for one that comes to none.

    Raises LineNotRated, naming the line.
    """
    asked = {line.line_id: replace(line, line_id="") for line in lines}
    found = {name: _known[terms] for name, terms in asked.items() if terms in _known}
    new = [line for line in lines if line.line_id not in found]
    if new:
        tables = line_tables(new)
        rated: dict[str, list[dict[str, Any]]] = {line.line_id: [] for line in new}
        for row in detailed_lines(tables.lines, tables.tiers, tables.credits).collect().iter_rows(named=True):
            rated[row.pop("line_id")].append(row)
        found |= {name: tuple(rows) for name, rows in rated.items()}
        with _changing:
            for name in rated:
                _known[asked[name]] = found[name]
            while len(_known) > _MOST:
                _known.pop(next(iter(_known)))
    return {name: [dict(row) for row in found[name]] for name in sorted(found) if found[name]}
