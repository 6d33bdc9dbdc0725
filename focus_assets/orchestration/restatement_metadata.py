"""What the UI shows of restatements beside a delivery: what changed in its days, for its customers."""

from typing import Any, Final

import dagster as dg
import polars as pl

from focus_assets.delivery import DeliveryResult
from focus_assets.delivery.restatements import restatements
from focus_assets.lake import Lake
from focus_assets.orchestration.metadata import markdown_table

_SHOWN: Final = 20


def restated(lake: Lake, result: DeliveryResult) -> dict[str, Any]:
    """Count and table of what changed in days that had been delivered before; nothing where nothing did."""
    manifest = result.manifest
    found = restatements(lake, [day.day for day in manifest.days]).filter(
        pl.col("billing_month") == result.month
    )
    if manifest.scope.customers != "all":
        found = found.filter(pl.col("customer").is_in(list(manifest.scope.customers)))
    if found.is_empty():
        return {}
    shown = found.sort("restated_at", "charge_date", descending=True, maintain_order=True).head(_SHOWN)
    table = shown.select(
        "charge_date",
        "customer",
        "SkuId",
        "quantity_change",
        "unit",
        "billed_cost_change",
        "currency",
        "corrected_invoice",
        "since",
        "reason",
    )
    return {
        "restated": found.height,
        "restatements": dg.MetadataValue.md(
            f"The newest {shown.height} of {found.height} changes in days that had been delivered before.\n\n"
            f"{markdown_table(table)}"
        ),
    }
