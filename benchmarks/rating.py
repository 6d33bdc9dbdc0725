"""What does rating cost beside the least it could cost? A day of usage, rated and written as full FOCUS rows.

What belongs here: usage, the two sides, and a mix of every type of price. What does not: measuring (``harness``).

Both sides read the same Parquet files and write one Parquet file with every stored FOCUS column, sorted. The plain
side is the query one would write by hand for graduated tiers alone: a running sum over each charge, its part in each
tier times the price, and columns from two small tables that were made beforehand. It rounds as Polars does and knows
no list prices, fees, slices, falling quantities, layers of dimensions or ranges. The other side does what the chain
does: it makes its price tables from the catalog, rates, and builds rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.harness import Benchmark
from focus_assets.catalog.charges import ChargeSlice, midnight, slices_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import COST, METERED_QUANTITY, PRICING_QUANTITY, UNIT_PRICE
from focus_assets.focus.charge_terms import charge_terms
from focus_assets.focus.cost_and_usage import NOT_FILLED, build
from focus_assets.focus.dimensions import resolve
from focus_assets.focus.schema import internal_schema
from focus_assets.focus.settable import SETTABLE
from focus_assets.rating import USAGE, conversion_table, limit_table, price_table, rate, slice_table

DAY = dt.date(2026, 8, 17)
SKUS = 1_000
CUSTOMERS = 10
TIERS: tuple[tuple[str, str | None, str], ...] = (
    ("0", "1000", "0.0000025"),
    ("1000", "100000", "0.00000225"),
    ("100000", "10000000", "0.000002"),
    ("10000000", None, "0.00000175"),
)
_BOUNDS = [{"unit_price": price, **({"up_to_amount": end} if end else {})} for _, end, price in TIERS]
_GRADUATED: Mapping[str, Any] = {"price": {"type": "tiered", "mode": "graduated", "tiers": _BOUNDS}}
EVERY_PRICE: tuple[Mapping[str, Any], ...] = (
    _GRADUATED,
    {"price": {"type": "unit", "amount": "0.000002"}},
    {"price": {"type": "tiered", "mode": "volume", "tiers": _BOUNDS}},
    {"price": {"type": "package", "amount": "2", "quantity_per_package": "1000"}},
    {"price": {"type": "dynamic", "multiplier": "1.2"}, "discounts": {"percentage": "15"}},
    {
        "price": {"type": "unit", "amount": "2"},
        "unit_config": {"operation": "divide", "conversion_factor": "1000000"},
    },
    {
        "price": {**_GRADUATED["price"], "minimum_amount": "5", "maximum_amount": "20"},
        "discounts": {"usage": "50000", "percentage": "10"},
    },
    {"price": {"type": "free"}},
)


def _catalog(cards: tuple[Mapping[str, Any], ...]) -> Catalog:
    """Ten customers of one plan with 1,000 features, whose prices take turns among ``cards``."""
    keys = [f"sku-{n}" for n in range(SKUS)]
    return Catalog.model_validate(
        {
            "defaults": {
                "provider_name": "Vendor",
                "dimensions": {
                    "ServiceName": "Model API",
                    "ServiceCategory": "AI and Machine Learning",
                    "ServiceSubcategory": "Generative AI",
                    "RegionId": {"dimension": "region", "default": "none"},
                },
            },
            "meters": [
                {
                    "slug": "tokens",
                    "name": "Tokens",
                    "event_type": "prompt",
                    "aggregation": "SUM",
                    "value_property": "$.tokens",
                    "unit": "Tokens",
                    "group_by": {"model": "$.model", "region": "$.region"},
                    "sku_dimensions": ["model"],
                }
            ],
            "features": [{"key": key, "name": key.upper(), "meter": "tokens"} for key in keys],
            "customers": [{"key": f"customer-{n}"} for n in range(CUSTOMERS)],
            "plans": [
                {
                    "key": "pro",
                    "name": "Pro",
                    "rate_cards": [{"feature": key, **cards[n % len(cards)]} for n, key in enumerate(keys)],
                }
            ],
            "subscriptions": [
                {"customer": f"customer-{n}", "plan": "pro", "active_from": "2026-08-01"}
                for n in range(CUSTOMERS)
            ],
        }
    )


def _prepare(cards: tuple[Mapping[str, Any], ...], given: Path, rows: int) -> int:
    """Usage of ``rows`` windows over 10,000 charges and 24 hours, each window a line of its own, and openings."""
    catalog = _catalog(cards)
    catalog.to_frame().sink_parquet(given / "catalog.parquet")
    slices = slices_on(catalog, DAY)
    charges = pl.DataFrame(
        [(n, s.charge.charge_id, s.charge.customer.key) for n, s in enumerate(slices)],
        schema={"charge": pl.Int64, "charge_id": pl.String, "subject": pl.String},
        orient="row",
    )
    number = pl.int_range(rows, eager=True).alias("n")
    hour = number // len(slices) % 24
    begins = pl.lit(midnight(DAY)).dt.cast_time_unit("us")
    model = (number // len(slices) // 24).cast(pl.String)
    parts = (pl.lit('{"model":"m'), model, pl.lit('","region":"r'), hour.cast(pl.String), pl.lit('"}'))
    dimensions = pl.concat_str(parts)
    usage = (
        pl.DataFrame({"charge": number % len(slices), "hour": hour})
        .with_columns(
            dimensions.alias("dimensions"),
            (
                (number * 7_919 % 99_991 + 1).cast(pl.Decimal(38, 0))
                * pl.lit(Decimal("0.001"), METERED_QUANTITY)
            ).alias("quantity"),
        )
        .lazy()
        .join(charges.lazy(), on="charge", how="left")
        .select(
            "charge_id",
            begins.alias("slice_from"),
            (begins + pl.duration(days=1)).alias("slice_to"),
            (begins + pl.duration(hours="hour")).alias("window_from"),
            "subject",
            "dimensions",
            "quantity",
        )
        .cast(USAGE)
    )
    usage.sink_parquet(given / "usage.parquet")
    charges.select(
        "charge_id", (pl.col("charge") * 1_234_567 % 20_000_000).cast(METERED_QUANTITY).alias("quantity")
    ).write_parquet(given / "opening.parquet")
    facts, prices = charge_terms(slices, resolve(catalog), catalog.defaults)
    facts.write_parquet(given / "facts.parquet")
    prices.write_parquet(given / "prices.parquet")
    return rows


def _prepare_graduated(given: Path, rows: int) -> int:
    return _prepare((_GRADUATED,), given, rows)


def _prepare_every_price(given: Path, rows: int) -> int:
    return _prepare(EVERY_PRICE, given, rows)


def _written(rows: pl.LazyFrame, own: Path) -> pl.LazyFrame:
    """Written as the lake writes a partition, and opened again."""
    rows.sink_parquet(
        own / "rows.parquet", compression="zstd", row_group_size=250_000, statistics=True, engine="streaming"
    )
    return pl.scan_parquet(own / "rows.parquet")


def _rows(given: Path) -> pl.LazyFrame:
    catalog = Catalog.from_frame(pl.scan_parquet(given / "catalog.parquet"))
    slices: list[ChargeSlice] = slices_on(catalog, DAY)
    lines = rate(
        pl.scan_parquet(given / "usage.parquet"),
        pl.scan_parquet(given / "opening.parquet"),
        slice_table(slices),
        price_table(slices),
        limit_table(slices),
        conversion_table(slices),
    )
    return build(lines, slices, catalog, in_order=True)


def rating(given: Path, own: Path) -> Any:
    """The project's own side; answers with what was consumed and what it costs."""
    return _answer(_written(_rows(given), own), "ConsumedQuantity", "BilledCost")


