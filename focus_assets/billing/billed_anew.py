"""Which rows of a closed billing period imported invoices bill anew: after a void, or issued since the close.

What belongs here: telling them, of the day as it would be now and of its closed rows. What does not: the difference
between the two (``corrections``).

A day may have rows of one invoice alone, so which there are is told by the catalog and by what was kept at the close.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import polars as pl

from focus_assets.billing.bills import BilledTime
from focus_assets.billing.close import ClosedPeriod, PeriodClose
from focus_assets.billing.closed import PERIOD_COLUMNS
from focus_assets.billing.period_invoices import PeriodInvoice
from focus_assets.catalog.periods import Period
from focus_assets.focus.schema import internal_schema
from focus_assets.rating.lines import CREDIT_EXPIRY_COMPONENT, CREDIT_PURCHASE_COMPONENT

BILLED: Final = "_billed"
"""The column that says which of the three a row is."""

AS_BEFORE: Final = "as_before"
ANEW: Final = "anew"
"""An invoice that was voided since the close billed it, or the platform did where an imported one bills it now."""
APART: Final = "apart"
"""Billed by an invoice that was issued since the close, beside others or in their place: rows of that invoice."""

_INVOICE: Final = (*PERIOD_COLUMNS, "x_OpenMeterInvoiceId")
_CORRECTED: Final = ["BillingAccountId", "x_CorrectedInvoiceId"]
_OF_PART: Final = ["x_ChargeId", "InvoiceId", "ChargePeriodStart"]
_OF_ACCOUNT: Final = ["BillingAccountId", "x_OpenMeterInvoiceId"]


def marked(
    fresh: pl.LazyFrame,
    closed: pl.LazyFrame,
    voided: Collection[PeriodInvoice],
    known: Mapping[ClosedPeriod, Collection[str]],
    by_itself: Collection[ClosedPeriod],
    correction: pl.Expr,
    unbilled: pl.Expr,
    parts: Collection[ClosedPeriod] = (),
    times: Collection[BilledTime] = (),
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Both with :data:`BILLED`.

    Args:
        fresh: the day's rows of closed periods as they would be now.
        closed: its closed rows, corrections among them.
        voided: imported invoices that nobody has to pay any more.
        known: by period that has closed, the imported invoices that were issued when it did.
        by_itself: periods that have closed without imported invoices.
        correction: whether a row is one.
        unbilled: whether a row is usage that nobody bills.
        parts: open periods in whose middle the platform itself has issued an invoice.
        times: what imported invoices bill of the day's charges by now.

    Rows that are billed in place of others name in ``x_CorrectedInvoiceId`` the invoice that these were on; so does
    usage that came too late of a period that the platform itself had invoiced, in InvoiceId.
    """
    schema = {name: internal_schema()[name] for name in (*_INVOICE, "InvoiceId")}
    invoices = list(_INVOICE)
    rows = [(*period, invoice) for period, ids in sorted(known.items()) for invoice in sorted(ids)]
    original = closed.filter(~correction)
    kept = pl.concat(
        [
            pl.LazyFrame(rows, schema={name: schema[name] for name in invoices}, orient="row"),
            original.select(invoices).drop_nulls(),
        ]
    ).unique()
    gone = (
        pl.LazyFrame([(*each.period, each.id, each.number) for each in voided], schema=schema, orient="row")
        .join(kept, on=invoices, how="semi")
        .collect()
    )
    booked = (
        closed.filter(correction, pl.col("x_OpenMeterInvoiceId").is_not_null())
        .select(_OF_ACCOUNT)
        .unique()
        .with_columns(_booked=True)
    )
    since = _since(fresh, kept, gone, booked, {*known, *by_itself}, _own_invoices(original, by_itself))
    replaced = since.filter("_replaces").select("x_ChargeId").unique()
    taken_over = _taken_over(original, parts, times)
    return since.drop("_replaces"), _closed(closed, gone, replaced, taken_over, correction, unbilled)


