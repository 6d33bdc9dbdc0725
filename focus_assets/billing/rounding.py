"""What rounding adds to a line of an invoice: rows are exact, and lines are rounded to the currency's smallest amount.

What belongs here: the difference as a row, or in place. What does not: when a period closes (``close``), and what a
line comes to (``whole_periods``).

A line is settled on the day its charge ends in the billing period. If one row is the whole line and is of that day,
the row itself is rounded. Else the difference is an Adjustment of its own, with the texts of the line's first row by
price, so that it is found wherever that one is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.billing.whole_periods import Usage, charged_usage, whole_lines
from focus_assets.catalog.charges import ChargeSlice, midnight
from focus_assets.catalog.credit_charges import Charged, CreditCharge
from focus_assets.catalog.fees import Fee
from focus_assets.decimals import COST, UTC_INSTANT, minor_unit, round_to
from focus_assets.focus.credit_terms import component_of
from focus_assets.focus.invoice_lines import invoice_id, invoice_lines, line_period, line_stem
from focus_assets.focus.schema import internal_schema
from focus_assets.focus.unpriced import OF_ONE_BUYER, PRICE_OF_SKU, WITHOUT_PRICE
from focus_assets.rating.lines import (
    CREDIT_COMPONENT,
    CREDIT_PURCHASE_COMPONENT,
    MINIMUM_COMPONENT,
    TIER_FEE_COMPONENT,
    USAGE_COMPONENT,
)

ROUNDING: Final = "rounding"
"""PriceComponent and AdjustmentReason of a rounding difference."""

FIRST_ROW: Final = ("SkuPriceId", "SubAccountId", "RegionId", "Tags", "ChargePeriodStart")
"""By what a line's first row is found. Not by cost: late usage would move what is said of the line to another SKU."""

_COSTS: Final = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost")
_IN_PLACE: Final = ("BilledCost", "EffectiveCost", "PricingCurrencyEffectiveCost")
_WITHOUT: Final = (*WITHOUT_PRICE, *PRICE_OF_SKU, *OF_ONE_BUYER)
_KEY: Final = ("_invoice_id", "_line_id")
_TERMS: Final = pl.Schema(
    {
        "x_ChargeId": pl.String(),
        "_from": UTC_INSTANT,
        "_to": UTC_INSTANT,
        "_invoice": pl.String(),
        "_stem": pl.String(),
        "_minor_unit": COST,
        "_only": pl.String(),
    }
)


