"""The dataset Invoice Detail: the lines of the invoices that closed periods are.

What belongs here: its rows. What does not: what a line comes to (``rounding`` has settled the rows it adds up).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from focus_assets.billing.close import PeriodClose
from focus_assets.billing.datasets import INVOICE_DETAILS
from focus_assets.billing.rounding import ROUNDING, of_lines
from focus_assets.catalog.credit_charges import Charged
from focus_assets.decimals import UTC_INSTANT
from focus_assets.focus.invoice_lines import line_stem
from focus_assets.settings import BillingSettings

_ISSUED: Final = pl.Schema({"_stem": pl.String(), "_issued": UTC_INSTANT})


def invoice_details(
    rows: pl.LazyFrame,
    last: Sequence[Charged],
    issuer: str,
    close: PeriodClose,
    terms: BillingSettings,
) -> pl.LazyFrame:
    """:data:`~focus_assets.billing.datasets.INVOICE_DETAILS` of fees, of credit and of the lines that end with slices.

    Args:
        rows: rows of Cost and Usage of these lines, rounding included; others may be among them.
        last: the fees and credit, and the slices with which lines end, with their invoices.
        issuer: who issues invoices mostly.
        terms: what the configuration says of payment.
    """
    # By line: parts of one charge that end on one day are on invoices of their own.
    closes = {line_stem(each): close.issues_at(each) for each in last}
    issued = pl.LazyFrame(list(closes.items()), schema=_ISSUED, orient="row")
    # Every line has a row that is none of rounding; what a line says of itself is what that row says.
    named = pl.col("x_PriceComponent") != ROUNDING
    category = pl.col("ChargeCategory").filter(named).first()
    return in_shape(
        of_lines(rows, last, issuer)
        .join(issued, on="_stem")
        .sort("_invoice_id", "_line_id", "ChargePeriodStart", "SkuPriceId", "ChargeDescription")
        .group_by("_invoice_id", "_line_id", maintain_order=True)
        .agg(
            pl.col("BilledCost").sum(),
            category.alias("ChargeCategory"),
            _description(named).alias("InvoiceDetailDescription"),
            *(
                pl.col(name).first()
                for name in (
                    "BillingAccountId",
                    "BillingCurrency",
                    "BillingPeriodEnd",
                    "BillingPeriodStart",
                    "InvoiceIssuerName",
                    "x_CustomerKey",
                    "_issued",
                )
            ),
        )
        .with_columns(pl.col("_invoice_id").alias("ReferenceInvoiceId")),
        terms,
    )


def in_shape(lines: pl.LazyFrame, terms: BillingSettings) -> pl.LazyFrame:
    """:data:`~focus_assets.billing.datasets.INVOICE_DETAILS` of lines.

    ``_invoice_id`` and ``_line_id`` say which line it is, ``_issued`` when its invoice was issued.
    """
    grain = pl.concat_str(pl.lit('{"x_InvoiceDetailId":'), _json_text(pl.col("_line_id")), pl.lit("}"))
    issue = pl.col("_issued")
    days = terms.payment_days
    due = pl.lit(None, UTC_INSTANT) if days is None else issue + pl.duration(days=days)
    schema = INVOICE_DETAILS.schema
    return (
        lines.with_columns(
            issue.alias("InvoiceDetailCreated"),
            issue.alias("InvoiceDetailLastUpdated"),
            issue.alias("InvoiceIssueDate"),
            due.alias("PaymentDueDate"),
            pl.col("_line_id").alias("InvoiceDetailId"),
            pl.col("_line_id").alias("PaymentCurrencyInvoiceDetailId"),
            pl.col("_invoice_id").alias("InvoiceId"),
            grain.alias("InvoiceDetailGrain"),
            pl.lit("Issued").alias("InvoiceIssueStatus"),
            pl.lit(terms.payment_terms).alias("PaymentTerms"),
            pl.col("BillingCurrency").alias("PaymentCurrency"),
            pl.col("BilledCost").alias("PaymentCurrencyBilledCost"),
            pl.lit(None, pl.String).alias("PurchaseOrderNumber"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in schema.items())
        .sort(INVOICE_DETAILS.order)
    )


def _description(named: pl.Expr) -> pl.Expr:
    """What is bought and for which part of the price: the row's own description without price and plan."""
    parts = pl.col("ChargeDescription").filter(named).first().str.split(", ")
    return parts.list.head(2).list.join(", ")


def _json_text(value: pl.Expr) -> pl.Expr:
    escaped = value.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    return pl.concat_str(pl.lit('"'), escaped, pl.lit('"'))
