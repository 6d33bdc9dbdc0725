"""The price list that SkuPriceId refers to: one row per price, as it was charged.

What belongs here: the dataset's shape, and gathering it from rows of Cost and Usage. What does not: ids (``sku``).
FOCUS wants every SkuPriceId to be found in a price list; 1.4 has no dataset for one, so this shape is our own.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.datasets import Column, Dataset
from focus_assets.decimals import UNIT_PRICE, UTC_INSTANT

PRICE_LIST: Final = Dataset(
    name="focus_price_list",
    grain="a price of a SKU in a currency, as long as it was charged unchanged",
    columns=(
        Column("SkuPriceId", pl.String, "What rows of Cost and Usage refer to"),
        Column("SkuId", pl.String, "The SKU that the price is for"),
        Column("SkuMeter", pl.String, "What is counted", nullable=True),
        Column("SkuPriceDetails", pl.String, "Price model and tier, as a flat JSON object", nullable=True),
        Column("PricingUnit", pl.String, "What the price is for one of"),
        Column("PricingCurrency", pl.String, "Currency of the price"),
        Column("ListUnitPrice", UNIT_PRICE, "Published price of one unit"),
        Column("ChargedFrom", UTC_INSTANT, "Earliest start of a charge at this price, inclusive"),
        Column("ChargedTo", UTC_INSTANT, "Latest end of a charge at this price, exclusive"),
    ),
    order=("SkuPriceId", "PricingCurrency", "ChargedFrom", "ListUnitPrice"),
)

_PRICE: Final = (
    "SkuPriceId",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "PricingUnit",
    "PricingCurrency",
    "ListUnitPrice",
)


def price_list(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The prices that rows of Cost and Usage refer to.

    Args:
        rows: the columns of the stored shape; rows without SkuPriceId or ListUnitPrice name no price.

    Returns:
        :data:`PRICE_LIST`, sorted by its order.
    """
    return (
        rows.drop_nulls(["SkuPriceId", "ListUnitPrice"])
        .group_by(_PRICE)
        .agg(
            pl.col("ChargePeriodStart").min().alias("ChargedFrom"),
            pl.col("ChargePeriodEnd").max().alias("ChargedTo"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in PRICE_LIST.schema.items())
        .sort(PRICE_LIST.order)
    )
