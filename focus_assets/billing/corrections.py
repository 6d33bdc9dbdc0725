"""What changed in a closed billing period, as rows that are added: the closed ones never change.

What belongs here: the difference between what a day's rows would be now and what was closed, as rows of Cost and Usage.
What does not: keeping closed rows (``closed``) and the period that takes the difference (``booking``).

Closed rows and all corrections of them add up to what a fresh computation gives: ``rebilled`` in every quantity and
cost, ``not_billed`` in quantities, and in costs too of what imported invoices bill anew (``billed_anew``). Earlier
corrections that have been closed count as closed rows: computing a day again, or in another order, adds nothing twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from focus_assets.billing.billed_anew import ANEW, APART, AS_BEFORE, BILLED, marked
from focus_assets.billing.bills import BilledTime
from focus_assets.billing.close import ClosedPeriod
from focus_assets.billing.closed import PERIOD_COLUMNS
from focus_assets.billing.correction_signs import CORRECTED_LINE, CORRECTION, is_correction
from focus_assets.billing.differing_charges import that_differ
from focus_assets.billing.period_invoices import PeriodInvoice
from focus_assets.decimals import UTC_INSTANT, multiply
from focus_assets.focus.invoice_lines import invoice_id
from focus_assets.focus.schema import internal_schema

_CORRECTED: Final = "Correction, "
_UNBILLED: Final = "Late usage that is not billed, "

LateUsage = Literal["rebilled", "not_billed"]

_COSTS: Final = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost")
_QUANTITIES: Final = ("ConsumedQuantity", "PricingQuantity")
_AMOUNTS: Final = (*_COSTS, *_QUANTITIES)
_UNIT_PRICES: Final = (
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyListUnitPrice",
)
_UNITS: Final = ("ConsumedUnit", "PricingUnit")
_PRICE_OF: Final = {"ContractedCost": "ContractedUnitPrice", "ListCost": "ListUnitPrice"}

_CHARGE: Final = ("x_ChargeId", "SkuId", "BillingCurrency")
"""Where nothing of these changes in sum, nothing is corrected: labels and names of closed rows stay as they are."""

_BOUGHT: Final = (
    *_CHARGE,
    "AvailabilityZone",
    "BillingAccountId",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "InvoiceIssuerName",
    "PricingCurrency",
    "RegionId",
    "ResourceId",
    "SkuPriceId",
    "SubAccountId",
    "Tags",
    "x_CreditGrantId",
    "x_CustomerKey",
    "x_PriceComponent",
)
"""What was bought, by whom and when: where only its price changes, its cost alone is corrected."""

_PRICED: Final = (*_BOUGHT, *_UNIT_PRICES, *_UNITS, "ChargeCategory", "ChargeFrequency", "PricingCategory")
"""What a row has in common with those that it is added up with."""

_ORDER: Final = ("x_ChargeId", "ChargePeriodStart", "x_PriceComponent", *_PRICED)

BOOKINGS: Final = pl.Schema(
    {
        **dict.fromkeys(("BillingAccountId", "BillingCurrency"), pl.String()),
        **dict.fromkeys(("BillingPeriodStart", "BillingPeriodEnd", "_from", "_to"), UTC_INSTANT),
        "_invoice": pl.String(),
        "_estimated": pl.Boolean(),
    }
)


@dataclass(frozen=True)
class Booking:
    """The period that corrections are billed in, whether it has ``closed`` too, and its invoice then.

    There is none where OpenMeter makes the invoices: it bills no corrections.
    """

    period: ClosedPeriod
    invoice: str | None
    closed: bool


def corrections(
    fresh: pl.LazyFrame,
    closed: pl.LazyFrame,
    bookings: Mapping[ClosedPeriod, Booking],
    late_usage: LateUsage,
    issuer: str,
    day: dt.date,
    rated: Collection[str],
    voided: Collection[PeriodInvoice] = (),
    known: Mapping[ClosedPeriod, Collection[str]] | None = None,
    by_itself: Collection[ClosedPeriod] = (),
    times: Collection[BilledTime] = (),
    by_difference: Collection[str] = (),
) -> pl.DataFrame:
    """The rows that correct closed rows of one day, in the stored shape, sorted.

    Args:
        fresh: the day's rows of closed periods as they would be now.
        closed: the day's closed rows, earlier corrections among them.
        bookings: by closed period, where its changes are billed. Of an open one it is the period itself: what changed
            on an invoice in its middle.
        late_usage: what becomes of them.
        issuer: who issues invoices mostly (:func:`~focus_assets.focus.invoice_lines.default_issuer`).
        day: the day.
        rated: ids of the charges and fees that there are on it now.
        voided: invoices of OpenMeter that nobody has to pay any more.
        known: by period that has closed, OpenMeter's ids of the invoices that were issued when it did.
        by_itself: periods that have closed without invoices of OpenMeter.
        times: what its invoices bill of the day's charges by now.
        by_difference: charges whose changes are billed either way (``billed_by_difference``).

    Returns:
        ``rebilled``: a row for each price of what was bought, with quantities and costs as they differ; where no
        quantity differs, one Adjustment without prices and quantities. ``not_billed``: usage alone, without invoice
        and prices, at no cost; but of what invoices billed that were voided since, the same as ``rebilled``. Either
        way what an invoice bills that was issued since are rows of that one. Nothing where no amount differs.

        ChargeClass is ``Correction``, but null within the corrected period. Usage that is not billed keeps its prices
        there: FOCUS lets only corrections be without.
    """
    unbilled = pl.col("ChargeDescription").str.starts_with(_UNBILLED).fill_null(False)
    within = [of for of, booking in bookings.items() if booking.period == of]
    fresh, closed = marked(
        fresh, closed, voided, known or {}, by_itself, is_correction(), unbilled, within, times
    )
    how = pl.col(BILLED)
    others = how != APART
    fresh, closed = that_differ(fresh, closed)
    if late_usage == "rebilled":
        rows = _rebilled(_changed(fresh.filter(others), closed.filter(others)))
    else:
        differs = pl.col("x_ChargeId").is_in(sorted(by_difference)) & others
        before, anew = (how == AS_BEFORE) & ~differs, (how == ANEW) | differs
        rows = pl.concat(
            [
                *_not_billed(_changed(fresh.filter(before), closed.filter(before)), _is_in(within)),
                _rebilled(_changed(fresh.filter(anew), closed.filter(anew))),
            ]
        )
    apart = _apart(fresh.filter(~others), closed.filter(~others))
    return pl.concat(
        [
            _booked(rows, bookings, issuer, day, rated),
            _booked(apart, bookings, issuer, day, rated, apart=True),
        ]
    ).sort(_ORDER, nulls_last=True, maintain_order=True)


def _apart(fresh: pl.LazyFrame, closed: pl.LazyFrame) -> pl.DataFrame:
    """Rows of invoices that were issued since the close, as they are; of those that have been closed, what differs.

    Where no closed row of an invoice differs, there is nothing to be taken off: the rows are what differs.
    """
    known = closed.select("x_OpenMeterInvoiceId").unique()
    both = fresh.join(known, on="x_OpenMeterInvoiceId", how="semi", maintain_order="left")
    new = fresh.join(known, on="x_OpenMeterInvoiceId", how="anti", maintain_order="left")
    return pl.concat([new.select(internal_schema().names()).collect(), _rebilled(_changed(both, closed))])


def _changed(fresh: pl.LazyFrame, closed: pl.LazyFrame) -> pl.DataFrame:
    """What differs, by :data:`_PRICED`; every other column as the fresh row has it, else as the closed one."""
    columns = internal_schema().names()
    elsewhere = pl.col("ChargeClass").eq_missing(CORRECTION)
    corrected = is_correction() & pl.col("x_OpenMeterInvoiceId").is_null()
    period = ("BillingPeriodStart", "BillingPeriodEnd")
    text = pl.col("ChargeDescription").str.strip_prefix(_CORRECTED).str.strip_prefix(_UNBILLED)
    taken_back = closed.select(columns).with_columns(
        *(-pl.col(name) for name in _AMOUNTS),
        # Where an earlier correction was billed says nothing of what it corrects, unless it was the same period.
        *(pl.when(~elsewhere).then(pl.col(name)).alias(name) for name in period),
        pl.when(corrected).then("x_CorrectedInvoiceId").otherwise("InvoiceId").alias("InvoiceId"),
        pl.col("InvoiceDetailId").str.split(CORRECTED_LINE).list.first().alias("InvoiceDetailId"),
        text,
    )
    others = [name for name in columns if name not in (*_AMOUNTS, *_PRICED)]
    # A quantity that is null on every row stays null: a fee consumes nothing, not 0.
    sums = [
        pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()).alias(name) for name in _AMOUNTS
    ]
    differs = pl.any_horizontal(pl.col(name).fill_null(0) != 0 for name in _AMOUNTS)
    found = (
        pl.concat([fresh.select(columns).with_columns(text), taken_back])
        .group_by(_PRICED, maintain_order=True)
        .agg(*sums, *(pl.col(name).drop_nulls().first() for name in others))
        .with_columns(pl.col(name).max().over("x_ChargeId", "ChargePeriodStart") for name in period)
        .filter(differs)
        .collect(engine="streaming")
    )
    net = pl.any_horizontal(pl.col(name).sum().over(_CHARGE).fill_null(0) != 0 for name in _AMOUNTS)
    return found.filter(net)


def unbilled_usage(metered: pl.LazyFrame, billed: pl.LazyFrame, last: Collection[str]) -> pl.DataFrame:
    """What was metered of lines and is not on them, for it came after their quantities were frozen.

    Args:
        metered: rows of the lines (stored shape), one of each charge, at all that was metered.
        billed: the same at what was frozen.
        last: the charges whose line ends with its billing period, or with its subscription within it.

    Returns:
        Usage in the billing period of the line, with ChargeClass Correction: quantities and SKU kept, InvoiceId, unit
        prices and PricingCategory null, at no cost; ``x_CorrectedInvoiceId`` is the invoice of the line. Of a line
        that another one of the period may follow it has no ChargeClass, and prices. Sorted.
    """
    in_the_middle = ~pl.col("x_ChargeId").is_in(list(last))
    columns = internal_schema().names()
    # Before as well: of equal quantities the first says which price the usage is shown at.
    changed = _changed(*that_differ(metered.select(columns), billed.select(columns))).sort(
        _ORDER, nulls_last=True, maintain_order=True
    )
    return (
        pl.concat(_not_billed(changed, in_the_middle))
        .with_columns(
            pl.col("InvoiceId").alias("x_CorrectedInvoiceId"),
            pl.lit(None, pl.String).alias("InvoiceId"),
            pl.when(~in_the_middle).then(pl.lit(CORRECTION)).alias("ChargeClass"),
            (pl.lit(_UNBILLED) + pl.col("ChargeDescription")).alias("ChargeDescription"),
        )
        .sort(_ORDER, nulls_last=True, maintain_order=True)
    )


def _rebilled(changed: pl.DataFrame) -> pl.DataFrame:
    quantity_differs = pl.any_horizontal(
        pl.col(name).sum().over(_BOUGHT).fill_null(0) != 0 for name in _QUANTITIES
    )
    own_quantity = pl.any_horizontal(pl.col(name).fill_null(0) != 0 for name in _QUANTITIES)
    with_quantity, rest = _as_products(changed.filter(quantity_differs & own_quantity))
    cost_alone = pl.concat([changed.filter(~(quantity_differs & own_quantity)), rest])
    schema = internal_schema()
    kind = pl.col("ChargeCategory")
    others = [name for name in schema if name not in (*_COSTS, *_BOUGHT, "ChargeCategory")]
    adjusted = (
        cost_alone.group_by(_BOUGHT, maintain_order=True)
        .agg(
            pl.col(_COSTS).sum(),
            # Of what has no price tax and credit stay what they are, so that each adds up by itself.
            pl.when(((kind == "Credit") | (kind == "Tax")).all() & (kind.n_unique() == 1))
            .then(kind.first())
            .otherwise(pl.lit("Adjustment"))
            .alias("ChargeCategory"),
            *(pl.col(name).drop_nulls().first() for name in others),
        )
        .filter(pl.any_horizontal(pl.col(name) != 0 for name in _COSTS))
        .with_columns(
            *(pl.lit(None, schema[name]).alias(name) for name in (*_QUANTITIES, *_UNITS, *_UNIT_PRICES)),
            pl.lit(None, pl.String).alias("PricingCategory"),
            pl.lit("One-Time").alias("ChargeFrequency"),
            pl.when(kind == "Adjustment")
            .then(pl.coalesce("x_AdjustmentReason", pl.lit("correction")))
            .alias("x_AdjustmentReason"),
        )
    )
    return pl.concat([with_quantity.select(schema.names()), adjusted.select(schema.names())])


def _as_products(changed: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """``changed`` with costs of price times quantity, and what that leaves: products are rounded, sums are not."""
    products = changed.with_columns(
        pl.coalesce(multiply(pl.col("PricingQuantity"), pl.col(price)), cost).alias(cost)
        for cost, price in _PRICE_OF.items()
    )
    left = [(changed[name] - products[name]).alias(name) for name in _COSTS]
    rest = changed.with_columns(left).filter(pl.any_horizontal(pl.col(name) != 0 for name in _COSTS))
    return products, rest


def _is_in(periods: Collection[ClosedPeriod]) -> pl.Expr:
    schema = {name: internal_schema()[name] for name in PERIOD_COLUMNS}
    own = pl.DataFrame(sorted(periods), schema=schema, orient="row").to_struct()
    return pl.struct(PERIOD_COLUMNS).is_in(own.implode())


def _not_billed(changed: pl.DataFrame, within: pl.Expr) -> list[pl.DataFrame]:
    """Usage at no cost: with prices where it is corrected ``within`` its billing period, and others without."""
    inside = within.eq_missing(True)
    return [
        _at_no_cost(changed.filter(inside), priced=True),
        _at_no_cost(changed.filter(~inside), priced=False),
    ]


def _at_no_cost(changed: pl.DataFrame, *, priced: bool) -> pl.DataFrame:
    schema = internal_schema()
    prices = (*_UNIT_PRICES, "PricingCategory")
    products = [
        multiply(pl.col("PricingQuantity"), pl.col(price)).alias(cost) for cost, price in _PRICE_OF.items()
    ]
    # Nobody pays for it, so which tier it moved what into does not matter: it is shown at the price that most has.
    used = [name for name in _BOUGHT if name not in ("SkuPriceId", "x_PriceComponent")]
    others = [name for name in schema if name not in (*_QUANTITIES, *used)]
    return (
        changed.filter(pl.col("ChargeCategory") == "Usage")
        .sort(pl.col("ConsumedQuantity").abs(), descending=True, nulls_last=True, maintain_order=True)
        .group_by(used, maintain_order=True)
        .agg(pl.col(_QUANTITIES).sum(), *(pl.col(name).drop_nulls().first() for name in others))
        .filter(pl.any_horizontal(pl.col(name) != 0 for name in _QUANTITIES))
        .with_columns(
            *(pl.lit(0, schema[name]).alias(name) for name in _COSTS),
            # No line of an invoice has it; what it belongs to is x_CorrectedInvoiceId's.
            pl.lit(None, pl.String).alias("InvoiceDetailId"),
        )
        .with_columns(products if priced else [pl.lit(None, schema[name]).alias(name) for name in prices])
        .select(schema.names())
    )


def _booked(
    rows: pl.DataFrame,
    bookings: Mapping[ClosedPeriod, Booking],
    issuer: str,
    day: dt.date,
    rated: Collection[str],
    *,
    apart: bool = False,
) -> pl.DataFrame:
    """The rows in the periods that take them, with ChargeClass, invoice and line; those ``apart`` keep the latter."""
    schema = internal_schema()
    places = pl.DataFrame(
        [
            (
                of.account,
                of.currency,
                of.start,
                of.end,
                b.period.start,
                b.period.end,
                b.invoice,
                not b.closed,
            )
            for of, b in sorted(bookings.items())
        ],
        schema=BOOKINGS,
        orient="row",
    )
    billed = pl.col("InvoiceDetailId").is_not_null()
    invoice = pl.when(billed).then(invoice_id(pl.col("_invoice"), pl.col("InvoiceIssuerName"), issuer))
    of_day = (
        pl.when(~pl.col("x_ChargeId").is_in(list(rated))).then(pl.lit(f"/{day:%F}")).otherwise(pl.lit(""))
    )
    line = pl.concat_str(
        "InvoiceDetailId", pl.lit(CORRECTED_LINE), pl.col("_from").dt.strftime("%Y%m%dT%H%M%SZ"), of_day
    )
    what = pl.when(billed).then(pl.lit(_CORRECTED)).otherwise(pl.lit(_UNBILLED))
    # A charge of which nothing but corrections is left does not say which period it was of: any of its account will do.
    account = ["BillingAccountId", "BillingCurrency"]
    known = pl.col("BillingPeriodStart").is_not_null()
    same = pl.all_horizontal(
        pl.col("BillingPeriodStart").eq_missing(pl.col("_from")),
        pl.col("BillingPeriodEnd").eq_missing(pl.col("_to")),
    )
    parts = [
        rows.filter(known).join(places, on=PERIOD_COLUMNS, how="inner", maintain_order="left"),
        rows.filter(~known).join(
            places.group_by(account).last(), on=account, how="inner", maintain_order="left", suffix="_of"
        ),
    ]
    of_the_period = (
        pl.lit(None, pl.String).alias("x_OpenMeterInvoiceId"),
        pl.col("_estimated").alias("x_IsEstimated"),
        invoice.alias("InvoiceId"),
        pl.when(pl.col("_invoice").is_not_null()).then(line).alias("InvoiceDetailId"),
    )
    return (
        pl.concat(part.select(*rows.columns, "_from", "_to", "_invoice", "_estimated") for part in parts)
        .with_columns(
            pl.coalesce("x_CorrectedInvoiceId" if apart else "InvoiceId", "InvoiceId").alias(
                "x_CorrectedInvoiceId"
            ),
            pl.when(~same).then(pl.lit(CORRECTION)).alias("ChargeClass"),
            (what + pl.col("ChargeDescription")).alias("ChargeDescription"),
            pl.col("_from").alias("BillingPeriodStart"),
            pl.col("_to").alias("BillingPeriodEnd"),
            *(() if apart else of_the_period),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in schema.items())
        .sort(_ORDER, nulls_last=True, maintain_order=True)
    )
