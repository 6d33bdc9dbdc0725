"""National currencies by their ISO 4217 code.

What belongs here: the codes that prices may be in, which are those that BillingCurrency may have (FOCUS attribute
Currency Format). What does not: digits after the point and rounding (``decimals``).
"""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import Annotated, Final

from pydantic import AfterValidator, Field


def _codes() -> tuple[str, ...]:
    text = files("focus_assets.catalog").joinpath("currencies.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(record["code"] for record in csv.DictReader(lines))


NATIONAL_CURRENCIES: Final = _codes()
"""The codes, in alphabetical order."""

_KNOWN: Final = frozenset(NATIONAL_CURRENCIES)


def _known(code: str) -> str:
    if code not in _KNOWN:
        raise ValueError("is no ISO 4217 code of a currency in use; write one such as USD")
    return code


CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$"), AfterValidator(_known)]
"""The ISO 4217 code of a currency in use."""
