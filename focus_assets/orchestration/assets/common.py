"""What all day assets share: partitions, backfill policy, group, owners and how they look in the UI."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from focus_assets.datasets import Dataset
from focus_assets.orchestration.column_lineage import column_lineage
from focus_assets.orchestration.days import DAYS
from focus_assets.orchestration.metadata import table_schema
from focus_assets.orchestration.partitions import by_range, usage_days
from focus_assets.settings import Settings

OWNERS = ["team:finops"]
IO_MANAGER = "lake_io_manager"
LAKE_POOL = "lake"
"""Every step that writes the lake is in this pool: a lake has one writer, so runs queue for it."""


def looks(dataset: Dataset, *, group: str, kinds: Iterable[str], stage: str) -> dict[str, Any]:
    """Group, kinds, owners, tags, column schema and column lineage of the asset that holds ``dataset``."""
    return appearance(
        group=group,
        kinds=kinds,
        stage=stage,
        schema=table_schema(dataset),
        lineage=column_lineage(dataset.name),
    )


def appearance(
    *,
    group: str,
    kinds: Iterable[str],
    stage: str,
    schema: dg.TableSchema,
    lineage: dg.TableColumnLineage | None,
) -> dict[str, Any]:
    """As :func:`looks`, for a dataset whose columns are described elsewhere."""
    metadata: dict[str, Any] = {"dagster/column_schema": schema}
    if lineage is not None:
        metadata["dagster/column_lineage"] = lineage
    return {
        "group_name": group,
        "kinds": {"parquet", *kinds},
        "owners": OWNERS,
        "tags": {"focus_assets/stage": stage},
        "metadata": metadata,
    }


def by_day(settings: Settings) -> dict[str, Any]:
    """Partitions, backfill policy and pool; the whole chain shares them, so that one run covers it."""
    return {
        "partitions_def": usage_days(settings),
        "backfill_policy": by_range(settings),
        "io_manager_key": IO_MANAGER,
        "dagster_type": DAYS,
        "pool": LAKE_POOL,
    }


def with_grain(asset: dg.AssetsDefinition, grains: dict[str, str]) -> dg.AssetsDefinition:
    """The asset with what one row is at the end of its description."""

    def explained(spec: dg.AssetSpec) -> dg.AssetSpec:
        grain = grains[spec.key.path[-1]]
        return spec.replace_attributes(description=f"{spec.description}\n\nOne row: {grain}.")

    return asset.map_asset_specs(explained)
