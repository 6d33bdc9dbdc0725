"""Rows of Cost and Usage as imported invoices bill them: named by their invoice, and adding up to it to the cent.

What belongs here: naming rows, and the rows that an invoice adds: what rounding a line adds, tax, credits, and what
usage does not explain. What does not: which line bills what (``bills``).

Rows stay exact. When an invoice is issued, the difference between a detailed line and its rows is an Adjustment on the
day that the line ends: of reason ``rounding`` where rounding can be all of it, ``included_tax`` where it is the tax in
its price, ``credit_allocation`` where only credit stands on other lines than here, ``late_usage`` where more was
metered than was frozen for the line, ``edited_by_hand`` where somebody edited it, and else ``unexplained``, which is an
error (``billed_lines``). So the rows of an InvoiceId add up to its total whatever it asks for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl

from focus_assets.billing.adjustment_reasons import (
    ADDED_BY_HAND,
    INCLUDED_TAX,
    TOLD,
    UNEXPLAINED,
    reasons_of,
)
from focus_assets.billing.bills import Bill, unexplained_on
from focus_assets.billing.credit_allocation import CREDIT_ALLOCATION
from focus_assets.billing.invoice_rows import (
    WITHOUT_SKU,
    base_row,
    credit_id,
    credit_text,
    tax_text,
)
from focus_assets.billing.paid_in_advance import less_prepaid
from focus_assets.billing.rounding import FIRST_ROW, ROUNDING, Settled, adjustments_of, summed_lines
from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.invoices import InvoiceDetail
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import COST, EXACT, UTC_INSTANT, minor_unit, round_amount
from focus_assets.focus.schema import internal_schema
from focus_assets.focus.unpriced import OF_ONE_BUYER, WITHOUT_PRICE
from focus_assets.rating.lines import CREDIT_EXPIRY_COMPONENT

_IS_CREDIT: Final = pl.col("ChargeCategory") == "Credit"
_COSTS: Final = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost")

_NAMES: Final = pl.Schema(
    {
        "x_ChargeId": pl.String(),
        "ChargePeriodStart": UTC_INSTANT,
        "_line": pl.String(),
        "_number": pl.String(),
        "_ulid": pl.String(),
        "_issued": pl.Boolean(),
        "_supplier": pl.String(),
        "_first": pl.String(),
        "_credit": pl.String(),
    }
)
_DETAILS: Final = pl.Schema({"_line": pl.String(), "_name": pl.String(), "_detail": pl.String()})


def billed_rows(
    rows: pl.LazyFrame,
    earlier: pl.LazyFrame | None,
    bills: Sequence[Bill],
    catalog: Catalog,
    day: dt.date,
    start: dt.date,
) -> pl.LazyFrame:
    """The day's ``rows`` (stored shape) named by the invoices in ``bills``, then what these add on the day.

    Args:
        earlier: rows of the earlier days of lines that settle on ``day``; others may be among them.
        start: the first day of all.
    """
    named = _named(rows, bills)
    settling = [bill for bill in bills if bill.settles(start)]
    added = []
    if settling:
        found = named if earlier is None else pl.concat([earlier, named])
        used = rows_of_bills(found, settling).collect()
        settling = less_prepaid(settling, used.lazy())
        reasons = reasons_of(settling, used, start)
        settled = _settled(used, settling, day, reasons)
        named = settled.applied_to(named)
        added += list(_beside(settling, used, catalog, reasons))
    added += list(_unexplained(catalog, day))
    if not added:
        return named
    schema = internal_schema()
    return pl.concat([named, pl.LazyFrame(added, schema=schema, orient="row")])


def _named(rows: pl.LazyFrame, bills: Sequence[Bill]) -> pl.LazyFrame:
    """Rows with number, line and issuer of the invoice that bills them."""
    if not bills:
        return rows
    names = [
        (
            each.charge_id,
            each.period.start if isinstance(each, ChargeSlice) else each.service.start,
            bill.line.id,
            bill.invoice.number,
            bill.invoice.id,
            bill.invoice.is_issued,
            bill.invoice.supplier,
            bill.details[0].id,
            credit_id(bill.line.id) if bill.line.credits != 0 else None,
        )
        for bill in bills
        for each in bill.charged
    ]
    details = [(bill.line.id, name, detail) for bill in bills for name, detail in bill.detail_of.items()]
    own_line = pl.col("InvoiceDetailId").str.replace(r"^.*/", "").alias("_name")
    # Credit that expires on the day on which it was bought begins with it, and no line asks for it.
    expires = pl.col("x_PriceComponent") == CREDIT_EXPIRY_COMPONENT
    billed = pl.col("_number").is_not_null() & ~expires
    return (
        rows.join(
            pl.LazyFrame(names, schema=_NAMES, orient="row"),
            on=["x_ChargeId", "ChargePeriodStart"],
            how="left",
            maintain_order="left",
        )
        .with_columns(own_line)
        .join(
            pl.LazyFrame(details, schema=_DETAILS, orient="row"),
            on=["_line", "_name"],
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.when(billed).then("_number").otherwise("InvoiceId").alias("InvoiceId"),
            pl.when(billed)
            # Credit that the invoice states is the one of the settings that they say it gave.
            .then(pl.coalesce(pl.when(_IS_CREDIT).then("_credit"), "_detail", "_first"))
            .otherwise("InvoiceDetailId")
            .alias("InvoiceDetailId"),
            pl.coalesce(pl.when(billed).then("_supplier"), "InvoiceIssuerName").alias("InvoiceIssuerName"),
            pl.when(billed).then("_ulid").alias("x_OpenMeterInvoiceId"),
            pl.when(billed).then(~pl.col("_issued")).otherwise("x_IsEstimated").alias("x_IsEstimated"),
        )
        .select(internal_schema().names())
    )


def rows_of_bills(rows: pl.LazyFrame, bills: Sequence[Bill]) -> pl.LazyFrame:
    """Those of ``rows`` that ``bills`` bill, what was added to them too, with ``_line`` and ``_line_id``."""
    terms = pl.LazyFrame(
        [
            (bill.last.charge_id, bill.period.start, bill.period.end, bill.line.id, _smallest(bill))
            for bill in bills
        ],
        schema={
            "x_ChargeId": pl.String(),
            "_from": UTC_INSTANT,
            "_to": UTC_INSTANT,
            "_line": pl.String(),
            "_minor_unit": COST,
        },
        orient="row",
    )
    begins = pl.col("ChargePeriodStart")
    return (
        rows.join(terms, on="x_ChargeId")
        .filter(begins >= pl.col("_from"), begins < pl.col("_to"))
        .with_columns(pl.col("InvoiceId").alias("_invoice_id"), pl.col("InvoiceDetailId").alias("_line_id"))
    )


def _settled(used: pl.DataFrame, bills: Sequence[Bill], day: dt.date, reasons: Mapping[str, str]) -> Settled:
    """What is between each detailed line and its rows: in place where rounding one row is all of it, else a row."""
    stated = pl.DataFrame(
        [
            (
                bill.line.id,
                detail.id,
                detail.net,
                detail.tax_included,
                _smallest(bill) / 2 * bill.roundings.get(detail.id, 1),
                reasons[bill.line.id],
            )
            for bill in bills
            for detail in bill.details
        ],
        schema={
            "_line": pl.String(),
            "_line_id": pl.String(),
            "_total": COST,
            "_included": COST,
            "_tolerance": COST,
            "_other": pl.String(),
        },
        orient="row",
    )
    difference = pl.col("_total") - pl.col("BilledCost")
    lines = (
        summed_lines(used, day)
        .join(stated.drop("_line"), on="_line_id")
        .filter(difference != 0)
        .with_columns(
            pl.when((difference + pl.col("_included")).abs() > pl.col("_tolerance"))
            .then("_other")
            .when(pl.col("_included") != 0)
            .then(pl.lit(INCLUDED_TAX))
            .otherwise(pl.lit(ROUNDING))
            .alias("_reason")
        )
        .sort("_invoice_id", "_line_id")
    )
    # What bought credit pays stays effective as it was rated, whatever is asked for beside it.
    in_full = pl.col("x_CreditGrantId").is_null() & (pl.col("_reason") == ROUNDING)
    alone = (pl.col("_rows") == 1) & (pl.col("_rows_of_day") == 1) & in_full
    own = lines.filter(~alone)
    adjusted = adjustments_of(own).with_columns(
        own["_reason"].alias("x_AdjustmentReason"),
        (own["_reason"].replace_strict(TOLD, return_dtype=pl.String) + own["ChargeDescription"]).alias(
            "ChargeDescription"
        ),
    )
    return Settled(
        adjustments=adjusted, in_place=lines.filter(alone).select("_invoice_id", "_line_id", "_total")
    )


def _beside(
    bills: Sequence[Bill], used: pl.DataFrame, catalog: Catalog, reasons: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """What lines ask for beside their rows: details without any, tax, and the credits that were allocated to them."""
    billed = set(used["InvoiceDetailId"])

    def missing(bill: Bill) -> list[InvoiceDetail]:
        return [detail for detail in bill.details if detail.net != 0 and detail.id not in billed]

    more = [bill for bill in bills if bill.line.tax != 0 or bill.line.credits != 0 or missing(bill)]
    rows = used.filter(pl.col("_line").is_in([bill.line.id for bill in more]))
    by_line = {str(key[0]): frame for key, frame in rows.partition_by("_line", as_dict=True).items()}
    for bill in more:
        own = by_line.get(bill.line.id, used.clear())
        template = _template(bill, own, catalog)
        for detail in missing(bill):
            yield (
                template
                | dict.fromkeys(WITHOUT_PRICE)
                | dict.fromkeys(_COSTS, detail.net)
                | {
                    "ChargeCategory": "Adjustment",
                    "ChargeDescription": detail.name or bill.line.name,
                    "InvoiceDetailId": detail.id,
                    "x_AdjustmentReason": reasons[bill.line.id],
                    "x_PriceComponent": ROUNDING,
                }
            )
        yield from _tax_and_credits(bill, own, template, reasons[bill.line.id])


def _tax_and_credits(
    bill: Bill, own: pl.DataFrame, template: Mapping[str, Any], reason: str
) -> Iterator[dict[str, Any]]:
    line = bill.line
    described = dict(template)
    if line.tax != 0:
        net = line.net - line.credits
        # What is taxed of another cost is as far from what is taxed of the billed one as rows are.
        sums = {name: sum(own[name].to_list(), Decimal(0)) for name in _COSTS}
        costs = {
            name: _share(line.tax, net + total - sums["BilledCost"], net, _smallest(bill))
            for name, total in sums.items()
        }
        yield (
            described
            | dict.fromkeys(WITHOUT_SKU)
            | costs
            | {
                "BilledCost": line.tax,
                **tax_text(line.id, line.name),
            }
        )
    if line.credits != 0:
        given = -sum(own.filter(_IS_CREDIT)["BilledCost"].to_list(), Decimal(0))
        rest, credit = line.credits - given, credit_text(line.id, line.name)
        if given != 0 or bill.prepaid != 0:
            rounding = abs(rest) <= _smallest(bill) / 2 * sum(bill.roundings.values())
            other = CREDIT_ALLOCATION if reason == CREDIT_ALLOCATION else UNEXPLAINED
            credit |= {
                "ChargeCategory": "Adjustment",
                "x_AdjustmentReason": ROUNDING if rounding else other,
                "x_PriceComponent": ROUNDING,
            }
        if rest != 0:
            yield described | dict.fromkeys(WITHOUT_PRICE) | dict.fromkeys(_COSTS, -rest) | credit


def _template(bill: Bill, own: pl.DataFrame, catalog: Catalog) -> dict[str, Any]:
    """The texts of the line's first row, for the whole of what the line is for."""
    row = base_row(bill.invoice, bill.line, catalog) | {"x_ChargeId": bill.last.charge_id}
    if not own.is_empty():
        first = own.sort(FIRST_ROW, nulls_last=True, maintain_order=True).row(0, named=True)
        row = {name: first[name] for name in row}
    return row | {
        "ChargeClass": None,
        "ChargeFrequency": "One-Time",
        "ChargePeriodStart": bill.period.start,
        "ChargePeriodEnd": bill.period.end,
        "x_AdjustmentReason": None,
        **dict.fromkeys(OF_ONE_BUYER),
    }


