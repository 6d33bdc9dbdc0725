"""The lines of invoices that corrections of closed periods are on.

What belongs here: their rows of Invoice Detail, and which line a correction is of. What does not: the corrections
themselves (``corrections``) and the lines of a period's own charges (``invoices``).

A corrected line stands where the line that it corrects does, on the day that line ends; so rounding is part of it, and
it is whole cents. A charge that the catalog does not know any more ends nowhere: its corrections are a line for each
day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import polars as pl

from focus_assets.billing.close import PeriodClose
from focus_assets.billing.correction_signs import CORRECTED_LINE, is_correction
from focus_assets.billing.datasets import INVOICE_DETAILS
from focus_assets.billing.invoices import in_shape
from focus_assets.catalog.periods import Period
from focus_assets.decimals import UTC_INSTANT
from focus_assets.settings import BillingSettings


def corrected_lines(
    rows: pl.LazyFrame, stems: Collection[str], day: dt.date, close: PeriodClose, terms: BillingSettings
) -> pl.LazyFrame:
    """Rows of Invoice Detail for the corrections among ``rows`` that are on an issued invoice.

    Args:
        rows: Cost and Usage (stored shape) of the days of the lines that end on ``day``.
        stems: these lines, up to their names (:func:`~focus_assets.focus.invoice_lines.line_stem`).
        day: also of the corrections of this day whose charge is not known any more.
        close: when invoices are issued.
        terms: what the configuration says of payment.

    ReferenceInvoiceId is the invoice that is corrected.
    """
    parts = pl.col("InvoiceDetailId").str.split(CORRECTED_LINE)
    place = parts.list.last()
    stem = parts.list.first().str.replace(r"/[^/]*$", "")
    lost = place.str.ends_with(f"/{day:%F}")
    of_known = stem.is_in(list(stems)) & ~place.str.contains("/", literal=True)
    found = rows.filter(is_correction(), pl.col("InvoiceDetailId").is_not_null(), lost | of_known)
    periods = found.select("BillingPeriodStart", "BillingPeriodEnd").unique().collect()
    if periods.is_empty():
        return INVOICE_DETAILS.empty()
    issued = pl.LazyFrame(
        [(start, end, close.closes_at(Period(start, end))) for start, end in sorted(periods.iter_rows())],
        schema={"BillingPeriodStart": UTC_INSTANT, "BillingPeriodEnd": UTC_INSTANT, "_issued": UTC_INSTANT},
        orient="row",
    )
    named = pl.col("x_AdjustmentReason").is_null()
    text = pl.col("ChargeDescription").sort_by(named, descending=True).first().str.split(", ").list.head(3)
    category = pl.col("ChargeCategory").sort_by(named, descending=True).first()
    first = (
        "BillingAccountId",
        "BillingCurrency",
        "BillingPeriodEnd",
        "BillingPeriodStart",
        "InvoiceIssuerName",
        "x_CustomerKey",
        "_issued",
    )
    return in_shape(
        found.join(issued, on=["BillingPeriodStart", "BillingPeriodEnd"])
        .sort("InvoiceId", "InvoiceDetailId", "ChargePeriodStart", "SkuPriceId", "ChargeDescription")
        .group_by(pl.col("InvoiceId").alias("_invoice_id"), pl.col("InvoiceDetailId").alias("_line_id"))
        .agg(
            pl.col("BilledCost").sum(),
            category.alias("ChargeCategory"),
            text.list.join(", ").alias("InvoiceDetailDescription"),
            pl.col("x_CorrectedInvoiceId").first().alias("ReferenceInvoiceId"),
            *(pl.col(name).first() for name in first),
        ),
        terms,
    )
