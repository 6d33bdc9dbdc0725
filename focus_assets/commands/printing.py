"""Rows as text: for people, for spreadsheets, for programs.

Decimals are printed with all their digits and without trailing zeros, instants in UTC.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

Rows = Sequence[Sequence[Any]]


def as_form(form: str, columns: Sequence[str], rows: Rows) -> str:
    """Rows as ``table``, ``csv`` or ``json``."""
    return {"table": as_table, "csv": as_csv, "json": as_json}[form](columns, rows)


def as_table(columns: Sequence[str], rows: Rows) -> str:
    """Columns of equal width, numbers to the right; ends with the number of rows."""
    cells = [["" if value is None else str(plain(value)) for value in row] for row in rows]
    widths = [
        max([len(name), *(len(row[i]) for row in cells)], default=len(name)) for i, name in enumerate(columns)
    ]
    numeric = [
        any(_is_number(row[i]) for row in rows) and all(row[i] is None or _is_number(row[i]) for row in rows)
        for i in range(len(columns))
    ]
    lines = [_line(columns, widths, numeric), _line(["-" * width for width in widths], widths, numeric)]
    lines += [_line(row, widths, numeric) for row in cells]
    lines.append(f"({len(rows)} {'row' if len(rows) == 1 else 'rows'})")
    return "\n".join(lines) + "\n"


def as_csv(columns: Sequence[str], rows: Rows) -> str:
    """A header and one line per row; null is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([plain(value) for value in row] for row in rows)
    return out.getvalue()


def as_json(columns: Sequence[str], rows: Rows) -> str:
    """A list of objects; decimals are texts, because most readers of JSON make floats of numbers."""
    found = [dict(zip(columns, (plain(value) for value in row), strict=True)) for row in rows]
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def plain(value: Any) -> Any:
    """``value`` as JSON can say it: a decimal or instant as text, a list or mapping of such values."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return _digits(value)
        case dt.datetime():
            utc = value.astimezone(dt.UTC) if value.tzinfo else value
            return utc.isoformat().replace("+00:00", "Z")
        case dict():
            return {str(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
    return str(value)


def _digits(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _line(cells: Sequence[str], widths: list[int], right: list[bool]) -> str:
    padded = [
        cell.rjust(width) if to_the_right else cell.ljust(width)
        for cell, width, to_the_right in zip(cells, widths, right, strict=True)
    ]
    return "  ".join(padded).rstrip()
