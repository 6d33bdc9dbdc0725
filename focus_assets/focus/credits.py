"""Rows that credits pay for: what is given is a Credit row beside them, what was bought is billed with the grant.

What belongs here: FOCUS rows of a day in, FOCUS rows with credits out. What does not: how much each grant pays
(``rating.credits``) and rows of buying credit (``credit_terms``). ``docs/mapping.md`` gives each row its rule.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import polars as pl

from focus_assets.catalog.credits import CreditGrant, in_order_of_use
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import COST, METERED_QUANTITY, PRICING_QUANTITY, UNIT_PRICE, divide, multiply
from focus_assets.decimals import round_half_away as rounded
from focus_assets.focus.cost_and_usage import build_credit
from focus_assets.focus.credit_terms import expiry_lines, purchase_lines
from focus_assets.focus.invoice_lines import credit_line
from focus_assets.focus.schema import internal_schema
from focus_assets.rating.credits import BILLED, GRANTS, PAYABLE, USED, draw_down
from focus_assets.rating.lines import CREDIT_COMPONENT

_TITLES: Final = pl.Schema({"grant": pl.String(), "_title": pl.String(), "_bought": pl.Boolean()})
_QUANTITY_PLACES: Final = (
    6  # and the twelve of a unit price make the eighteen of a cost: parts add up exactly
)
_NO_COST: Final = pl.lit(0, COST)
_TINY: Final = pl.lit(Decimal("1e-12"), COST)


@dataclass(frozen=True)
class Spent:
    """What earlier days say: by grant id and charge what was paid, and by charge what was billed."""

    used: Mapping[str, Mapping[str, Decimal]]
    billed: Mapping[str, Decimal]

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """:data:`USED` and :data:`BILLED`."""
        used = [
            (grant, charge, v) for grant, of in sorted(self.used.items()) for charge, v in sorted(of.items())
        ]
        return (
            pl.DataFrame(used, schema=USED, orient="row"),
            pl.DataFrame(sorted(self.billed.items()), schema=BILLED, orient="row"),
        )


def with_credits(
    rows: pl.LazyFrame, grants: Sequence[CreditGrant], spent: Spent, catalog: Catalog, day: dt.date
) -> pl.LazyFrame:
    """``rows`` of ``day`` (the stored shape) after ``grants``, all that can be used that day, paid for them.

    Only what grants need of their customers' rows is computed here, and all rows once more when the result is. The
    rows come in their order, those that bought credit pays behind the others, then credits, then the grants' own.
    """
    lines = rows.with_row_index("_line")
    ranked = _ranked(grants, catalog)
    paid = draw_down(_payable(lines, grants), ranked, *spent.frames())
    about = [(grant.grant_id, grant.title, grant.is_bought) for grant in grants]
    found = paid.join(pl.DataFrame(about, schema=_TITLES, orient="row"), on="grant", maintain_order="left")
    bought = found.filter("_bought")
    untouched = lines.join(bought.lazy().select("line"), left_on="_line", right_on="line", how="anti")
    columns = internal_schema()
    parts = [untouched.select(columns.names())]
    if bought.height:
        parts.append(_split(lines, bought).select(columns.names()))
    if found.height > bought.height:
        parts.append(_credits(lines, found.filter(~pl.col("_bought"))).select(columns.names()))
    left = _left(grants, spent, paid)
    own = [grant for grant in grants if grant.is_bought]
    for grants_lines in (purchase_lines(own, day), expiry_lines(own, left, day)):
        parts.append(build_credit(grants_lines, own, catalog))
    return pl.concat(parts)


def _ranked(grants: Sequence[CreditGrant], catalog: Catalog) -> pl.DataFrame:
    ranks: dict[tuple[str, str], int] = {}
    rows = []
    for grant in in_order_of_use(grants):
        whose = (grant.customer, grant.currency or catalog.defaults.currency)
        rank = ranks.get(whose, 0)
        ranks[whose] = rank + 1
        rows.append((grant.grant_id, *whose, rank, grant.amount, list(grant.filters.features)))
    return pl.DataFrame(rows, schema=GRANTS, orient="row")


def _payable(lines: pl.LazyFrame, grants: Sequence[CreditGrant]) -> pl.DataFrame:
    customers = sorted({grant.customer for grant in grants})
    return (
        lines.filter(pl.col("x_CustomerKey").is_in(customers))
        .select(
            pl.col("_line").alias("line"),
            pl.col("x_CustomerKey").alias("customer"),
            pl.col("BillingCurrency").alias("currency"),
            pl.col("x_ChargeId").alias("charge_id"),
            pl.col("x_FeatureKey").alias("feature"),
            pl.col("BilledCost").alias("cost"),
        )
        .collect()
        .cast(PAYABLE)
    )


def _left(grants: Sequence[CreditGrant], spent: Spent, paid: pl.DataFrame) -> dict[str, Decimal]:
    today = dict(paid.group_by("grant").agg(pl.col("amount").sum()).iter_rows())
    return {
        grant.grant_id: grant.amount
        - sum(spent.used.get(grant.grant_id, {}).values(), Decimal(0))
        - today.get(grant.grant_id, Decimal(0))
        for grant in grants
    }


def _credits(lines: pl.LazyFrame, given: pl.DataFrame) -> pl.LazyFrame:
    """A Credit row for each line and grant, with the line's own dimensions and no price."""
    amount = -pl.col("amount")
    costs = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost")
    nothing: tuple[str, ...] = (
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
    schema = internal_schema()
    description = pl.lit("Credit ") + pl.col("_title") + pl.lit(": ") + pl.col("ChargeDescription")
    changed: dict[str, Any] = {
        **{name: amount.cast(schema[name]) for name in costs},
        **{name: pl.lit(None, schema[name]) for name in nothing},
        "ChargeCategory": pl.lit("Credit"),
        "ChargeFrequency": pl.lit("One-Time"),
        "ChargeDescription": description,
        "InvoiceDetailId": credit_line(pl.col("InvoiceDetailId")),
        "x_PriceComponent": pl.lit(CREDIT_COMPONENT),
        "x_CreditGrantId": pl.col("grant"),
    }
    return _paid_lines(lines, given).with_columns(**changed)


def _split(lines: pl.LazyFrame, bought: pl.DataFrame) -> pl.LazyFrame:
    """Each line that bought credit pays: a part for each grant, billed 0, and what is left of it, billed as before."""
    cost, amount = pl.col("BilledCost"), pl.col("amount")
    taken = amount.cum_sum().over("_line", order_by="rank")
    small = cost.abs() < _TINY
    share = rounded(divide(pl.col("_taken"), pl.when(small).then(pl.lit(1, COST)).otherwise(cost)), 12)
    parts = (
        _paid_lines(lines, bought)
        .with_columns(taken.alias("_taken"))
        .with_columns(
            pl.when((pl.col("_taken") == cost) | small)
            .then(pl.lit(1, UNIT_PRICE))
            .otherwise(share.cast(UNIT_PRICE))
            .alias("_share")
        )
        .with_columns(
            _up_to("PricingQuantity", PRICING_QUANTITY).alias("_pricing"),
            _up_to("ConsumedQuantity", METERED_QUANTITY).alias("_consumed"),
        )
    )
    last = pl.col("rank") == pl.col("rank").max().over("_line")
    rest = parts.filter(last & (pl.col("_taken") != cost)).with_columns(
        (pl.col("PricingQuantity") - pl.col("_pricing")).alias("PricingQuantity"),
        (pl.col("ConsumedQuantity") - pl.col("_consumed")).alias("ConsumedQuantity"),
        (cost - pl.col("_taken")).alias("BilledCost"),
        (cost - pl.col("_taken")).alias("EffectiveCost"),
        pl.lit(None, pl.String).alias("x_CreditGrantId"),
        pl.lit(None, pl.Int32).alias("rank"),
    )
    covered = parts.with_columns(
        _own_part("_pricing").alias("PricingQuantity"),
        _own_part("_consumed").alias("ConsumedQuantity"),
        _NO_COST.alias("BilledCost"),
        amount.alias("EffectiveCost"),
        pl.col("grant").alias("x_CreditGrantId"),
    )
    quantity = pl.col("PricingQuantity")
    return (
        pl.concat([covered, rest])
        .with_columns(
            multiply(quantity, pl.col("ListUnitPrice")).alias("ListCost"),
            multiply(quantity, pl.col("ContractedUnitPrice")).alias("ContractedCost"),
            pl.col("EffectiveCost").alias("PricingCurrencyEffectiveCost"),
        )
        .sort("_line", "rank", nulls_last=True)
    )


def _paid_lines(lines: pl.LazyFrame, paid: pl.DataFrame) -> pl.LazyFrame:
    """Lines once for each grant that pays them, in order of line and rank."""
    return lines.join(paid.lazy().rename({"line": "_line"}), on="_line", maintain_order="right")


def _up_to(name: str, dtype: pl.DataType) -> pl.Expr:
    """What of a quantity all grants so far pay for."""
    part = rounded(multiply(pl.col(name), pl.col("_share")), _QUANTITY_PLACES).cast(dtype)
    return pl.when(pl.col("_share") == 1).then(pl.col(name)).otherwise(part)


def _own_part(up_to: str) -> pl.Expr:
    return pl.col(up_to) - pl.col(up_to).shift(1).over("_line", order_by="rank").fill_null(0)
