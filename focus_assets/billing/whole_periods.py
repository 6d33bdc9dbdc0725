"""What an invoice's lines come to when each charge is rated at once, as OpenMeter would: the reference.

What belongs here: asking ``rating.detailed_lines`` and naming its lines as rows name them. What does not: rows, and
comparing. Nothing here reads a row's cost, so it is a second opinion about all of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.credit_charges import Charged, CreditCharge
from focus_assets.catalog.custom_currencies import PricedIn
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.invoices import cut_at
from focus_assets.catalog.periods import Period
from focus_assets.catalog.plans import billing_cadence
from focus_assets.catalog.prices import FlatPrice, TieredPrice
from focus_assets.catalog.rate_card_terms import ProRatingConfig
from focus_assets.decimals import (
    COST,
    UNIT_PRICE,
    UTC_INSTANT,
    convert,
    minor_unit,
    multiply,
    round_to,
    share_of,
)
from focus_assets.focus.credit_terms import component_of
from focus_assets.focus.invoice_lines import component_name, line_period, line_stem
from focus_assets.rating import price_table
from focus_assets.rating.charge_limits import left_of_percentage
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

_PRICED_LINES: Final = pl.Schema(
    {
        "InvoiceDetailId": pl.String(),
        "total": COST,
        "_roundings": pl.Int64(),
        "_smallest": COST,
        "_unit": COST,
        "_rate": UNIT_PRICE,
    }
)

_ZERO: Final = Decimal(0)
_BEFORE: Final = "\n"
"""Behind the name of a line, that of all that its charge comes to before it."""


@dataclass(frozen=True)
class Usage:
    """What a charge used in the part that a line is for, and before it: metered quantities and gross amounts.

    ``roundings``: of how many rounded amounts ``previously_billed`` is the sum.
    """

    quantity: Decimal = _ZERO
    before: Decimal = _ZERO
    previously_billed: Decimal = _ZERO
    roundings: int = 0


def metered_usage(totals: pl.LazyFrame, slices: Sequence[ChargeSlice]) -> dict[str, Usage]:
    """What the charges of ``slices`` used in all, from ``usage_totals`` of all their days; by line, which is whole."""
    stems = {s.charge_id: line_stem(s) for s in slices}
    sums = (
        totals.filter(pl.col("charge_id").is_in(sorted(stems)))
        .sort("charge_date")
        .group_by("charge_id")
        .agg(pl.col("quantity").sum(), pl.col("quantity_to_date").drop_nulls().last().alias("to_date"))
        .select("charge_id", pl.coalesce("to_date", "quantity"))
        .collect()
    )
    return {stems[charge_id]: Usage(quantity or _ZERO) for charge_id, quantity in sums.iter_rows()}


def charged_usage(
    rows: pl.LazyFrame, slices: Sequence[ChargeSlice], billed: pl.LazyFrame | None = None
) -> dict[str, Usage]:
    """What was used in the parts of charges that end with ``slices`` and before them, from rows of all their days.

    ``billed``: the same rows where what is before is to be counted otherwise than ``rows`` say. By line
    (:func:`~focus_assets.focus.invoice_lines.line_stem`): two parts of one charge may end on one day. A day's
    total does not say where within the day a part ends.
    """
    lines = sorted({_terms(s) for s in slices})
    instants = dict.fromkeys(("_from", "_to"), UTC_INSTANT)
    schema = pl.Schema({"_stem": pl.String(), "x_ChargeId": pl.String(), **instants})
    terms = pl.LazyFrame(lines, schema=schema, orient="row")
    start = pl.col("ChargePeriodStart")
    counted = rows if billed is None else _counted(rows, billed, slices)

    def of_lines(some: pl.LazyFrame, when: pl.Expr) -> pl.LazyFrame:
        return (
            some.filter(pl.col("ChargeCategory") != "Adjustment")
            .join(terms, on="x_ChargeId")
            .filter(when, start < pl.col("_to"))
            .select("_stem", "ConsumedQuantity", (start >= pl.col("_from")).alias("_within"))
        )

    is_before = start < pl.col("_from")
    used = [of_lines(rows, ~is_before), of_lines(counted, is_before)]
    within, earlier = pl.col("_within"), ~pl.col("_within")
    sums = (
        pl.concat(used)
        .group_by("_stem")
        .agg(
            pl.col("ConsumedQuantity").filter(within).sum().alias("quantity"),
            pl.col("ConsumedQuantity").filter(earlier).sum().alias("before"),
        )
        .join(_previously_billed(counted, slices), on="_stem", how="left")
        .select("_stem", "quantity", "before", "billed", "roundings")
        .collect()
    )
    return {
        stem: Usage(quantity or _ZERO, before or _ZERO, amount or _ZERO, roundings or 0)
        for stem, quantity, before, amount, roundings in sums.iter_rows()
    }


def _counted(rows: pl.LazyFrame, billed: pl.LazyFrame, slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """``billed``, but of values that can fall ``rows``: these are billed by the difference to what there is by now."""
    falling = sorted({s.charge_id for s in slices if s.charge.meter.aggregation.can_fall})
    if not falling:
        return billed
    can_fall = pl.col("x_ChargeId").is_in(falling)
    return pl.concat([billed.filter(~can_fall), rows.filter(can_fall)])


def _previously_billed(rows: pl.LazyFrame, slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """By ``_stem``, what the charge's earlier lines were ``billed``, each component rounded as an invoice states it.

    Limits count earlier parts before their percentage, and what of the line's own part lies in earlier billing periods
    as it is paid, as within one period. ``roundings``: how many amounts were rounded.
    """
    instants = dict.fromkeys(("_part_from", "_line_from", "_line_to"), UTC_INSTANT)
    schema = pl.Schema(
        {"_stem": pl.String(), "x_ChargeId": pl.String(), **instants, "_off": UNIT_PRICE, "_unit": COST}
    )
    lines = sorted({line for s in slices for line in _earlier_lines(s)})
    start, unit = pl.col("ChargePeriodStart"), pl.col("_unit")
    price = pl.coalesce("_gross", "PricingCurrencyContractedUnitPrice")
    as_paid = start.min() >= pl.col("_part_from").first()
    amount = round_to(pl.col("_gross_cost"), unit)
    discount = round_to(share_of(amount, pl.col("_off")), unit)
    return (
        rows.filter(pl.col("ChargeCategory") != "Adjustment")
        .join(pl.LazyFrame(lines, schema=schema, orient="row"), on="x_ChargeId")
        .filter(start >= pl.col("_line_from"), start < pl.col("_line_to"))
        .join(_gross_prices(slices), on=["x_ChargeId", "x_PriceComponent"], how="left")
        .group_by("_stem", "_line_from", pl.coalesce("_name", "x_PriceComponent"), "_unit")
        .agg(
            multiply(pl.col("PricingQuantity"), price).sum().alias("_gross_cost"),
            pl.when(as_paid).then(pl.col("_off").first()).otherwise(pl.lit(0, UNIT_PRICE)).alias("_off"),
        )
        .group_by("_stem")
        .agg(
            (amount - discount).sum().alias("billed"),
            ((pl.col("_gross_cost") != 0).cast(pl.Int64) + (discount != 0).cast(pl.Int64))
            .sum()
            .alias("roundings"),
        )
    )


def _earlier_lines(
    s: ChargeSlice,
) -> list[tuple[str, str, dt.datetime, dt.datetime, dt.datetime, Decimal, Decimal]]:
    """The lines that invoices made here have of a charge before the one that a slice is on."""
    whole, begins = s.charge.period, s.billed_period.start
    if begins <= whole.start:
        return []
    cadence = billing_cadence(s.charge.plan, s.subscription)
    bounds = [period.start for period in cadence.periods(s.subscription.anchor, whole.start, begins)]
    bounds += s.subscription.progressive_billing if s.part is not None else ()
    part, off = (s.part or whole).start, 1 - left_of_percentage(s.charge)
    return [
        (line_stem(s), s.charge_id, part, line.start, line.end, off, _smallest(s))
        for line in cut_at(Period(whole.start, begins), bounds)
    ]


def _terms(s: ChargeSlice) -> tuple[str, str, dt.datetime, dt.datetime]:
    return line_stem(s), s.charge_id, s.billed_period.start, s.billed_period.end


def _gross_prices(slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """By charge and component as rows name them: the unit price before any percentage, and the own component."""
    charges = {s.charge_id: s.charge for s in slices}
    segments = price_table(slices).select(
        "charge_id", "component", "tier", "segment_from", "gross_unit_price"
    )
    found = [
        (
            charge_id,
            component if tier is None else f"{component}:{tier}",
            component_name(charges[charge_id], component, start),
            gross,
        )
        for charge_id, component, tier, start, gross in segments.collect().iter_rows()
    ]
    schema = dict.fromkeys(("x_ChargeId", "x_PriceComponent", "_name"), pl.String()) | {"_gross": UNIT_PRICE}
    return pl.LazyFrame(found, schema=schema, orient="row")


def whole_lines(last: Sequence[Charged], usage: Mapping[str, Usage]) -> pl.DataFrame:
    """:data:`WHOLE_LINES` of fees, of credit, and of the parts of charges that end with slices, sorted.

    Args:
        last: the fees and credit, and one slice of each part, any of it.
        usage: by line (:func:`~focus_assets.focus.invoice_lines.line_stem`); nothing was used for one not in it.

    Raises:
        LineNotRated: usage below zero where tiers are graduated, for instance.
    """
    slices = {line_stem(each): each for each in last if not isinstance(each, CreditCharge)}
    credit = [_of_credit(each) for each in last if isinstance(each, CreditCharge)]
    asked = [line for stem, s in sorted(slices.items()) for line in _lines(stem, s, usage)]
    tables = line_tables(asked)
    found = detailed_lines(tables.lines, tables.tiers, tables.credits).collect()
    totals: dict[str, Decimal] = {}
    roundings: dict[str, int] = {}
    for row in found.iter_rows(named=True):
        stem = row["line_id"].removesuffix(_BEFORE)
        key = f"{stem}/{detailed_line_name(slices[stem], row)}"
        total = row["total"] if stem == row["line_id"] else -row["total"]
        totals[key] = totals.get(key, _ZERO) + total
        roundings[stem] = roundings.get(stem, _roundings_before(slices[stem], usage.get(stem)))
        roundings[stem] += 2 if row["amount_discounts"] else 1
    rows = [
        (key, total, roundings[stem], _smallest(slices[stem]), minor_unit(slices[stem].currency), rate)
        for key, total in sorted(totals.items())
        for stem in [key.rpartition("/")[0]]
        for rate in [_rate(slices[stem])]
    ]
    lines = [_in_money(pl.DataFrame(rows, schema=_PRICED_LINES, orient="row"))]
    return pl.concat([*lines, *credit]).sort("InvoiceDetailId")


def _roundings_before(charged: ChargeSlice | Fee, used: Usage | None) -> int:
    """How many rounded amounts of earlier lines move a line: limits count them."""
    return used.roundings if used is not None and is_limited(charged.rate_card.price) else 0


def is_limited(price: object) -> bool:
    """Whether what is billed depends on what was billed before."""
    return any(getattr(price, name, None) is not None for name in ("minimum_amount", "maximum_amount"))


def _of_credit(charge: CreditCharge) -> pl.DataFrame:
    """What is asked for a grant: what it costs when it is bought, nothing when it expires."""
    grant, unit = charge.grant, minor_unit(charge.currency)
    basis = grant.purchase.per_unit_cost_basis if grant.purchase else Decimal(1)
    amount = _ZERO if charge.expires else grant.amount
    cost = round_to(convert(pl.lit(amount, COST), pl.lit(basis, UNIT_PRICE)), pl.lit(unit, COST))
    key = f"{line_stem(charge)}/{component_of(charge)}"
    half = pl.lit(unit / 2, COST)
    return pl.select(InvoiceDetailId=pl.lit(key), total=cost.cast(COST), tolerance=half)


def _in_money(lines: pl.DataFrame) -> pl.DataFrame:
    """Totals in the currency of the invoice; what a custom currency prices is rounded again when it is converted."""
    rate, unit, half = pl.col("_rate"), pl.col("_unit"), pl.col("_smallest") / 2
    tolerance = half * pl.col("_roundings")
    return lines.select(
        "InvoiceDetailId",
        pl.when(rate.is_null())
        .then("total")
        .otherwise(round_to(convert(pl.col("total"), rate), unit))
        .alias("total"),
        pl.when(rate.is_null())
        .then(tolerance)
        .otherwise(convert(tolerance.cast(COST), rate) + unit / 2)
        .cast(COST)
        .alias("tolerance"),
    )


def _lines(stem: str, charged: ChargeSlice | Fee, usage: Mapping[str, Usage]) -> list[Line]:
    """What a line is rated as: itself, or its charge to its end less the charge to its start.

    The latter where what a billing period adds cannot be told without the ones before it: volume tiers, converted
    units, which are rounded to date, and what takes back of what was billed before.
    """
    line = _line(stem, charged, usage)
    whole, config = line.full_period, line.unit_config
    by_total = isinstance(line.price, TieredPrice) and line.price.mode == "volume"
    to_date = by_total or (config is not None and config.rounding != "none") or line.quantity < 0
    if isinstance(charged, Fee) or charged.part is not None or line.period == whole or not to_date:
        return [line]
    ends = [(stem, line.period.end, line.before + line.quantity)]
    if line.period.start > whole.start:
        ends.append((f"{stem}{_BEFORE}", line.period.start, line.before))
    return [
        Line.to_date(
            name,
            line.price,
            line.minor_unit,
            run=Period(whole.start, end),
            charge=whole,
            quantity=quantity,
            discounts=line.discounts,
            unit_config=line.unit_config,
        )
        for name, end, quantity in ends
    ]


def _line(stem: str, charged: ChargeSlice | Fee, usage: Mapping[str, Usage]) -> Line:
    period, used = line_period(charged), usage.get(stem, Usage())
    price = _prorated(charged) if isinstance(charged, Fee) else charged.rate_card.price
    return Line(
        line_id=stem,
        price=price,
        minor_unit=_smallest(charged),
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
    digits = None if fee.priced_in is None else fee.priced_in.currency.precision
    amount = prorated_amount(
        fee.price.amount, fee.currency, config, service=fee.service, full=fee.full, custom_digits=digits
    )
    return fee.price.model_copy(update={"amount": amount})


def detailed_line_name(charged: Charged, row: Mapping[str, object]) -> str:
    """The name of a detailed line (a row of DETAILED_LINES) as ``focus.invoice_lines`` gives it."""
    if isinstance(charged, CreditCharge):
        return component_of(charged)
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


def _priced_in(charged: ChargeSlice | Fee) -> PricedIn | None:
    return charged.priced_in if isinstance(charged, Fee) else charged.charge.priced_in


def _rate(charged: ChargeSlice | Fee) -> Decimal | None:
    priced_in = _priced_in(charged)
    return None if priced_in is None else priced_in.rate


def _smallest(charged: ChargeSlice | Fee) -> Decimal:
    """The smallest amount of the currency that prices are in."""
    priced_in = _priced_in(charged)
    if priced_in is None:
        return minor_unit(charged.currency)
    return minor_unit(priced_in.currency.code, priced_in.currency.precision)