def every_price(given: Path, own: Path) -> Any:
    """The same over a catalog with every type of price; answers with what was consumed."""
    return _answer(_written(_rows(given), own), "ConsumedQuantity")


def plain(given: Path, own: Path) -> Any:
    """Graduated costs and nothing else, a row per window and tier touched."""
    return _answer(_written(_plain_rows(given), own), "ConsumedQuantity", "BilledCost")


def plain_quantities(given: Path, own: Path) -> Any:
    """The plain side, asked for what was consumed alone."""
    return _answer(_written(_plain_rows(given), own), "ConsumedQuantity")


def _answer(rows: pl.LazyFrame, *columns: str) -> list[str]:
    return [f"{value.normalize():f}" for value in rows.select(pl.col(columns).sum()).collect().row(0)]


def _plain_rows(given: Path) -> pl.LazyFrame:
    usage = pl.scan_parquet(given / "usage.parquet")
    opening = pl.scan_parquet(given / "opening.parquet").rename({"quantity": "opening"})
    order = ["window_from", "subject", "dimensions"]
    after = pl.col("opening") + pl.col("quantity").cum_sum().over("charge_id", order_by=order)
    running = (
        usage.join(opening, on="charge_id", how="left")
        .with_columns(after.alias("after"))
        .with_columns((pl.col("after") - pl.col("quantity")).alias("before"))
    )
    parts = []
    for number, (start, end, price) in enumerate(TIERS, 1):
        lower = pl.lit(Decimal(start), METERED_QUANTITY)
        upper = pl.lit(end and Decimal(end), METERED_QUANTITY)
        part = pl.col("after").clip(lower, upper) - pl.col("before").clip(lower, upper)
        unit_price = pl.lit(Decimal(price), UNIT_PRICE)
        parts.append(
            running.with_columns(part.alias("used"))
            .filter(pl.col("used") != 0)
            .select(
                "charge_id",
                "slice_from",
                "slice_to",
                "subject",
                "dimensions",
                "used",
                pl.lit(number, pl.Int32).alias("tier"),
                unit_price.alias("price"),
                (pl.col("used").cast(COST) * unit_price).alias("cost"),
            )
        )
    facts = pl.scan_parquet(given / "facts.parquet").drop("slice_from")
    prices = pl.scan_parquet(given / "prices.parquet").filter(pl.col("component") == "usage")
    wide = (
        pl.concat(parts)
        .sort("charge_id", "slice_from", "tier", "subject", "dimensions")
        .join(facts, on="charge_id", how="left", maintain_order="left")
        .join(prices, on=["_terms", "tier"], how="left", maintain_order="left")
    )
    columns = _plain_columns()
    return wide.select(columns[name].cast(dtype).alias(name) for name, dtype in internal_schema().items())


