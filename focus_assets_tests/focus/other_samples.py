"""Clean rows of Billing Period, Invoice Detail and Contract Commitment."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl

from focus_assets.focus.columns import BILLING_PERIOD, CONTRACT_COMMITMENT, INVOICE_DETAIL
from focus_assets.focus.schema import version_schema


def _day(month: int, day: int = 1) -> dt.datetime:
    return dt.datetime(2026, month, day, tzinfo=dt.UTC)


_PERIOD = {"BillingPeriodStart": _day(10), "BillingPeriodEnd": _day(11), "InvoiceIssuerName": "Vendor"}
_LINE = {
    **_PERIOD,
    "BilledCost": Decimal("10.2"),
    "BillingAccountId": "01K0ACME",
    "BillingCurrency": "EUR",
    "ChargeCategory": "Usage",
    "InvoiceDetailCreated": _day(11),
    "InvoiceDetailDescription": "Tokens",
    "InvoiceDetailGrain": '{"SkuId":"tokens"}',
    "InvoiceDetailId": "INV-1/1",
    "InvoiceDetailLastUpdated": _day(11, 2),
    "InvoiceId": "INV-1",
    "InvoiceIssueDate": _day(11, 2),
    "InvoiceIssueStatus": "Issued",
    "PaymentCurrency": "USD",
    "PaymentCurrencyBilledCost": Decimal("11"),
    "PaymentCurrencyInvoiceDetailId": "INV-1/1",
    "PaymentDueDate": _day(12, 2),
    "PaymentTerms": "Net 30",
    "PurchaseOrderNumber": "PO-7",
    "ReferenceInvoiceId": "INV-1",
}
_COMMITMENT = {
    "BillingCurrency": "EUR",
    "ContractCommitmentApplicability": (
        '{"InclusionOperator":"And","Inclusions":[{"Dimension":"ServiceName","Operator":"In",'
        '"Values":["Model API"]}]}'
    ),
    "ContractCommitmentBenefitCategory": "Discount",
    "ContractCommitmentCategory": "Spend",
    "ContractCommitmentCost": Decimal(1200),
    "ContractCommitmentCreated": _day(1),
    "ContractCommitmentDescription": "Spend 1,200 in a year",
    "ContractCommitmentDiscountPercentage": Decimal("0.1"),
    "ContractCommitmentDurationType": "P1Y",
    "ContractCommitmentFulfillmentInterval": "Annual",
    "ContractCommitmentId": "cc-1",
    "ContractCommitmentLastUpdated": _day(1),
    "ContractCommitmentLifecycleStatus": "Active",
    "ContractCommitmentModel": "Continuous",
    "ContractCommitmentOfferCategory": "Negotiated",
    "ContractCommitmentPaymentInterval": "Monthly",
    "ContractCommitmentPaymentModel": "No Upfront",
    "ContractCommitmentPaymentUpfrontPercentage": Decimal(0),
    "ContractCommitmentPeriodEnd": dt.datetime(2027, 1, 1, tzinfo=dt.UTC),
    "ContractCommitmentPeriodStart": _day(1),
    "ContractCommitmentType": "Minimum Spend",
    "ContractId": "c-1",
    "ContractPeriodEnd": dt.datetime(2027, 1, 1, tzinfo=dt.UTC),
    "ContractPeriodStart": _day(1),
    "InvoiceIssuerName": "Vendor",
    "PricingCurrency": "EUR",
    "PricingCurrencyContractCommitmentCost": Decimal(1200),
    "ServiceProviderName": "Vendor",
}

ROWS: dict[str, list[dict[str, Any]]] = {
    BILLING_PERIOD: [
        _PERIOD
        | {
            "BillingPeriodCreated": _day(10),
            "BillingPeriodLastUpdated": _day(11, 3),
            "BillingPeriodStatus": "Closed",
        },
        _PERIOD
        | {
            "BillingPeriodStart": _day(11),
            "BillingPeriodEnd": _day(12),
            "BillingPeriodCreated": _day(11),
            "BillingPeriodLastUpdated": _day(11),
            "BillingPeriodStatus": "Open",
        },
    ],
    INVOICE_DETAIL: [
        _LINE,
        _LINE | {"InvoiceDetailId": "INV-1/2", "ChargeCategory": "Tax", "BilledCost": Decimal("2.04")},
        _LINE
        | {
            "InvoiceId": "INV-2",
            "InvoiceDetailId": "INV-2/1",
            "ReferenceInvoiceId": "INV-2",
            "InvoiceIssueStatus": "Open",
            "InvoiceIssueDate": None,
            "PaymentDueDate": None,
        },
    ],
    CONTRACT_COMMITMENT: [
        _COMMITMENT,
        _COMMITMENT
        | {
            "ContractCommitmentId": "cc-2",
            "ContractCommitmentCategory": "Usage",
            "ContractCommitmentCost": None,
            "PricingCurrencyContractCommitmentCost": None,
            "ContractCommitmentQuantity": Decimal(1000),
            "ContractCommitmentUnit": "Tokens",
        },
    ],
}


def clean_rows(dataset: str, version: str = "1.4", **changes: Any) -> pl.LazyFrame:
    """The rows of a dataset; ``changes`` go to the first row."""
    schema = version_schema(version, dataset)
    first, *others = ROWS[dataset]
    rows = [{name: row.get(name) for name in schema} for row in (first | changes, *others)]
    return pl.LazyFrame(rows, schema=schema)
