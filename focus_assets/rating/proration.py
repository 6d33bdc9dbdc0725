"""Proration: what a flat fee costs when its service period is cut short.

Source: OpenMeter ``billing/charges/flatfee/charge.go`` CalculateAmountAfterProration. Only lengths count.
"""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from focus_assets.catalog.periods import Period
from focus_assets.catalog.rate_card_terms import ProRatingConfig
from focus_assets.decimals import COST, PRICING_QUANTITY, UNIT_PRICE, divide, minor_unit, multiply_to

PRORATE_PRICES = "prorate_prices"


def share_of_period(service_from: str, service_to: str, full_from: str, full_to: str) -> pl.Expr:
    """The share of a full period that a service period has, of columns of instants on whole milliseconds.

    PRICING_QUANTITY: the quotient of the elapsed times, to 16 places, half away from zero. 1 where either period
    is empty or the service period is not the shorter one.
    """
    service = (pl.col(service_to) - pl.col(service_from)).dt.total_milliseconds()
    full = (pl.col(full_to) - pl.col(full_from)).dt.total_milliseconds()
    shorter = (service > 0) & (full > 0) & (service < full)
    one = pl.lit(1, PRICING_QUANTITY)
    divisor = pl.when(shorter).then(full).otherwise(1).cast(PRICING_QUANTITY)
    return pl.when(shorter).then(divide(service.cast(PRICING_QUANTITY), divisor)).otherwise(one)


def prorated_amount(
    amount: Decimal,
    currency: str | None,
    config: ProRatingConfig,
    *,
    service: Period,
    full: Period,
    custom_digits: int | None = None,
) -> Decimal:
    """``amount`` of the full period for the service period, rounded to the currency's smallest amount.

    Unchanged, and not rounded, where proration is off or the service period is not the shorter one; the currency
    is looked at only where a share is taken (raises UnknownCurrency).
    """
    row = pl.LazyFrame(
        {"a": [service.start], "b": [service.end], "c": [full.start], "d": [full.end], "amount": [amount]},
        schema_overrides={"amount": UNIT_PRICE},
    ).select("amount", share_of_period("a", "b", "c", "d").alias("share"))
    [[share]] = row.select("share").collect().rows()
    if not config.enabled or config.mode != PRORATE_PRICES or share == 1:
        return amount
    unit = pl.lit(minor_unit(currency, custom_digits), COST)
    part: Decimal = row.select(multiply_to(pl.col("share"), pl.col("amount"), unit)).collect().item()
    return part
