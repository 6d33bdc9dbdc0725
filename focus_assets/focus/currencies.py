"""National currencies by their ISO 4217 code.

What belongs here: the codes that BillingCurrency may have (FOCUS attribute Currency Format). What does not:
digits after the point and rounding (``decimals``).
"""

from __future__ import annotations

from typing import Final

from focus_assets.focus.columns import records

NATIONAL_CURRENCIES: Final[tuple[str, ...]] = tuple(record["code"] for record in records("currencies.csv"))
"""The codes, in alphabetical order."""
