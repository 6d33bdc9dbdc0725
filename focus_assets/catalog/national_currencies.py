"""National currencies by their ISO 4217 code, without the models that use them: checking a file needs only these."""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import Final


def _codes() -> tuple[str, ...]:
    text = files("focus_assets.catalog").joinpath("currencies.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(record["code"] for record in csv.DictReader(lines))


NATIONAL_CURRENCIES: Final = _codes()
"""The codes, in alphabetical order."""
