"""What one unit of a row is called.

What belongs here: PricingUnit and ConsumedUnit. What does not: converting quantities.
Source: FOCUS attribute Unit Format (count nouns in the plural and capitalised, data sizes abbreviated).
"""

from __future__ import annotations

from typing import Final

FEE_UNIT: Final = "Fees"
"""PricingUnit of a fee, of which a row holds one; usage is priced and consumed in the meter's own unit."""

MONEY_UNIT: Final = "Currency Units"
"""PricingUnit of an amount of money that is owed as such: the top-up to a minimum spend."""
