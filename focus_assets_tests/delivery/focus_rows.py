"""Small FOCUS days in the stored shape, for tests of deliveries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import polars as pl

from focus_assets.delivery import billing_month_facts
from focus_assets.delivery.months import DATASET
from focus_assets.focus.schema import internal_schema
from focus_assets.lake import Lake

DAY = dt.timedelta(days=1)


def at(day: dt.date) -> dt.datetime:
    """Midnight UTC."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def row(day: dt.date, customer: str = "acme", quantity: int = 10, **values: Any) -> dict[str, Any]:
    """A valid usage row of 0.01 a request, billed by calendar month unless ``values`` say otherwise."""
    start = values.get("BillingPeriodStart", at(day.replace(day=1)))
    cost = Decimal(quantity) / 100
    return {
        "BilledCost": cost,
        "BillingAccountId": f"id-{customer}",
        "BillingAccountName": customer.title(),
        "BillingAccountType": "Customer",
        "BillingCurrency": "USD",
        "BillingPeriodStart": start,
        "BillingPeriodEnd": (start + 31 * DAY).replace(day=start.day),
        "ChargeCategory": "Usage",
        "ChargeDescription": "Requests, usage, 0.01 per Requests, Team",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": at(day),
        "ChargePeriodEnd": at(day + DAY),
        "ConsumedQuantity": Decimal(quantity),
        "ConsumedUnit": "Requests",
        "ContractedCost": cost,
        "ContractedUnitPrice": Decimal("0.01"),
        "EffectiveCost": cost,
        "HostProviderName": "Example",
        "InvoiceIssuerName": "Example",
        "ListCost": cost,
        "ListUnitPrice": Decimal("0.01"),
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "PricingCurrencyContractedUnitPrice": Decimal("0.01"),
        "PricingCurrencyEffectiveCost": cost,
        "PricingCurrencyListUnitPrice": Decimal("0.01"),
        "PricingQuantity": Decimal(quantity),
        "PricingUnit": "Requests",
        "ProviderName": "Example",
        "PublisherName": "Example",
        "ServiceProviderName": "Example",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "Inference",
        "ServiceSubcategory": "Generative AI",
        "SkuId": "requests",
        "SkuMeter": "Requests",
        "SkuPriceDetails": '{"x_PriceModel":"unit"}',
        "SkuPriceId": "team/requests/usage",
        "SubAccountId": f"{customer}-1",
        "SubAccountName": f"{customer}-1",
        "SubAccountType": "Subject",
        "x_ChargeId": f"{customer}/requests",
        "x_CustomerKey": customer,
        "x_FeatureKey": "requests",
        "x_IsEstimated": True,
        "x_MeterSlug": "requests",
        "x_PlanKey": "team",
        "x_PriceComponent": "usage",
        "x_SubscriptionKey": f"{customer}/team",
        **values,
    }


def frame(rows: Iterable[Mapping[str, Any]]) -> pl.LazyFrame:
    """Rows in the stored shape; columns they leave out are null."""
    schema = internal_schema()
    return pl.LazyFrame([{name: each.get(name) for name in schema} for each in rows], schema=schema)


def write_day(
    lake: Lake, day: dt.date, rows: Iterable[Mapping[str, Any]], inputs: Mapping[str, str] | None = None
) -> None:
    """Write a day of ``focus_cost_and_usage`` as the asset does."""
    lake.write(DATASET, day, frame(rows), inputs=inputs or {}, facts=billing_month_facts)


def days(first: str, last: str) -> list[dt.date]:
    """Every day from ``first`` to ``last``, both included."""
    start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    return [start + n * DAY for n in range((end - start).days + 1)]
