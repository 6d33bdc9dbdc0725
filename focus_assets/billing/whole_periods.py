"""What an invoice's lines come to when each charge is rated at once, as OpenMeter would: the reference.

What belongs here: asking ``rating.detailed_lines`` and naming its lines as rows name them. What does not: rows, and
comparing. Nothing here reads a row's cost, so it is a second opinion about all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.custom_currencies import PricedIn
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.prices import FlatPrice, TieredPrice
from focus_assets.catalog.rate_card_terms import ProRatingConfig
from focus_assets.decimals import COST, minor_unit
from focus_assets.focus.invoice_lines import line_period, line_stem
from focus_assets.rating.detailed_lines import Line, detailed_lines, line_tables
from focus_assets.rating.lines import (
    FLAT_FEE_COMPONENT,
    MINIMUM_COMPONENT,
    TIER_FEE_COMPONENT,
    USAGE_COMPONENT,
)
from focus_assets.rating.proration import prorated_amount

WHOLE_LINES: Final = pl.Schema({"InvoiceDetailId": pl.String(), "total": COST, "tolerance": COST})
"""A line of an invoice: its total, rounded, and how far rounding may have moved it from the exact cost."""

_ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Usage:
    """What a charge used in the part that a line is for, and before it: metered quantities and gross amounts."""

    quantity: Decimal = _ZERO
    before: Decimal = _ZERO
    previously_billed: Decimal = _ZERO


def metered_usage(totals: pl.LazyFrame, slices: Sequence[ChargeSlice]) -> dict[str, Usage]:
    """What the charges of ``slices`` used in all, from ``usage_totals`` of all their days."""
    wanted = [s.charge.charge_id for s in slices]
    sums = (
        totals.filter(pl.col("charge_id").is_in(wanted))
        .sort("charge_date")
        .group_by("charge_id")
        .agg(pl.col("quantity").sum(), pl.col("quantity_to_date").drop_nulls().last().alias("to_date"))
        .select("charge_id", pl.coalesce("to_date", "quantity"))
        .collect()
    )
    return {charge_id: Usage(quantity or _ZERO) for charge_id, quantity in sums.iter_rows()}


def charged_usage(rows: pl.LazyFrame, slices: Sequence[ChargeSlice]) -> dict[str, Usage]:
    """What the charges of ``slices`` used in their billing period and before it, from rows of all their days.

    Of a charge that goes on over several billing periods a day's total does not say where within the day one ends.
    """
    start, cost = pl.col("ChargePeriodStart"), pl.col("ContractedCost")
    found = {}
    for s in slices:
        part = s.billed_period
        within, earlier = (start >= part.start) & (start < part.end), start < part.start
        row = (
            rows.filter(pl.col("x_ChargeId") == s.charge.charge_id, pl.col("ChargeCategory") != "Adjustment")
            .select(
                pl.col("ConsumedQuantity").filter(within).sum().alias("quantity"),
                pl.col("ConsumedQuantity").filter(earlier).sum().alias("before"),
                cost.filter(earlier).sum().alias("billed"),
            )
            .collect()
            .row(0)
        )
        found[s.charge.charge_id] = Usage(*(value or _ZERO for value in row))
    return found


def whole_lines(last: Sequence[ChargeSlice | Fee], usage: Mapping[str, Usage]) -> pl.DataFrame:
    """:data:`WHOLE_LINES` of fees, and of the parts of charges that end with slices, sorted.

    Args:
        last: the fees, and one slice of each part, any of it.
        usage: by charge id; a charge that is not in it used nothing.

    Raises:
        LineNotRated: usage below zero where tiers are graduated, for instance.
    """
    slices = {line_stem(each): each for each in last}
    tables = line_tables([_line(stem, s, usage) for stem, s in sorted(slices.items())])
    found = detailed_lines(tables.lines, tables.tiers, tables.credits).collect()
    totals: dict[str, Decimal] = {}
    roundings: dict[str, int] = {}
    for row in found.iter_rows(named=True):
        s = slices[row["line_id"]]
        key = f"{row['line_id']}/{_name(s, row)}"
        totals[key] = totals.get(key, _ZERO) + row["total"]
        roundings[row["line_id"]] = roundings.get(row["line_id"], 0) + (2 if row["amount_discounts"] else 1)
    rows = [
        (key, _in_money(slices[stem], total), _half(slices[stem]) * roundings[stem])
        for key, total in sorted(totals.items())
        for stem in [key.rpartition("/")[0]]
    ]
    return pl.DataFrame(rows, schema=WHOLE_LINES, orient="row")


def _line(stem: str, charged: ChargeSlice | Fee, usage: Mapping[str, Usage]) -> Line:
    period, used = line_period(charged), usage.get(charged.charge_id, Usage())
    price = _prorated(charged) if isinstance(charged, Fee) else charged.rate_card.price
    return Line(
        line_id=stem,
        price=price,
        minor_unit=_pricing_unit(charged),
        period=period,
        full_period=period if isinstance(charged, Fee) else charged.charge.period,
        quantity=used.quantity,
        before=used.before,
        previously_billed=used.previously_billed,
        discounts=charged.rate_card.discounts,
        unit_config=charged.rate_card.unit_config,
    )


def _prorated(fee: Fee) -> FlatPrice:
    config = ProRatingConfig(enabled=fee.prorates)
    custom = fee.priced_in.currency if fee.priced_in else None
    amount = prorated_amount(
        fee.price.amount,
        custom.code if custom else fee.currency,
        config,
        service=fee.service,
        full=fee.full,
        custom_digits=custom.precision if custom else None,
    )
    return fee.price.model_copy(update={"amount": amount})


def _name(charged: ChargeSlice | Fee, row: Mapping[str, object]) -> str:
    """The line's name as ``focus.invoice_lines`` gives it."""
    if isinstance(charged, Fee):
        return FLAT_FEE_COMPONENT
    price = charged.charge.rate_card.price
    if row["category"] == "commitment":
        return MINIMUM_COMPONENT
    if getattr(price, "maximum_amount", None) is not None:
        return USAGE_COMPONENT
    name = TIER_FEE_COMPONENT if str(row["ref"]).endswith("-flat-price") else USAGE_COMPONENT
    tiered = isinstance(price, TieredPrice) and price.mode == "graduated"
    return f"{name}:{row['tier']}" if tiered else name


def priced_in(charged: ChargeSlice | Fee) -> PricedIn | None:
    """The custom currency that prices are in, with its worth; None where they are in money."""
    return charged.priced_in if isinstance(charged, Fee) else charged.charge.priced_in


def _pricing_unit(charged: ChargeSlice | Fee) -> Decimal:
    """The smallest amount of what prices are in."""
    custom = priced_in(charged)
    if custom is None:
        return minor_unit(charged.currency)
    return minor_unit(custom.currency.code, custom.currency.precision)


def _in_money(charged: ChargeSlice | Fee, total: Decimal) -> Decimal:
    """What an invoice asks for ``total`` of the currency that prices are in: a custom one's worth, rounded."""
    custom = priced_in(charged)
    if custom is None:
        return total
    return (total * custom.rate).quantize(minor_unit(charged.currency), ROUND_HALF_UP)


def _half(charged: ChargeSlice | Fee) -> Decimal:
    """What rounding once can move a line by, in money."""
    half, custom = minor_unit(charged.currency) / 2, priced_in(charged)
    return half if custom is None else half + _pricing_unit(charged) / 2 * custom.rate
