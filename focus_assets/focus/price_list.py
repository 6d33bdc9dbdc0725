"""The price list that SkuPriceId refers to: one row per price, as it was charged.

What belongs here: the dataset's shape, and gathering it from rows of Cost and Usage. What does not: ids (``sku``).
FOCUS wants every SkuPriceId to be found in a price list; 1.4 has no dataset for one, so this shape is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from focus_assets.catalog.credit_charges import Charged, CreditCharge
from focus_assets.datasets import Column, Dataset
from focus_assets.decimals import METERED_QUANTITY, UNIT_PRICE, UTC_INSTANT

PRICE_LIST: Final = Dataset(
    name="focus_price_list",
    grain="a price of a SKU in a currency, published and agreed, that something was charged at that day",
    columns=(
        Column("SkuPriceId", pl.String, "What rows of Cost and Usage refer to"),
        Column("SkuId", pl.String, "The SKU that the price is for"),
        Column("SkuMeter", pl.String, "What is counted", nullable=True),
        Column("SkuPriceDetails", pl.String, "Price model and tier, as a flat JSON object", nullable=True),
        Column("PriceModel", pl.String, "The price model alone, such as unit or graduated", nullable=True),
        Column("Tier", pl.String, "Number of the tier, or free; null where there is one part", nullable=True),
        Column("TierFrom", METERED_QUANTITY, "Quantity above which the tier prices", nullable=True),
        Column("PricingUnit", pl.String, "What the price is for one of"),
        Column("PricingCurrency", pl.String, "Currency of the price"),
        Column("ListUnitPrice", UNIT_PRICE, "Published price of one unit"),
        Column("ContractedUnitPrice", UNIT_PRICE, "Price of one unit as it was agreed with whoever paid it"),
        Column(
            "ValidFrom", UTC_INSTANT, "Since when the agreed price is in force; null: always", nullable=True
        ),
        Column("ValidTo", UTC_INSTANT, "Until when, exclusive, if that was known that day", nullable=True),
        Column("ChargedFrom", UTC_INSTANT, "Earliest start of a charge at this price, inclusive"),
        Column("ChargedTo", UTC_INSTANT, "Latest end of a charge at this price, exclusive"),
    ),
    order=("SkuPriceId", "PricingCurrency", "ListUnitPrice", "ContractedUnitPrice", "ValidFrom", "ValidTo"),
)

_DETAILS: Final = ("SkuPriceDetails", "SkuMeter", "PricingUnit")
_PRICE: Final = ("SkuPriceId", "SkuId", "PricingCurrency", "ListUnitPrice", "ContractedUnitPrice")
_VALIDITY: Final = pl.Schema({"x_ChargeId": pl.String(), "ValidFrom": UTC_INSTANT, "ValidTo": UTC_INSTANT})


def price_list(
    rows: pl.LazyFrame, charged: Sequence[Charged] = (), *, apart: Sequence[str] = ()
) -> pl.LazyFrame:
    """The prices that rows of Cost and Usage refer to.

    Args:
        rows: the columns of the stored shape; rows without SkuPriceId or unit prices name no price.
        charged: what the rows are for; says how long each charge's price is in force.
        apart: columns of the rows by whose values prices are listed apart; they follow those of the list.

    Returns:
        :data:`PRICE_LIST`, sorted by its order.
    """
    detail = pl.col("SkuPriceDetails")
    key = (*_PRICE, *_DETAILS, "ValidFrom", "ValidTo", *apart)
    return (
        _as_priced(rows)
        .drop_nulls(["SkuPriceId", "ListUnitPrice", "ContractedUnitPrice"])
        .group_by(*_PRICE, *_DETAILS, "x_ChargeId", *apart)
        .agg(
            pl.col("ChargePeriodStart").min().alias("ChargedFrom"),
            pl.col("ChargePeriodEnd").max().alias("ChargedTo"),
        )
        .join(_validity(charged), on="x_ChargeId", how="left")
        .group_by(key)
        .agg(pl.col("ChargedFrom").min(), pl.col("ChargedTo").max())
        .with_columns(
            detail.str.json_path_match("$.x_PriceModel").alias("PriceModel"),
            detail.str.json_path_match("$.x_Tier").alias("Tier"),
            detail.str.json_path_match("$.x_TierFrom").cast(METERED_QUANTITY).alias("TierFrom"),
        )
        .select(*(pl.col(name).cast(dtype) for name, dtype in PRICE_LIST.schema.items()), *apart)
        .sort(*PRICE_LIST.order, *_DETAILS, "SkuId", *apart)
    )


def prices_not_listed(rows: pl.LazyFrame, listed: pl.LazyFrame, before: pl.LazyFrame) -> pl.DataFrame:
    """Prices that rows of Cost and Usage name and the price list lacks, with how many rows do; none when all is well.

    ``listed`` is the price list of the rows' own day. A row without unit prices (a rounding difference, say) needs
    its SkuPriceId alone, which may also be listed ``before``: on an earlier day of what the row is for.
    """
    named = _as_priced(rows).filter(pl.col("SkuPriceId").is_not_null())
    found = named.group_by(_PRICE).agg(pl.len().alias("rows"))
    known = pl.concat([frame.select("SkuPriceId", "SkuId") for frame in (listed, before)])
    has_price = pl.col("ListUnitPrice").is_not_null()
    missing = [
        found.filter(has_price).join(listed, on=_PRICE, how="anti"),
        found.filter(~has_price).join(known, on=["SkuPriceId", "SkuId"], how="anti"),
    ]
    return pl.concat(missing).sort(_PRICE).collect()


def _as_priced(rows: pl.LazyFrame) -> pl.LazyFrame:
    """A price list is in the currency of the prices, whatever they are converted to on an invoice."""
    converted = pl.col("PricingCurrency") != pl.col("BillingCurrency")
    return rows.with_columns(
        pl.when(converted).then(pl.col(f"PricingCurrency{name}")).otherwise(pl.col(name)).alias(name)
        for name in ("ListUnitPrice", "ContractedUnitPrice")
    )


def _validity(charged: Sequence[Charged]) -> pl.LazyFrame:
    cards = {each.charge_id: each.rate_card for each in charged if not isinstance(each, CreditCharge)}
    rows = [(charge_id, card.valid_from, card.valid_to) for charge_id, card in sorted(cards.items())]
    return pl.LazyFrame(rows, schema=_VALIDITY, orient="row")
