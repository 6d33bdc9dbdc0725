"""What bought credit of the settings pays of imported invoices: their lines state it as credit, rows are not billed.

What belongs here: how much of a line's credits that is, and of which of its amounts. What does not: who pays for which
row (``focus.credits``) and what lines and rows then say (``billed_rows``, ``stated_lines``).

What was bought was billed when it was bought, so that an amount that it pays is in the rows as what is left to pay,
and not once in full and once as credit. An invoice rounds what a row states exactly: of an amount that is paid in
full nothing is left, and of all amounts of a line what the line asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.billing.bills import Bill
from focus_assets.billing.invoice_rows import credit_id
from focus_assets.catalog.credit_charges import money_for_one
from focus_assets.decimals import EXACT, minor_unit, round_amount
from focus_assets.rating.lines import CREDIT_EXPIRY_COMPONENT, CREDIT_PURCHASE_COMPONENT

IS_COVERED: Final = (
    (pl.col("BilledCost") == 0)
    & pl.col("x_CreditGrantId").is_not_null()
    & ~pl.col("x_PriceComponent").is_in([CREDIT_PURCHASE_COMPONENT, CREDIT_EXPIRY_COMPONENT])
)
"""Rows that bought credit pays for."""

_ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class _Sums:
    """What rows of an amount come to: what is left to pay, what bought credit paid, in money and as it was priced."""

    left: Decimal = _ZERO
    covered: Decimal = _ZERO
    priced: Decimal = _ZERO


def less_prepaid(bills: Sequence[Bill], rows: pl.LazyFrame) -> list[Bill]:
    """``bills`` with what bought credit pays taken off their details and off the credits of their lines.

    Args:
        bills: lines that settle, as their invoices state them.
        rows: rows of Cost and Usage of these lines, named by their invoices; others may be among them.

    Of a line without credits nothing is taken off, nor more than its credits: what is paid beyond contradicts it.
    """
    stated = [bill for bill in bills if bill.line.credits > 0]
    if not stated:
        return list(bills)
    ids = [name for bill in stated for name in (*(d.id for d in bill.details), credit_id(bill.line.id))]
    in_money = pl.col("PricingCurrency") == pl.col("BillingCurrency")
    sums = (
        rows.filter(
            pl.col("x_OpenMeterInvoiceId").is_in(sorted({bill.invoice.id for bill in stated})),
            pl.col("InvoiceDetailId").is_in(ids),
            pl.col("ChargeCategory") != "Adjustment",
        )
        .group_by("InvoiceDetailId")
        .agg(
            pl.col("BilledCost").sum(),
            pl.col("EffectiveCost").filter(IS_COVERED, in_money).sum().alias("covered"),
            pl.col("PricingCurrencyEffectiveCost").filter(IS_COVERED, ~in_money).sum().alias("priced"),
        )
        .collect()
    )
    found = {name: _Sums(*amounts) for name, *amounts in sums.iter_rows()}
    return [_less(bill, found) if bill.line.credits > 0 else bill for bill in bills]


def _less(bill: Bill, sums: Mapping[str, _Sums]) -> Bill:
    unit = minor_unit(bill.invoice.currency)
    covered = {
        detail.id: EXACT.add(found.covered, EXACT.multiply(found.priced, money_for_one(bill.last)))
        for detail in bill.details
        for found in [sums.get(detail.id, _Sums())]
    }
    if not any(covered.values()):
        return bill
    given = -sums.get(credit_id(bill.line.id), _Sums()).left
    # A line that gifts pay too keeps a credit for them, if only of the smallest amount.
    of_gifts = max(round_amount(given, unit), unit) if given > 0 else _ZERO
    asked = max(bill.line.credits - of_gifts, _ZERO)
    paid = {}
    for detail in bill.details:
        if covered[detail.id] != 0:
            left = detail.net - round_amount(sums[detail.id].left, unit)
            near = abs(left - covered[detail.id]) <= _tolerance(bill, detail.id, unit)
            paid[detail.id] = left if near else round_amount(covered[detail.id], unit)
    rest = asked - sum(paid.values(), _ZERO)
    rounding = sum((_tolerance(bill, name, unit) for name in paid), unit / 2)
    roundings = dict(bill.roundings)
    if abs(rest) <= rounding:
        # Where something is left to pay, if it is anywhere: it is what all amounts of the line round to.
        last = max(paid, key=lambda name: (sums[name].left != 0, list(paid).index(name)))
        paid[last] += rest
        roundings[last] = sum(roundings.get(name, 1) for name in paid) + 1
    elif rest < 0:
        paid = dict(_at_most(paid, asked))
    total = sum(paid.values(), _ZERO)
    line = bill.line
    return replace(
        bill,
        line=line.model_copy(update={"net": line.net - total, "credits": line.credits - total}),
        details=tuple(
            detail.model_copy(update={"net": detail.net - paid.get(detail.id, _ZERO)})
            for detail in bill.details
        ),
        roundings=roundings,
        prepaid=total,
    )


def _at_most(paid: Mapping[str, Decimal], amount: Decimal) -> Iterator[tuple[str, Decimal]]:
    """The first of ``paid``, as far as ``amount`` goes."""
    for name, each in paid.items():
        yield name, min(each, amount)
        amount -= min(each, amount)


def _tolerance(bill: Bill, detail: str, unit: Decimal) -> Decimal:
    return unit / 2 * bill.roundings.get(detail, 1)