def _share(tax: Decimal, base: Decimal, net: Decimal, smallest: Decimal) -> Decimal:
    """The tax of another base at the rate of the invoice's, in whole minor units."""
    if net == 0 or abs(base - net) < smallest:
        return tax
    return round_amount(EXACT.divide(EXACT.multiply(tax, base), net), smallest)


def _smallest(bill: Bill) -> Decimal:
    return minor_unit(bill.invoice.currency)


def _unexplained(catalog: Catalog, day: dt.date) -> Iterator[dict[str, Any]]:
    """Rows of what issued invoices ask for on ``day`` and no charge explains, with its taxes and credits."""
    for invoice, line in unexplained_on(catalog, day):
        described = base_row(invoice, line, catalog)
        reason = ADDED_BY_HAND if line.by_hand else UNEXPLAINED
        yield (
            described
            | dict.fromkeys(_COSTS, line.net)
            | {
                "ChargeCategory": "Adjustment",
                "ChargeDescription": line.name,
                "InvoiceDetailId": line.id,
                "x_AdjustmentReason": reason,
            }
        )
        if line.tax != 0:
            yield described | dict.fromkeys(_COSTS, line.tax) | tax_text(line.id, line.name)
        if line.credits != 0:
            yield described | dict.fromkeys(_COSTS, -line.credits) | credit_text(line.id, line.name)
    for invoice in catalog.invoices:
        if not invoice.is_issued or invoice.created_at.date() != day:
            continue
        whole = base_row(invoice, None, catalog)
        if invoice.tax_beside_lines != 0:
            yield (
                whole | dict.fromkeys(_COSTS, invoice.tax_beside_lines) | tax_text(invoice.id, invoice.number)
            )
        if invoice.rest_beside_lines != 0:
            yield (
                whole
                | dict.fromkeys(_COSTS, invoice.rest_beside_lines)
                | {
                    "ChargeCategory": "Adjustment",
                    "ChargeDescription": f"Invoice {invoice.number}, beside its lines",
                    "InvoiceDetailId": invoice.id,
                    "x_AdjustmentReason": UNEXPLAINED,
                }
            )
