"""What a flat fee costs: its amount, the share of its period that is paid for, and a percentage off.

A fee is one row and one detailed line of an invoice, so what is paid is rounded in place: the prorated amount to
the currency, then the discount, as OpenMeter rounds its lines. List and contracted cost stay exact products.
Source: OpenMeter ``billing/rating/service/rate/flat.go``; proration: ``rating.proration``.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from focus_assets.catalog.fees import Fee
from focus_assets.decimals import (
    COST,
    METERED_QUANTITY,
    PRICING_QUANTITY,
    UNIT_PRICE,
    UTC_INSTANT,
    minor_unit,
    multiply_to,
    round_to,
    share_of,
)
from focus_assets.rating.charge_limits import fits_a_unit_price
from focus_assets.rating.costs import with_costs
from focus_assets.rating.lines import FLAT_FEE_COMPONENT, LINE_KEY, NO_DIMENSIONS, RATED_LINES
from focus_assets.rating.proration import share_of_period

_TERMS = pl.Schema(
    {
        "charge_id": pl.String(),
        "slice_from": UTC_INSTANT,
        "slice_to": UTC_INSTANT,
        "full_from": UTC_INSTANT,
        "full_to": UTC_INSTANT,
        "prorates": pl.Boolean(),
        "amount": UNIT_PRICE,
        "list_unit_price": UNIT_PRICE,
        "contracted_unit_price": UNIT_PRICE,
        "off": UNIT_PRICE,
        "minor_unit": COST,
    }
)


def fee_lines(fees: Sequence[Fee]) -> pl.LazyFrame:
    """:data:`~focus_assets.rating.lines.RATED_LINES` of ``fees``, one each, in the order of their key.

    ``slice_from`` and ``slice_to`` are the service period; ``pricing_quantity`` is the share of the full period
    that is paid for, 1 unless it is cut short and prorated. Unit prices are those of a full period.
    """
    share = pl.when("prorates").then(share_of_period("slice_from", "slice_to", "full_from", "full_to"))
    gross = multiply_to(pl.col("pricing_quantity"), pl.col("amount"), pl.col("minor_unit"))
    lines = (
        pl.LazyFrame([_terms(fee) for fee in fees], schema=_TERMS)
        .with_columns(
            share.otherwise(pl.lit(1, PRICING_QUANTITY)).alias("pricing_quantity"),
            pl.lit(FLAT_FEE_COMPONENT).alias("component"),
            pl.lit(None, pl.Int32).alias("tier"),
            pl.lit(None, pl.String).alias("subject"),
            pl.lit(NO_DIMENSIONS).alias("dimensions"),
            pl.lit(None, METERED_QUANTITY).alias("consumed_quantity"),
        )
        .with_columns(gross.alias("_gross"))
    )
    discount = round_to(share_of(pl.col("_gross"), pl.col("off")), pl.col("minor_unit"))
    return (
        with_costs(lines)
        .with_columns((pl.col("_gross") - discount).alias("billed_cost"))
        .with_columns(pl.col("billed_cost").alias("effective_cost"))
        .select(pl.col(name).cast(dtype) for name, dtype in RATED_LINES.items())
        .sort(LINE_KEY)
    )


def _terms(fee: Fee) -> dict[str, Any]:
    off = (fee.rate_card.discounts.percentage or Decimal(0)) / 100
    left = 1 - off
    # A percentage of the customer's own lowers the contracted price; what the plan takes off does not.
    negotiated = fee.rate_card.discounts.percentage != fee.list_discounts.percentage
    lowers = negotiated and fits_a_unit_price(fee.price.amount, left)
    return {
        "charge_id": fee.charge_id,
        "slice_from": fee.service.start,
        "slice_to": fee.service.end,
        "full_from": fee.full.start,
        "full_to": fee.full.end,
        "prorates": fee.prorates,
        "amount": fee.price.amount,
        "list_unit_price": fee.list_price.amount,
        "contracted_unit_price": fee.price.amount * left if lowers else fee.price.amount,
        "off": off,
        "minor_unit": minor_unit(fee.currency)
        if fee.priced_in is None
        else minor_unit(fee.priced_in.currency.code, fee.priced_in.currency.precision),
    }