def _since(
    fresh: pl.LazyFrame,
    kept: pl.LazyFrame,
    gone: pl.DataFrame,
    booked: pl.LazyFrame,
    judged: Collection[ClosedPeriod],
    own: pl.LazyFrame,
) -> pl.LazyFrame:
    by_period = gone.group_by(PERIOD_COLUMNS).agg(pl.col("InvoiceId").min().alias("_void"))
    imported, in_place_of = pl.col("x_OpenMeterInvoiceId").is_not_null(), pl.coalesce("_void", "_own")
    issued_since = imported & pl.col("_kept").is_null()
    joined = fresh
    for others, on in (
        (kept.with_columns(_kept=True), list(_INVOICE)),
        (by_period.lazy(), list(PERIOD_COLUMNS)),
        (_periods(judged).with_columns(_judged=True), list(PERIOD_COLUMNS)),
        (own, list(PERIOD_COLUMNS)),
        (booked, _OF_ACCOUNT),
    ):
        joined = joined.join(others, on=on, how="left", maintain_order="left")
    is_purchase = pl.col("x_PriceComponent") == CREDIT_PURCHASE_COMPONENT
    is_booked = imported & pl.col("_booked").is_not_null()
    apart = is_booked | (issued_since & (in_place_of.is_not_null() | pl.col("_judged").is_not_null()))
    late = ~imported & pl.col("x_CorrectedInvoiceId").is_not_null() & pl.col("_own").is_not_null()
    return joined.with_columns(
        pl.when(apart).then(pl.lit(APART)).otherwise(pl.lit(AS_BEFORE)).alias(BILLED),
        # Bought credit is billed without an invoice until one asks for it.
        (apart & ~is_booked & (pl.col("_own").is_not_null() | is_purchase)).alias("_replaces"),
        pl.when(apart).then(in_place_of).otherwise("x_CorrectedInvoiceId").alias("x_CorrectedInvoiceId"),
        pl.when(late).then("_own").otherwise("InvoiceId").alias("InvoiceId"),
    ).drop("_kept", "_void", "_judged", "_booked", "_own")


def _own_invoices(original: pl.LazyFrame, by_itself: Collection[ClosedPeriod]) -> pl.LazyFrame:
    """By :data:`PERIOD_COLUMNS`, the invoice that the platform has made of a period; as rows of the day name it."""
    names = [
        (*each, PeriodClose.invoice_name(each.account, Period(each.start, each.end), each.currency))
        for each in sorted(by_itself)
    ]
    schema = {name: internal_schema()[name] for name in (*PERIOD_COLUMNS, "InvoiceId")}
    own = original.filter(pl.col("x_OpenMeterInvoiceId").is_null()).drop_nulls("InvoiceId")
    return (
        pl.LazyFrame(names, schema=schema, orient="row")
        .join(
            own.group_by(PERIOD_COLUMNS).agg(pl.col("InvoiceId").min().alias("_named")),
            on=list(PERIOD_COLUMNS),
            how="left",
        )
        .select(*PERIOD_COLUMNS, pl.coalesce("_named", "InvoiceId").alias("_own"))
    )


def _closed(
    closed: pl.LazyFrame,
    gone: pl.DataFrame,
    replaced: pl.LazyFrame,
    taken_over: pl.LazyFrame,
    correction: pl.Expr,
    unbilled: pl.Expr,
) -> pl.LazyFrame:
    numbers = gone.lazy().select("BillingAccountId", pl.col("InvoiceId").alias("x_CorrectedInvoiceId"))
    joined = closed
    for others, on in (
        (gone.lazy().select(_INVOICE).with_columns(_gone=True), list(_INVOICE)),
        (numbers.unique().with_columns(_corrects=True), _CORRECTED),
        (replaced.with_columns(_replaced=True), ["x_ChargeId"]),
        (taken_over.with_columns(_taken_over=True), _OF_PART),
    ):
        joined = joined.join(others, on=on, how="left", maintain_order="left")
    imported = pl.col("x_OpenMeterInvoiceId").is_not_null()
    corrects_void = correction & pl.col("_corrects").is_not_null()
    # No invoice asks for credit that expires, and its row goes by the same grant as that of buying it.
    may_be = ~unbilled & (pl.col("x_PriceComponent") != CREDIT_EXPIRY_COMPONENT)
    superseded = pl.any_horizontal(pl.col("_replaced", "_taken_over").is_not_null()) & may_be
    billed = (
        pl.when(correction & imported)
        .then(pl.lit(APART))
        .when(pl.col("_gone").is_not_null() | corrects_void | superseded)
        .then(pl.lit(ANEW))
        .otherwise(pl.lit(AS_BEFORE))
    )
    return joined.with_columns(billed.alias(BILLED)).drop("_gone", "_corrects", "_replaced", "_taken_over")


def _taken_over(
    closed: pl.LazyFrame, parts: Collection[ClosedPeriod], times: Collection[BilledTime]
) -> pl.LazyFrame:
    """By :data:`_OF_PART`, what the platform has invoiced of open periods and imported invoices bill now."""
    schema = {
        "x_ChargeId": pl.String(),
        **dict.fromkeys(("_from", "_to"), internal_schema()["ChargePeriodStart"]),
    }
    begins = pl.col("ChargePeriodStart")
    return (
        closed.filter(pl.col("x_OpenMeterInvoiceId").is_null())
        .join(_periods(parts), on=list(PERIOD_COLUMNS), how="semi")
        .select(_OF_PART)
        .unique()
        .join(pl.LazyFrame(list(times), schema=schema, orient="row"), on="x_ChargeId")
        .filter(begins >= pl.col("_from"), begins < pl.col("_to"))
        .select(_OF_PART)
        .unique()
    )


def _periods(periods: Collection[ClosedPeriod]) -> pl.LazyFrame:
    schema = {name: internal_schema()[name] for name in PERIOD_COLUMNS}
    return pl.LazyFrame(sorted(periods), schema=schema, orient="row")
