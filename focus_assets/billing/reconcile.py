"""Holding invoices against what they should be: each line rated at once, beside the rows that it adds up.

What belongs here: the comparison. What does not: rating a charge at once (``whole_periods``) and where rows lie
(``billing_stages``). The reference reads quantities and prices alone, the rows were rated day by day: neither is made
of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.billing.paid_in_advance import IS_COVERED
from focus_assets.billing.rounding import ROUNDING
from focus_assets.billing.whole_periods import Usage, whole_lines
from focus_assets.catalog.credit_charges import Charged, money_for_one
from focus_assets.decimals import COST, UNIT_PRICE, UTC_INSTANT, convert, minor_unit, round_to
from focus_assets.focus.invoice_lines import line_stem
from focus_assets.rating.lines import CREDIT_COMPONENT

LINES: Final = pl.Schema(
    {
        "InvoiceId": pl.String(),
        "InvoiceDetailId": pl.String(),
        "BillingPeriodStart": UTC_INSTANT,
        "BillingCurrency": pl.String(),
        "reference": COST,
        "stated": COST,
        "charged": COST,
        "rounding": COST,
        "difference": COST,
        "finding": pl.String(),
        "note": pl.String(),
    }
)
"""A line of an invoice.

``reference``: what rating its charge at once comes to, or what OpenMeter's invoice says; ``stated``: BilledCost in
Invoice Detail; ``charged``: the sum of BilledCost of its rows, of which ``rounding`` was added when it was settled;
``difference``: charged less reference. ``finding`` is null where nothing is wrong; ``note`` says what is unbilled.
"""

MOVED: Final = pl.Schema({"InvoiceDetailId": pl.String(), "moved": COST})
"""By line, what it would come to now, less what was closed: what its corrections have to come to."""

_ZERO: Final = pl.lit(0, COST)
_IN_MONEY: Final = pl.col("PricingCurrency") == pl.col("BillingCurrency")

_INVOICES: Final = pl.Schema(
    {
        "stem": pl.String(),
        "BillingPeriodStart": UTC_INSTANT,
        "_currency": pl.String(),
        "_half": COST,
        "_rate": UNIT_PRICE,
    }
)


def reconciled(
    rows: pl.LazyFrame,
    details: pl.LazyFrame,
    last: Sequence[Charged],
    usage: Mapping[str, Usage],
    moved: pl.DataFrame | None = None,
    fresh: pl.LazyFrame | None = None,
) -> pl.DataFrame:
    """:data:`LINES` of fees, of credit and of the invoice lines that end with slices, sorted.

    Args:
        rows: rows of Cost and Usage; lines count what names them in InvoiceDetailId.
        last: the fees and credit, and the slices with which lines end.
        details: rows of Invoice Detail.
        usage: by line, what was used, from another source than ``rows``.
        moved: :data:`MOVED`, where lines have been closed and would be others now: that is for other invoices.
        fresh: the rows as if nothing had closed, where those are others.

    A line that nobody charged and whose reference is zero is left out.
    """
    terms = pl.DataFrame(
        sorted(
            {
                (line_stem(each), each.billing.start, each.currency, _half(each), money_for_one(each))
                for each in last
            }
        ),
        schema=_INVOICES,
        orient="row",
    )
    stem = pl.col("InvoiceDetailId").str.replace(r"/[^/]*$", "").alias("stem")
    stems = terms["stem"].implode()
    charged = (
        rows.filter(pl.col("InvoiceDetailId").is_not_null())
        .with_columns(stem)
        .filter(pl.col("stem").is_in(stems))
        .group_by("InvoiceDetailId")
        .agg(
            pl.col("InvoiceId").first(),
            pl.col("InvoiceId").n_unique().alias("_invoices"),
            pl.col("BilledCost").sum().alias("charged"),
            pl.col("BilledCost").filter(pl.col("x_PriceComponent") == ROUNDING).sum().alias("rounding"),
        )
        .collect()
    )
    paid = (
        (rows if fresh is None else fresh)
        .filter(pl.col("InvoiceDetailId").is_not_null(), IS_COVERED)
        .group_by("InvoiceDetailId")
        .agg(
            pl.when(_IN_MONEY).then("EffectiveCost").sum().alias("_covered"),
            pl.when(~_IN_MONEY).then("PricingCurrencyEffectiveCost").sum().alias("_priced"),
        )
        .collect()
    )
    stated = (
        details.with_columns(stem)
        .filter(pl.col("stem").is_in(stems))
        .group_by("InvoiceDetailId")
        .agg(pl.col("InvoiceId").first().alias("_stated_on"), pl.col("BilledCost").sum().alias("stated"))
        .collect()
    )
    reference = whole_lines(last, usage)
    elsewhere = (pl.DataFrame(schema=MOVED) if moved is None else moved).filter(stem.is_in(stems))
    lines = (
        # In full: a line of an issued invoice may have nothing left of it since.
        reference.join(elsewhere, on="InvoiceDetailId", how="full", coalesce=True)
        .with_columns(pl.col("total").fill_null(_ZERO) - pl.col("moved").fill_null(_ZERO))
        .join(charged, on="InvoiceDetailId", how="full", coalesce=True)
        .join(stated, on="InvoiceDetailId", how="full", coalesce=True)
        .join(paid, on="InvoiceDetailId", how="left")
        .with_columns(stem)
        .join(terms, on="stem", how="left")
        # What credit in a custom currency paid of a line was not converted and asked for.
        .with_columns((pl.col("_covered") + convert(pl.col("_priced"), pl.col("_rate"))).alias("covered"))
    )
    total, covered = pl.col("total").fill_null(_ZERO), pl.col("covered").fill_null(_ZERO)
    filled = lines.with_columns(
        pl.coalesce("InvoiceId", "_stated_on").alias("InvoiceId"),
        pl.col("_currency").alias("BillingCurrency"),
        # What bought credit pays is billed with the credit; what given credit pays nobody else can say.
        pl.when(pl.col("InvoiceDetailId").str.ends_with(f"/{CREDIT_COMPONENT}"))
        .then("charged")
        .when(covered != 0)
        .then(round_to(total - covered, pl.col("_half") + pl.col("_half")))
        .otherwise(total)
        .alias("reference"),
        *(pl.col(name).fill_null(_ZERO) for name in ("charged", "stated", "rounding", "covered")),
    ).with_columns((pl.col("charged") - pl.col("reference")).alias("difference"))
    return (
        filled.with_columns(_finding().alias("finding"), pl.lit(None, pl.String).alias("note"))
        .filter(
            pl.any_horizontal(pl.col("reference", "charged", "stated") != 0) | pl.col("finding").is_not_null()
        )
        .select(pl.col(name).cast(dtype) for name, dtype in LINES.items())
        .sort("InvoiceId", "InvoiceDetailId")
    )


def unsettled(rows: pl.LazyFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """:data:`LINES` of those lines that ``rows`` name and that are not in ``lines``: they were never settled."""
    return (
        rows.filter(pl.col("InvoiceDetailId").is_not_null(), pl.col("x_OpenMeterInvoiceId").is_null())
        .group_by("InvoiceId", "InvoiceDetailId", "BillingPeriodStart", "BillingCurrency")
        .agg(pl.col("BilledCost").sum().alias("charged"))
        .join(lines.lazy(), on="InvoiceDetailId", how="anti")
        .filter(pl.col("charged") != 0)
        .with_columns(
            pl.col("charged").alias("difference"),
            *(_ZERO.alias(name) for name in ("reference", "stated", "rounding")),
            pl.lit("no day settled it; run the days of its billing period again").alias("finding"),
            pl.lit(None, pl.String).alias("note"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in LINES.items())
        .sort("InvoiceId", "InvoiceDetailId")
        .collect()
    )


def by_invoice(lines: pl.DataFrame) -> pl.DataFrame:
    """One row per invoice: its lines, what they come to on each side, and how many of them are wrong; sorted."""
    return (
        lines.group_by("InvoiceId", "BillingCurrency")
        .agg(
            pl.len().alias("lines"),
            pl.col("reference", "stated", "charged", "rounding", "difference").sum(),
            pl.col("finding").is_not_null().sum().alias("findings"),
            pl.col("note").is_not_null().sum().alias("notes"),
        )
        .sort("InvoiceId", nulls_last=True)
    )


def _finding() -> pl.Expr:
    """Above half of the currency's smallest amount a difference is no rounding; nor may rounding hide one."""
    tolerance = pl.max_horizontal(pl.col("tolerance").fill_null(4 * pl.col("_half")), pl.col("_half"))
    rounded_twice = pl.when(pl.col("covered") != 0).then(tolerance).otherwise(_ZERO)
    return (
        pl.when(pl.col("difference").abs() > pl.col("_half") + rounded_twice)
        .then(pl.lit("its rows do not add up to the charge rated at once"))
        .when(pl.col("charged") != pl.col("stated"))
        .then(pl.lit("its rows do not add up to what Invoice Detail states"))
        .when(pl.col("_invoices") > 1)
        .then(pl.lit("its rows name several invoices"))
        .when(pl.col("rounding").abs() > tolerance)
        .then(pl.lit("more was added than rounding can be"))
    )


def _half(charged: Charged) -> Decimal:
    return minor_unit(charged.currency) / 2
