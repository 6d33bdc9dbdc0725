"""What becomes of a row that credit pays for: a Credit row beside it, or parts of it that are no longer billed.

What belongs here: the columns of such rows. What does not: which grant pays how much (``credits``).

Amounts are in money, or in the custom currency that the row is priced in. What the row costs in the other of the two
is shared out alike, and the last part has the rest of it, so that parts add up to the row.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import polars as pl

from focus_assets.decimals import (
    COST,
    METERED_QUANTITY,
    PRICING_QUANTITY,
    UNIT_PRICE,
    convert,
    divide,
    multiply,
    share_of,
)
from focus_assets.decimals import round_half_away as rounded
from focus_assets.focus.invoice_lines import credit_line
from focus_assets.focus.schema import internal_schema
from focus_assets.focus.unpriced import PRICE_OF_SKU, WITHOUT_PRICE
from focus_assets.rating.lines import CREDIT_COMPONENT

_QUANTITY_PLACES: Final = (
    6  # and the twelve of a unit price make the eighteen of a cost: parts add up exactly
)
_TINY: Final = pl.lit(Decimal("1e-12"), COST)
_ALL: Final = pl.lit(1, UNIT_PRICE)
_COSTS: Final = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
_UNPRICED: Final = (*WITHOUT_PRICE, *PRICE_OF_SKU)


def credit_rows(lines: pl.LazyFrame, given: pl.DataFrame, *, custom: bool) -> pl.LazyFrame:
    """A Credit row for each line and grant, with the line's own dimensions and no price."""
    schema = internal_schema()
    money, priced = _amounts(custom=custom)
    changed: dict[str, Any] = {
        **dict.fromkeys(_COSTS, -money),
        **{name: pl.lit(None, schema[name]) for name in _UNPRICED},
        "PricingCurrencyEffectiveCost": -priced,
        "ChargeCategory": pl.lit("Credit"),
        "ChargeFrequency": pl.lit("One-Time"),
        "ChargeDescription": pl.lit("Credit ")
        + pl.col("_title")
        + pl.lit(": ")
        + pl.col("ChargeDescription"),
        "InvoiceDetailId": credit_line(pl.col("InvoiceDetailId")),
        "x_PriceComponent": pl.lit(CREDIT_COMPONENT),
        "x_CreditGrantId": pl.col("grant"),
    }
    return _with_shares(lines, given, custom=custom).with_columns(**changed)


def split_rows(lines: pl.LazyFrame, bought: pl.DataFrame, *, custom: bool) -> pl.LazyFrame:
    """Each line that bought credit pays: a part for each grant, billed 0, and what is left of it, billed as before."""
    parts = _with_shares(lines, bought, custom=custom).with_columns(
        _up_to("PricingQuantity", PRICING_QUANTITY).alias("_pricing"),
        _up_to("ConsumedQuantity", METERED_QUANTITY).alias("_consumed"),
    )
    money, priced = _amounts(custom=custom)
    effective = convert(pl.col("amount"), pl.col("_basis")) if custom else money
    covered = parts.with_columns(
        _own_part("_pricing").alias("PricingQuantity"),
        _own_part("_consumed").alias("ConsumedQuantity"),
        pl.lit(0, COST).alias("BilledCost"),
        effective.alias("EffectiveCost"),
        priced.alias("PricingCurrencyEffectiveCost"),
        pl.col("grant").alias("x_CreditGrantId"),
    )
    last = pl.col("rank") == pl.col("rank").max().over("_line")
    rest = parts.filter(last & (pl.col("_taken") != pl.col("_cost"))).with_columns(
        (pl.col("PricingQuantity") - pl.col("_pricing")).alias("PricingQuantity"),
        (pl.col("ConsumedQuantity") - pl.col("_consumed")).alias("ConsumedQuantity"),
        *(
            (pl.col(name) - pl.col(taken)).alias(name)
            for name, taken in (
                ("BilledCost", "_money"),
                ("EffectiveCost", "_money"),
                ("PricingCurrencyEffectiveCost", "_priced"),
            )
        ),
        pl.lit(None, pl.String).alias("x_CreditGrantId"),
        pl.lit(None, pl.Int32).alias("rank"),
    )
    quantity = pl.col("PricingQuantity")
    return (
        pl.concat([covered, rest])
        .with_columns(
            multiply(quantity, pl.col("ListUnitPrice")).alias("ListCost"),
            multiply(quantity, pl.col("ContractedUnitPrice")).alias("ContractedCost"),
        )
        .sort("_line", "rank", nulls_last=True)
    )


def _with_shares(lines: pl.LazyFrame, paid: pl.DataFrame, *, custom: bool) -> pl.LazyFrame:
    """Lines once for each grant that pays them, in order of line and rank, with what all grants so far take of them.

    Adds ``_cost`` and ``_taken`` in the grants' currency, ``_share`` of the line (UNIT_PRICE), ``_money`` and
    ``_priced``: what is taken of BilledCost and of PricingCurrencyEffectiveCost.
    """
    cost = pl.col("PricingCurrencyEffectiveCost" if custom else "BilledCost")
    same = pl.col("PricingCurrency") == pl.col("BillingCurrency")
    small = pl.col("_cost").abs() < _TINY
    divisor = pl.when(small).then(pl.lit(1, COST)).otherwise(pl.col("_cost"))
    share = rounded(divide(pl.col("_taken"), divisor), 12).cast(UNIT_PRICE)
    taken, all_of_it = pl.col("_taken"), pl.col("_share") == 1

    def part(name: str) -> pl.Expr:
        return pl.when(all_of_it).then(pl.col(name)).otherwise(share_of(pl.col(name), pl.col("_share")))

    money = part("BilledCost") if custom else taken
    priced = taken if custom else pl.when(same).then(taken).otherwise(part("PricingCurrencyEffectiveCost"))
    return (
        lines.join(paid.lazy().rename({"line": "_line"}), on="_line", maintain_order="right")
        .with_columns(
            cost.alias("_cost"), pl.col("amount").cum_sum().over("_line", order_by="rank").alias("_taken")
        )
        .with_columns(pl.when((taken == pl.col("_cost")) | small).then(_ALL).otherwise(share).alias("_share"))
        .with_columns(money.alias("_money"), priced.alias("_priced"))
    )


def _amounts(*, custom: bool) -> tuple[pl.Expr, pl.Expr]:
    """What one grant takes of a line: in money, and in the currency the line is priced in."""
    return (_own_part("_money") if custom else pl.col("amount")), (
        pl.col("amount") if custom else _own_part("_priced")
    )


def _up_to(name: str, dtype: pl.DataType) -> pl.Expr:
    """What of a quantity all grants so far pay for."""
    part = rounded(multiply(pl.col(name), pl.col("_share")), _QUANTITY_PLACES).cast(dtype)
    return pl.when(pl.col("_share") == 1).then(pl.col(name)).otherwise(part)


def _own_part(up_to: str) -> pl.Expr:
    return pl.col(up_to) - pl.col(up_to).shift(1).over("_line", order_by="rank").fill_null(0)