@dataclass(frozen=True)
class Settled:
    """A day's lines that end: rows to add, and rows of the day to round in place, by InvoiceId and InvoiceDetailId."""

    adjustments: pl.DataFrame
    in_place: pl.DataFrame

    def applied_to(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The day's ``rows`` (stored shape), rounded where they are a whole line, then the adjustments."""
        if not self.in_place.is_empty():
            # Both: one line of a charge is on two invoices where usage decides who issues them.
            found = self.in_place.lazy().rename({"_invoice_id": "InvoiceId", "_line_id": "InvoiceDetailId"})
            rows = (
                rows.join(found, on=["InvoiceId", "InvoiceDetailId"], how="left", maintain_order="left")
                .with_columns(_in_money(name, pl.coalesce("_total", name)) for name in _IN_PLACE)
                .drop("_total")
            )
        return rows if self.adjustments.is_empty() else pl.concat([rows, self.adjustments.lazy()])


def settle(
    rows: pl.LazyFrame,
    last: Sequence[ChargeSlice | Fee],
    day: dt.date,
    issuer: str,
    billed: pl.LazyFrame | None = None,
) -> Settled:
    """Round the lines that end on ``day``.

    Args:
        rows: rows of Cost and Usage (stored shape) of ``day`` and of the earlier days of these charges; others may
            be among them. Whether earlier rows were computed before or after the close makes no difference.
        last: the slices with which lines end (:func:`~focus_assets.billing.close.ending`) and fees that credits may
            pay for, with their invoices.
        issuer: who issues invoices mostly (:func:`~focus_assets.focus.invoice_lines.default_issuer`).
        billed: the same rows where earlier lines of these charges are to be counted otherwise than ``rows`` say.

    Returns:
        One Adjustment for each line whose rows do not add up to its rounded total: four costs equal, SKU, invoice
        and line set, prices, their ids and quantities null, in the order of the ids. Where rating the whole charge at
        once differs by more than rounding can, the rows' own sum is rounded, and reconciling shows the difference.
        Given credits are rounded so that what is left to pay is: a charge that they pay in full costs nothing.
    """
    used = of_lines(rows, last, issuer).collect()
    parts = [each for each in last if isinstance(each, ChargeSlice) and not _is_whole(each)]
    usage = _usage(used) | (charged_usage(rows, parts, billed) if parts else {})
    # A part in which less was taken than given back has no rating of its own: its rows are rounded as they are.
    cut = [line_stem(each) for each in parts if each.part is not None]
    below = {stem for stem in cut if usage.get(stem, Usage()).quantity < 0}
    whole = whole_lines([each for each in last if line_stem(each) not in below], usage)
    lines = summed_lines(used, day).join(whole, left_on="_line_id", right_on="InvoiceDetailId", how="left")
    exact = pl.col("BilledCost")
    shared = pl.len().over("_line_id") > 1
    near = ((pl.col("total") - exact).abs() <= pl.col("tolerance")) & ~shared
    total = pl.when(near).then(pl.col("total")).otherwise(round_to(exact, pl.col("_minor_unit")))
    lines = _with_credits(lines.with_columns(total.alias("_total")))
    lines = lines.filter(pl.col("_total") != exact).sort(_KEY)
    alone = (pl.col("_rows") == 1) & (pl.col("_rows_of_day") == 1)
    return Settled(
        adjustments=adjustments_of(lines.filter(~alone)),
        in_place=lines.filter(alone).select(*_KEY, "_total"),
    )


def _in_money(cost: str, rounded: pl.Expr, otherwise: pl.Expr | None = None) -> pl.Expr:
    """``rounded`` as the column ``cost``; what a custom currency prices is not rounded, only the money for it is."""
    if cost != "PricingCurrencyEffectiveCost":
        return rounded.alias(cost)
    priced_in_money = pl.col("PricingCurrency") == pl.col("BillingCurrency")
    kept = pl.col(cost) if otherwise is None else otherwise
    return pl.when(priced_in_money).then(rounded).otherwise(kept).alias(cost)


def _is_whole(charged: ChargeSlice | Fee) -> bool:
    return isinstance(charged, Fee) or charged.billed_period == charged.charge.period


def _with_credits(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines of given credits: what is left of the charge to pay, rounded, less what its other lines come to."""
    charge = ("_stem", "_invoice_id")
    is_credit = pl.col("x_PriceComponent") == CREDIT_COMPONENT
    left = round_to(pl.col("BilledCost").sum().over(charge), pl.col("_minor_unit"))
    others = pl.when(is_credit).then(pl.lit(0, COST)).otherwise("_total").sum().over(charge)
    return lines.with_columns(pl.when(is_credit).then(left - others).otherwise("_total").alias("_total"))


def of_lines(rows: pl.LazyFrame, last: Sequence[Charged], issuer: str) -> pl.LazyFrame:
    """Those of ``rows`` that are on a line of a fee or of credit in ``last``, or that ends with a slice in it.

    Adds ``_invoice_id`` and ``_line_id`` (also where the row was computed before the close), ``_from`` and ``_to`` of
    the line, ``_stem`` (:func:`~focus_assets.focus.invoice_lines.line_stem`) and ``_minor_unit``. Fees cost what they
    do on the invoice, whenever they were computed.
    """
    terms = pl.LazyFrame([_terms(each) for each in last], schema=_TERMS, orient="row")
    component = pl.concat_str(
        pl.col("component"), pl.lit(":") + pl.col("tier").cast(pl.String), ignore_nulls=True
    )
    slices = [each for each in last if isinstance(each, ChargeSlice)]
    names = invoice_lines(slices).select(x_ChargeId="charge_id", x_PriceComponent=component, _name="line")
    own = pl.col("x_PriceComponent").str.split(":").list.first()
    # Below a maximum a fee is not a line of its own, and one that bought credit pays in part is several rows.
    of_its_own = pl.coalesce("_name", pl.lit("")) != USAGE_COMPONENT
    whole = pl.len().over("x_ChargeId", "x_PriceComponent", "ChargePeriodStart") == 1
    is_fee = (
        own.is_in([TIER_FEE_COMPONENT, MINIMUM_COMPONENT, CREDIT_PURCHASE_COMPONENT]) & of_its_own & whole
    )
    return (
        rows.filter(pl.col("x_ChargeId").is_in([each.charge_id for each in last]))
        .join(terms, on="x_ChargeId")
        .filter(
            (pl.col("ChargePeriodStart") >= pl.col("_from")) & (pl.col("ChargePeriodStart") < pl.col("_to")),
            # Credit may expire on the day on which it was bought.
            pl.col("_only").is_null() | (pl.col("_only") == own),
        )
        .join(names.unique(), on=["x_ChargeId", "x_PriceComponent"], how="left")
        .with_columns(
            invoice_id(pl.col("_invoice"), pl.col("InvoiceIssuerName"), issuer).alias("_invoice_id"),
            pl.when(own == ROUNDING)
            .then(pl.col("InvoiceDetailId"))
            .otherwise(pl.col("_stem") + pl.lit("/") + pl.coalesce(pl.col("_name"), own))
            .alias("_line_id"),
            *(
                _in_money(
                    name, pl.when(is_fee).then(round_to(pl.col(name), pl.col("_minor_unit"))).otherwise(name)
                )
                for name in _IN_PLACE
            ),
        )
        .drop("_invoice", "_name", "_only")
    )


def _terms(charged: Charged) -> tuple[object, ...]:
    period = line_period(charged)
    unit = minor_unit(charged.currency)
    only = component_of(charged) if isinstance(charged, CreditCharge) else None
    return charged.charge_id, period.start, period.end, charged.invoice, line_stem(charged), unit, only


def summed_lines(used: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    """One row per line: its exact costs, and every other column of its first row."""
    first = [name for name in used.columns if name not in (*_KEY, *_COSTS)]
    return (
        used.sort(FIRST_ROW, nulls_last=True, maintain_order=True)
        .group_by(_KEY, maintain_order=True)
        .agg(
            pl.col(_COSTS).sum(),
            pl.len().alias("_rows"),
            (pl.col("ChargePeriodStart") >= midnight(day)).sum().alias("_rows_of_day"),
            pl.col(first).first(),
        )
    )


def _usage(used: pl.DataFrame) -> dict[str, Usage]:
    sums = used.group_by("_stem").agg(pl.col("ConsumedQuantity").sum())
    return {stem: Usage(quantity or Decimal(0)) for stem, quantity in sums.iter_rows()}


def adjustments_of(lines: pl.DataFrame) -> pl.DataFrame:
    """A row for each of ``lines`` (:func:`summed_lines`) that makes it ``_total``, without price or quantity."""
    schema = internal_schema()
    amount = pl.col("_total") - pl.col("BilledCost")
    return lines.with_columns(
        *(_in_money(name, amount, otherwise=pl.lit(0, COST)) for name in _COSTS),
        *(pl.lit(None, schema[name]).alias(name) for name in _WITHOUT),
        pl.lit("Adjustment").alias("ChargeCategory"),
        pl.lit("One-Time").alias("ChargeFrequency"),
        pl.lit("Rounding of the invoice line, ").add(pl.col("ChargeDescription")).alias("ChargeDescription"),
        pl.col("_from").alias("ChargePeriodStart"),
        pl.col("_to").alias("ChargePeriodEnd"),
        pl.col("_invoice_id").alias("InvoiceId"),
        pl.col("_line_id").alias("InvoiceDetailId"),
        pl.lit(False).alias("x_IsEstimated"),
        pl.lit(ROUNDING).alias("x_PriceComponent"),
        pl.lit(ROUNDING).alias("x_AdjustmentReason"),
    ).select(pl.col(name).cast(dtype) for name, dtype in schema.items())
