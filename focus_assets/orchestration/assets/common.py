"""What all day assets share: partitions, backfill policy, group, owners and how they look in the UI."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from focus_assets.datasets import Dataset
from focus_assets.orchestration.days import DAYS
from focus_assets.orchestration.metadata import table_schema
from focus_assets.orchestration.partitions import by_range, usage_days
from focus_assets.settings import Settings

OWNERS = ["team:finops"]
IO_MANAGER = "lake_io_manager"


def looks(dataset: Dataset, *, group: str, kinds: Iterable[str], stage: str) -> dict[str, Any]:
    """Group, kinds, owners, tags and column schema of the asset that holds ``dataset``."""
    return {
        "group_name": group,
        "kinds": {"parquet", *kinds},
        "owners": OWNERS,
        "tags": {"focus_assets/stage": stage},
        "metadata": {"dagster/column_schema": table_schema(dataset), "grain": dataset.grain},
    }


def by_day(settings: Settings) -> dict[str, Any]:
    """Partitions and backfill policy; the whole chain shares them, so that one run covers it."""
    return {
        "partitions_def": usage_days(settings),
        "backfill_policy": by_range(settings),
        "io_manager_key": IO_MANAGER,
        "dagster_type": DAYS,
    }