def _plain_columns() -> Mapping[str, pl.Expr]:
    used, price, cost = pl.col("used"), pl.col("price"), pl.col("cost")
    dimension = {name: pl.col("dimensions").str.json_path_match(f"$.{name}") for name in ("model", "region")}
    sku = pl.lit("/model=") + dimension["model"]
    number = pl.col("tier").cast(pl.String)
    text = price.cast(pl.String).str.strip_chars_end("0").str.strip_suffix(".")
    description = [
        pl.col("_title"),
        pl.lit("usage in tier ") + number,
        text + pl.lit(" per ") + pl.col("_unit"),
        pl.col("_plan_title"),
    ]
    same = {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost),
        **dict.fromkeys(("ContractedUnitPrice", "ListUnitPrice"), price),
        "PricingCurrencyContractedUnitPrice": price,
        "PricingCurrencyListUnitPrice": price,
        "PricingCurrencyEffectiveCost": cost,
        "ConsumedQuantity": used,
        "PricingQuantity": used.cast(PRICING_QUANTITY),
        **dict.fromkeys(("ConsumedUnit", "PricingUnit"), pl.col("_unit")),
        **dict.fromkeys(("BillingCurrency", "PricingCurrency"), pl.col("_currency")),
        **dict.fromkeys(("SubAccountId", "SubAccountName"), pl.col("subject")),
        **dict.fromkeys(("RegionId", "RegionName"), dimension["region"]),
        **dict.fromkeys(
            ("HostProviderName", "InvoiceIssuerName", "PublisherName", "ServiceProviderName"),
            pl.col("_ProviderName"),
        ),
    }
    return {
        **dict.fromkeys(internal_schema(), pl.lit(None)),
        **{name: pl.col(f"_{name}") for name in SETTABLE},
        **{name: pl.lit(None) for name in NOT_FILLED},
        **same,
        "BillingAccountId": pl.col("_account_id"),
        "BillingAccountName": pl.col("_account_name"),
        "BillingAccountType": pl.lit("Customer"),
        "BillingPeriodStart": pl.col("_billing_from"),
        "BillingPeriodEnd": pl.col("_billing_to"),
        "ChargeCategory": pl.lit("Usage"),
        "ChargeDescription": pl.concat_str(description, separator=", "),
        "ChargeFrequency": pl.lit("Usage-Based"),
        "ChargePeriodStart": pl.col("slice_from"),
        "ChargePeriodEnd": pl.col("slice_to"),
        "PricingCategory": pl.lit("Standard"),
        "SkuId": pl.col("_sku_key") + sku,
        "SkuPriceDetails": pl.col("_price_details"),
        "SkuPriceId": pl.col("_price_id") + sku,
        "SubAccountType": pl.lit("Subject"),
        "Tags": pl.col("dimensions"),
        "x_ChargeId": pl.col("charge_id"),
        "x_CustomerKey": pl.col("_customer_key"),
        "x_FeatureKey": pl.col("_feature_key"),
        "x_IsEstimated": pl.lit(True),
        "x_MeterSlug": pl.col("_meter"),
        "x_PlanKey": pl.col("_plan_key"),
        "x_PriceComponent": pl.lit("usage:") + number,
        "x_SubscriptionKey": pl.col("_subscription_key"),
    }


BENCHMARK = Benchmark(
    name="rating",
    question="What does rating cost beside a hand-written query of graduated costs, to full FOCUS rows?",
    unit="windows of usage",
    size=10_000_000,
    prepare=_prepare_graduated,
    sides={"plain query": plain, "rating": rating},
    packages=("polars",),
)

EVERY_PRICE_BENCHMARK = Benchmark(
    name="every-price",
    question="And what do all types of price cost, mixed, beside the query of graduated costs over the same usage?",
    unit="windows of usage",
    size=10_000_000,
    prepare=_prepare_every_price,
    sides={"plain query": plain_quantities, "every price": every_price},
    packages=("polars",),
)
