"""Which rows imported invoices billed that were voided since their period closed, and which bill it in their place.

What belongs here: telling them from others. What does not: what becomes of the difference (``corrections``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import polars as pl

from focus_assets.billing.close import ClosedPeriod
from focus_assets.billing.closed import PERIOD_COLUMNS
from focus_assets.billing.correction_signs import is_correction
from focus_assets.billing.period_invoices import PeriodInvoice
from focus_assets.focus.schema import internal_schema

BILLED_ANEW: Final = "_billed_anew"
"""The column that says so."""

_INVOICE: Final = (*PERIOD_COLUMNS, "x_OpenMeterInvoiceId")


def billed_anew(
    fresh: pl.LazyFrame,
    closed: pl.LazyFrame,
    voided: Collection[PeriodInvoice],
    known: Mapping[ClosedPeriod, Collection[str]],
) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Both with :data:`BILLED_ANEW`: whether invoices billed it that were voided since the close, or bill it instead.

    The others correct the voided one, so their rows name it. A day may have rows of one of them alone, so which there
    are is not told by its rows.
    """
    schema = {name: internal_schema()[name] for name in (*_INVOICE, "InvoiceId")}
    invoices = [name for name in schema if name != "InvoiceId"]
    rows = [(*period, invoice) for period, ids in sorted(known.items()) for invoice in sorted(ids)]
    kept = pl.concat(
        [
            pl.LazyFrame(rows, schema={name: schema[name] for name in invoices}, orient="row"),
            closed.select(invoices).drop_nulls(),
        ]
    ).unique()
    gone = (
        pl.LazyFrame([(*each.period, each.id, each.number) for each in voided], schema=schema, orient="row")
        .join(kept, on=invoices, how="semi")
        .collect()
    )
    anew = pl.lit(True).alias(BILLED_ANEW)
    by_period = gone.group_by(PERIOD_COLUMNS).agg(pl.col("InvoiceId").min().alias("_void"))
    since = (
        fresh.join(
            kept.with_columns(pl.lit(True).alias("_kept")), on=invoices, how="left", maintain_order="left"
        )
        .join(by_period.lazy(), on=PERIOD_COLUMNS, how="left", maintain_order="left")
        .with_columns(
            pl.all_horizontal(
                pl.col("x_OpenMeterInvoiceId").is_not_null(),
                pl.col("_kept").is_null(),
                pl.col("_void").is_not_null(),
            ).alias(BILLED_ANEW)
        )
        .with_columns(pl.when(BILLED_ANEW).then("_void").otherwise("InvoiceId").alias("InvoiceId"))
        .drop("_kept", "_void")
    )
    numbers = (
        gone.lazy().select("BillingAccountId", pl.col("InvoiceId").alias("x_CorrectedInvoiceId")).unique()
    )
    of_void = (
        closed.join(gone.lazy().select(*invoices, anew), on=invoices, how="left", maintain_order="left")
        .join(
            numbers.with_columns(pl.lit(True).alias("_corrects")),
            on=["BillingAccountId", "x_CorrectedInvoiceId"],
            how="left",
            maintain_order="left",
        )
        .with_columns(
            (
                pl.col(BILLED_ANEW).eq_missing(True)
                | (is_correction() & pl.col("_corrects").eq_missing(True))
            ).alias(BILLED_ANEW)
        )
        .drop("_corrects")
    )
    return since, of_void
