"""The FOCUS datasets beside Cost and Usage, as the lake keeps them: shape, grain and order.

What belongs here: their names and grain; columns come from the column registry. What does not: how rows are made.
Each is partitioned by day as the usage chain is, and each of its rows lies in one partition only.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.datasets import Column, Dataset
from focus_assets.decimals import COST, UTC_INSTANT
from focus_assets.focus.columns import (
    BILLING_PERIOD,
    CONTRACT_COMMITMENT,
    INVOICE_DETAIL,
    columns,
)
from focus_assets.focus.price_list import PRICE_LIST

_ACCOUNT: Final = Column("x_BillingAccountId", pl.String, "The account whose it is, as in Cost and Usage")
_CUSTOMER: Final = Column("x_CustomerKey", pl.String, "The customer's own key in the metering system")
_FEATURE: Final = Column("x_FeatureKey", pl.String, "Key of the feature that is sold")
_SUBSCRIPTION: Final = Column("x_SubscriptionKey", pl.String, "Key of the subscription it belongs to")


def _dataset(
    name: str, grain: str, focus_dataset: str, order: tuple[str, ...], own: tuple[Column, ...]
) -> Dataset:
    """The columns of FOCUS, then our own, which FOCUS has no place for in these datasets."""
    listed = [
        Column(c.id, c.dtype, c.definition.rstrip("."), nullable=bool(c.nulls_in))
        for c in columns(dataset=focus_dataset)
    ]
    return Dataset(name=name, grain=grain, columns=(*listed, *own), order=order)


BILLING_PERIODS: Final = _dataset(
    "focus_billing_period",
    "a billing period of one account and invoice issuer, on the day from which the account has charges in it, else on "
    "one whose corrections are billed in it",
    BILLING_PERIOD,
    ("BillingPeriodStart", "BillingPeriodEnd", "InvoiceIssuerName", "x_BillingAccountId"),
    (_ACCOUNT, _CUSTOMER),
)

INVOICE_DETAILS: Final = _dataset(
    "focus_invoice_detail",
    "a line of an invoice, on the day that the line's period ends",
    INVOICE_DETAIL,
    ("InvoiceId", "InvoiceDetailId"),
    (_CUSTOMER,),
)

CONTRACT_COMMITMENTS: Final = _dataset(
    "focus_contract_commitment",
    "an amount that a customer committed to spend on a subscription item in one period, on the day that begins",
    CONTRACT_COMMITMENT,
    ("ContractCommitmentId",),
    (_ACCOUNT, _CUSTOMER, _FEATURE, _SUBSCRIPTION),
)

CLOSED_PERIODS: Final = Dataset(
    name="closed_periods",
    grain="a billing period of one account and currency whose rows of that day are kept for good",
    columns=(
        Column("charge_date", pl.Date, "UTC day of the charges"),
        Column("BillingAccountId", pl.String, "The account"),
        Column("BillingPeriodStart", UTC_INSTANT, "Start of the billing period, inclusive"),
        Column("BillingPeriodEnd", UTC_INSTANT, "End of the billing period, exclusive"),
        Column("BillingCurrency", pl.String, "The currency it is invoiced in"),
        Column(
            "rows", pl.Int64, "How many rows of the day are kept, corrections of earlier periods included"
        ),
        Column("BilledCost", COST, "What they bill"),
        Column("kept_as", pl.String, "The sha256 of all rows of the day that are kept"),
    ),
    order=("BillingAccountId", "BillingPeriodStart", "BillingPeriodEnd", "BillingCurrency"),
)

BILLING_DATASETS: Final = (PRICE_LIST, BILLING_PERIODS, INVOICE_DETAILS, CONTRACT_COMMITMENTS, CLOSED_PERIODS)
"""Every dataset that follows the day's charges, in the order of the chain."""

FOCUS_DATASET: Final = {
    BILLING_PERIODS.name: BILLING_PERIOD,
    INVOICE_DETAILS.name: INVOICE_DETAIL,
    CONTRACT_COMMITMENTS.name: CONTRACT_COMMITMENT,
}
"""What FOCUS calls each of them."""
