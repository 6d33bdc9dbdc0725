"""What a row of Cost and Usage has not where there is no price: the columns that are null together.

What belongs here: those lists. What does not: which rows have no price (``paid_rows``, ``billing``).
"""

from __future__ import annotations

from typing import Final

WITHOUT_PRICE: Final = (
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
)

PRICE_OF_SKU: Final = ("SkuPriceDetails", "SkuPriceId")
"""Null where there is no price too: where SkuPriceId is set, FOCUS 1.4 wants unit prices."""

OF_ONE_BUYER: Final = ("SubAccountId", "SubAccountName", "SubAccountType", "Tags")
"""What a row has not that stands for several subjects."""
