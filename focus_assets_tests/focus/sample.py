"""Thirteen rows that break no rule: every charge category, corrections and a commitment.

Each row's ``x_ChargeId`` is its name, by which tests change it.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl

from focus_assets.focus.schema import internal_schema

MONTH = {
    "BillingPeriodStart": dt.datetime(2026, 10, 1, tzinfo=dt.UTC),
    "BillingPeriodEnd": dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
}
DAY = {
    "ChargePeriodStart": dt.datetime(2026, 10, 3, tzinfo=dt.UTC),
    "ChargePeriodEnd": dt.datetime(2026, 10, 4, tzinfo=dt.UTC),
}

_EVERY_ROW = {
    **MONTH,
    **DAY,
    "BillingAccountId": "01K0ACME",
    "BillingAccountName": "Acme",
    "BillingAccountType": "Customer",
    "BillingCurrency": "EUR",
    "ChargeDescription": "What is charged",
    "InvoiceIssuerName": "Vendor",
    "ProviderName": "Vendor",
    "PublisherName": "Vendor",
    "ServiceProviderName": "Vendor",
    "PricingCurrency": "EUR",
    "ServiceName": "Model API",
    "ServiceCategory": "AI and Machine Learning",
    "ServiceSubcategory": "Generative AI",
    "x_CustomerKey": "acme",
    "x_SubscriptionKey": "acme-pro",
    "x_PriceComponent": "usage",
    "x_IsEstimated": True,
}

_SKU = {"SkuId": "tokens", "SkuMeter": "Tokens", "PricingUnit": "1000 Tokens", "PricingCategory": "Standard"}

_USAGE = {
    **_SKU,
    "ChargeCategory": "Usage",
    "ChargeFrequency": "Usage-Based",
    "HostProviderName": "Vendor",
    "SubAccountId": "team-a",
    "SubAccountName": "Team A",
    "SubAccountType": "Subject",
    "ConsumedUnit": "Tokens",
    "Tags": '{"model": "large", "batch": true, "vendor/retries": null}',
}


def _costs(
    billed: str, *, listed: str | None = None, contracted: str | None = None, effective: str | None = None
) -> dict[str, Decimal]:
    return {
        "BilledCost": Decimal(billed),
        "ListCost": Decimal(listed or billed),
        "ContractedCost": Decimal(contracted or billed),
        "EffectiveCost": Decimal(effective or billed),
        "PricingCurrencyEffectiveCost": Decimal(effective or billed),
    }


def _prices(listed: str, contracted: str) -> dict[str, Decimal]:
    return {
        "ListUnitPrice": Decimal(listed),
        "ContractedUnitPrice": Decimal(contracted),
        "PricingCurrencyListUnitPrice": Decimal(listed),
        "PricingCurrencyContractedUnitPrice": Decimal(contracted),
    }


def _quantities(consumed: str | None, pricing: str) -> dict[str, Decimal]:
    return {"PricingQuantity": Decimal(pricing)} | (
        {} if consumed is None else {"ConsumedQuantity": Decimal(consumed)}
    )


_TIER_1 = {
    **_USAGE,
    "SkuPriceId": "pro/tokens/usage:1",
    "SkuPriceDetails": '{"x_PriceModel":"graduated","x_Tier":"1"}',
}

_COMMITMENT = {
    "CommitmentDiscountId": "cd-1",
    "CommitmentDiscountName": "Yearly commitment",
    "CommitmentDiscountCategory": "Usage",
    "CommitmentDiscountType": "Prepaid",
    "CommitmentDiscountUnit": "Tokens",
}

ROWS: dict[str, dict[str, Any]] = {
    "tier-1": _TIER_1
    | _quantities("1500", "1.5")
    | _prices("0.03", "0.02")
    | _costs("0.03", listed="0.045", contracted="0.03"),
    "tier-1-team-b": _TIER_1
    | {"SubAccountId": "team-b", "SubAccountName": "Team B"}
    | _quantities("333.333333333", "0.333333333333")
    | _prices("0.033333333333", "0.02")
    | _costs("0.00666666666666", listed="0.011111111110988889", contracted="0.00666666666666"),
    "tier-2": _USAGE
    | {
        "SkuPriceId": "pro/tokens/usage:2",
        "SkuPriceDetails": "{}",
        "RegionId": "eu-1",
        "RegionName": "Europe 1",
    }
    | _quantities("0", "0")
    | _prices("0.01", "0.01")
    | _costs("0"),
    "storage": _USAGE
    | {
        "ServiceName": "File Store",
        "ServiceCategory": "Storage",
        "ServiceSubcategory": "Object Storage",
        "SkuId": "storage",
        "SkuMeter": "Stored Data",
        "SkuPriceId": "pro/storage/usage",
        "SkuPriceDetails": '{"StorageClass": "Hot"}',
        "PricingUnit": "GB-Hours",
        "ConsumedUnit": "GB-Hours",
        "ResourceId": "bucket-1",
        "ResourceName": "Invoices",
        "ResourceType": "Bucket",
        "RegionId": "eu-1",
        "RegionName": "Europe 1",
        "Tags": None,
    }
    | _quantities("2", "2")
    | _prices("0.5", "0.5")
    | _costs("1"),
    "platform-fee": _SKU
    | {
        "ChargeCategory": "Purchase",
        "ChargeFrequency": "Recurring",
        "SkuId": "platform",
        "SkuMeter": "Months",
        "SkuPriceId": "pro/platform/flat",
        "PricingUnit": "Months",
        "HostProviderName": "Vendor",
        "x_PriceComponent": "flat_fee",
    }
    | {
        **MONTH,
        "ChargePeriodStart": MONTH["BillingPeriodStart"],
        "ChargePeriodEnd": MONTH["BillingPeriodEnd"],
    }
    | _quantities(None, "1")
    | _prices("49", "49")
    | _costs("49"),
    "tax": {"ChargeCategory": "Tax", "ChargeFrequency": "One-Time"} | _costs("10.2"),
    "credit": {"ChargeCategory": "Credit", "ChargeFrequency": "One-Time"} | _costs("-5"),
    "rounding": {
        "ChargeCategory": "Adjustment",
        "ChargeFrequency": "One-Time",
        "InvoiceId": "INV-1",
        "InvoiceDetailId": "INV-1/7",
        "SkuId": "tokens",
        "SkuMeter": "Tokens",
        "SkuPriceId": "pro/tokens/usage:1",
    }
    | _costs("-0.00111111"),
    "late-usage": _TIER_1
    | {
        "ChargeClass": "Correction",
        "PricingCategory": None,
        "ChargePeriodStart": dt.datetime(2026, 9, 3, tzinfo=dt.UTC),
        "ChargePeriodEnd": dt.datetime(2026, 9, 4, tzinfo=dt.UTC),
    }
    | _quantities("100", "0.1")
    | _costs("0"),
    "corrected-cost": {
        "ChargeCategory": "Adjustment",
        "ChargeClass": "Correction",
        "ChargeFrequency": "One-Time",
    }
    | _costs("-2"),
    "commitment": _SKU
    | _COMMITMENT
    | {
        "ChargeCategory": "Purchase",
        "ChargeFrequency": "One-Time",
        "SkuPriceId": "pro/tokens/commitment",
        "CommitmentDiscountQuantity": Decimal(100000),
    }
    | _quantities(None, "100")
    | _prices("0.01", "0.01")
    | _costs("1", effective="0"),
    "committed-usage": _USAGE
    | _COMMITMENT
    | {
        "SkuPriceId": "pro/tokens/committed",
        "PricingCategory": "Committed",
        "CommitmentDiscountStatus": "Used",
        "CommitmentDiscountQuantity": Decimal(60000),
    }
    | _quantities("60000", "60")
    | _prices("0.01", "0.01")
    | _costs("0", listed="0.6", contracted="0.6", effective="0.6"),
    "unused-commitment": _USAGE
    | _COMMITMENT
    | {
        "SkuPriceId": "pro/tokens/committed",
        "PricingCategory": "Committed",
        "CommitmentDiscountStatus": "Unused",
        "CommitmentDiscountQuantity": Decimal(40000),
        "ConsumedUnit": None,
    }
    | _quantities(None, "40")
    | _prices("0.01", "0.01")
    | _costs("0", listed="0.4", contracted="0.4", effective="0.4"),
}


def clean(**changes: dict[str, Any]) -> pl.LazyFrame:
    """The rows in the stored shape; ``clean(tier_1={"SkuId": "x"})`` changes the row ``tier-1``."""
    named = {name.replace("_", "-"): change for name, change in changes.items()}
    assert not set(named) - set(ROWS), f"no such row: {set(named) - set(ROWS)}"
    rows = [_EVERY_ROW | {"x_ChargeId": name} | row | named.get(name, {}) for name, row in ROWS.items()]
    schema = internal_schema()
    return pl.LazyFrame([{column: row.get(column) for column in schema} for row in rows], schema=schema)
