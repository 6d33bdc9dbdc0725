"""Clean FOCUS 1.2 rows of a vendor of language models, as many as asked for, for benchmarks of checking them.

What belongs here: the rows. 57 columns, those of FOCUS alone, so that other tools read them too. Nine rows of
ten are usage of about 1,000 teams by the hour; the rest are monthly fees, taxes and credits. Every row differs.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

from focus_assets.decimals import METERED_QUANTITY, PRICING_QUANTITY, UNIT_PRICE, multiply
from focus_assets.focus.schema import internal_schema, version_schema

_MONTH = dt.datetime(2026, 10, 1, tzinfo=dt.UTC)
_TEAMS = 1_000
_BLOCK = 250_000


def write_rows(path: Path, rows: int) -> None:
    """Write ``rows`` rows to one Parquet file, zstd, in row groups of 250,000."""
    numbered = pl.LazyFrame({"n": pl.int_range(rows, eager=True)})
    _rows(numbered).sink_parquet(path, compression="zstd", row_group_size=_BLOCK, statistics=True)


def stored_rows(rows: int, customers: int) -> pl.LazyFrame:
    """``rows`` rows in the stored shape, of ``customers`` customers by turns, all in one day."""
    numbered = pl.LazyFrame({"n": pl.int_range(rows, eager=True)})
    customer = pl.int_range(pl.len()) % customers
    day = {
        "ChargePeriodStart": pl.lit(_MONTH),
        "ChargePeriodEnd": pl.lit(_MONTH + dt.timedelta(days=1)),
        "BillingAccountId": pl.format("01K0{}", customer),
        "BillingAccountName": pl.format("Customer {}", customer),
        "HostProviderName": pl.lit("Vendor"),
        "ServiceProviderName": pl.lit("Vendor"),
        "InvoiceId": pl.lit(None),
        "x_ChargeId": pl.format("customer-{}/chat", customer),
        "x_CustomerKey": pl.format("customer-{}", customer),
        "x_IsEstimated": pl.lit(value=True),
        "x_PriceComponent": pl.lit("usage"),
    }
    found = _rows(numbered).with_columns(**day)
    held = found.collect_schema().names()
    return found.select(
        (pl.col(name) if name in held else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in internal_schema().items()
    )


def _rows(frame: pl.LazyFrame) -> pl.LazyFrame:
    n = pl.col("n")
    usage, fee, tax = n % 20 < 18, n % 20 == 18, (n % 20 == 19) & (n % 40 == 19)
    priced = usage | fee
    quantity = (n * 7_919 % 1_000_003 + 1).cast(METERED_QUANTITY)
    model = (n % 7).cast(pl.String)
    team = (n * 31 % _TEAMS).cast(pl.String)
    pricing = pl.when(usage).then(
        (n * 7_919 % 1_000_003 + 1).cast(pl.Decimal(38, 0)) * pl.lit("0.001").cast(pl.Decimal(38, 3))
    )
    price = (
        pl.when(usage)
        .then(((n % 7 + 1) * 3).cast(pl.Decimal(38, 0)) * pl.lit("0.0001").cast(pl.Decimal(38, 4)))
        .when(fee)
        .then(pl.lit("49").cast(pl.Decimal(38, 4)))
    )
    hour = pl.lit(_MONTH) + pl.duration(hours=n * 13 % 744)
    frame = frame.with_columns(
        _q=pl.when(usage)
        .then(pricing)
        .when(fee)
        .then(pl.lit(1).cast(pl.Decimal(38, 3)))
        .cast(PRICING_QUANTITY),
        _p=price.cast(UNIT_PRICE),
    )
    cost = (
        pl.when(priced)
        .then(multiply(pl.col("_q"), pl.col("_p")))
        .when(tax)
        .then((n % 97).cast(pl.Decimal(38, 18)))
        .otherwise(-(n % 89).cast(pl.Decimal(38, 18)))
    )
    subject = pl.when(usage)
    values: dict[str, pl.Expr] = {
        "BilledCost": cost,
        "BillingAccountId": pl.format("01K0{}", n * 31 % _TEAMS % 50),
        "BillingAccountName": pl.format("Customer {}", n * 31 % _TEAMS % 50),
        "BillingAccountType": pl.lit("Customer"),
        "BillingCurrency": pl.lit("EUR"),
        "BillingPeriodStart": pl.lit(_MONTH),
        "BillingPeriodEnd": pl.lit(dt.datetime(2026, 11, 1, tzinfo=dt.UTC)),
        "ChargeCategory": pl.when(usage)
        .then(pl.lit("Usage"))
        .when(fee)
        .then(pl.lit("Purchase"))
        .when(tax)
        .then(pl.lit("Tax"))
        .otherwise(pl.lit("Credit")),
        "ChargeFrequency": pl.when(usage)
        .then(pl.lit("Usage-Based"))
        .when(fee)
        .then(pl.lit("Recurring"))
        .otherwise(pl.lit("One-Time")),
        "ChargeDescription": pl.when(usage)
        .then(pl.format("Chat, usage, model {}, Pro", model))
        .otherwise(pl.format("Line {}", n)),
        "ChargePeriodStart": pl.when(usage).then(hour).otherwise(pl.lit(_MONTH)),
        "ChargePeriodEnd": pl.when(usage)
        .then(hour + pl.duration(hours=1))
        .otherwise(pl.lit(dt.datetime(2026, 11, 1, tzinfo=dt.UTC))),
        "ConsumedQuantity": subject.then(quantity),
        "ConsumedUnit": subject.then(pl.lit("Tokens")),
        "ContractedCost": cost,
        "ContractedUnitPrice": pl.col("_p"),
        "EffectiveCost": cost,
        "InvoiceId": pl.format("INV-{}", n * 31 % _TEAMS % 50),
        "InvoiceIssuerName": pl.lit("Vendor"),
        "ListCost": cost,
        "ListUnitPrice": pl.col("_p"),
        "PricingCategory": pl.when(priced).then(pl.lit("Standard")),
        "PricingCurrency": pl.lit("EUR"),
        "PricingCurrencyContractedUnitPrice": pl.col("_p"),
        "PricingCurrencyEffectiveCost": cost,
        "PricingCurrencyListUnitPrice": pl.col("_p"),
        "PricingQuantity": pl.col("_q"),
        "PricingUnit": pl.when(usage).then(pl.lit("1000 Tokens")).when(fee).then(pl.lit("Months")),
        "ProviderName": pl.lit("Vendor"),
        "PublisherName": pl.lit("Vendor"),
        "RegionId": subject.then(pl.format("eu-{}", n % 3)),
        "RegionName": subject.then(pl.format("Europe {}", n % 3)),
        "ResourceId": subject.then(pl.format("deployment-{}", n)),
        "ResourceName": subject.then(pl.format("Deployment {}", n)),
        "ResourceType": subject.then(pl.lit("Deployment")),
        "ServiceName": pl.lit("Model API"),
        "ServiceCategory": pl.lit("AI and Machine Learning"),
        "ServiceSubcategory": pl.lit("Generative AI"),
        "SkuId": pl.when(usage).then(pl.format("chat/model={}", model)).when(fee).then(pl.lit("platform")),
        "SkuMeter": pl.when(usage).then(pl.lit("Tokens")).when(fee).then(pl.lit("Months")),
        "SkuPriceId": pl.when(usage)
        .then(pl.format("pro/chat/usage/model={}", model))
        .when(fee)
        .then(pl.lit("pro/platform/flat")),
        "SkuPriceDetails": pl.when(priced).then(pl.lit('{"x_PriceModel":"unit"}')),
        "SubAccountId": subject.then(pl.format("team-{}", team)),
        "SubAccountName": subject.then(pl.format("Team {}", team)),
        "SubAccountType": subject.then(pl.lit("Subject")),
        "Tags": subject.then(
            pl.concat_str(pl.lit('{"model":"'), model, pl.lit('","team":"'), team, pl.lit('"}'))
        ),
    }
    focus = {name: dtype for name, dtype in version_schema("1.2").items() if not name.startswith("x_")}
    return frame.select(
        values.get(name, pl.lit(None)).cast(dtype).alias(name) for name, dtype in focus.items()
    )
