"""What prices can be in: national currencies by their ISO 4217 code, or custom ones.

What belongs here: the codes that prices may be in, which are those that BillingCurrency may have (FOCUS attribute
Currency Format). What does not: digits after the point and rounding (``decimals``).
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from focus_assets.catalog.national_currencies import NATIONAL_CURRENCIES

_KNOWN: Final = frozenset(NATIONAL_CURRENCIES)


def _known(code: str) -> str:
    if code not in _KNOWN:
        raise ValueError("is no ISO 4217 code of a currency in use; write one such as USD")
    return code


CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$"), AfterValidator(_known)]
"""The ISO 4217 code of a currency in use."""

CUSTOM_CODE: Final = r"^[A-Z][A-Z0-9_]{3,23}$"
"""How the code of a custom currency is written: four characters or more, unlike those of ISO 4217."""


def _known_or_custom(code: str) -> str:
    return _known(code) if len(code) == 3 else code


PriceCurrencyCode = Annotated[
    str, Field(pattern=rf"^[A-Z]{{3}}$|{CUSTOM_CODE}"), AfterValidator(_known_or_custom)
]
"""What a price can be in: the ISO 4217 code of a currency in use, or the code of a custom currency."""
