"""Jobs and the daily schedule."""

from __future__ import annotations

from typing import Any

import dagster as dg

from focus_assets.orchestration.assets.focus_export import EXPORT

CHAIN_JOB = "usage_to_focus"
EXPORT_JOB = "focus_export_job"


def chain_job() -> Any:
    """The whole usage chain with its checks, for a day or a range of days."""
    chain = dg.AssetSelection.all() - dg.AssetSelection.key_prefixes(EXPORT)
    return dg.define_asset_job(
        CHAIN_JOB,
        selection=chain | dg.AssetSelection.checks_for_assets(),
        description="Metered usage to FOCUS cost and usage, with every check.",
    )


def export_job() -> Any:
    """The deliveries of one billing month."""
    return dg.define_asset_job(
        EXPORT_JOB,
        selection=dg.AssetSelection.key_prefixes(EXPORT),
        description="Deliver a billing month to its destinations.",
    )


def daily_schedule(job: Any) -> Any:
    """Yesterday's partition, every day at 06:00 UTC: late events have had their night."""
    return dg.build_schedule_from_partitioned_job(
        job,
        name="daily_usage_to_focus",
        hour_of_day=6,
        description="Materializes the whole chain for the day that ended.",
    )
