"""The one place that wires everything: settings in, Dagster definitions out.

What belongs here: which assets, checks, jobs, sensors and resources there are. What does not: any of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from focus_assets.orchestration.assets import exports, usage_chain
from focus_assets.orchestration.assets.common import IO_MANAGER
from focus_assets.orchestration.checks import asset_checks
from focus_assets.orchestration.export_sensor import export_sensor
from focus_assets.orchestration.io_manager import LakeIOManager
from focus_assets.orchestration.jobs import chain_job, daily_schedule, export_job
from focus_assets.orchestration.late_files_sensor import late_files_sensor
from focus_assets.orchestration.late_usage_sensor import late_usage_sensor
from focus_assets.orchestration.notice_sensor import notice_sensor
from focus_assets.orchestration.period_close_sensor import period_close_sensor
from focus_assets.orchestration.resources import duckdb_resource, lake_resource
from focus_assets.settings import Settings
from focus_assets.settings.sample import settings_or_sample


def build_definitions(settings: Settings, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Everything that Dagster loads for one configuration; ``resources`` replace the defaults by name."""
    lake = lake_resource(settings)
    chain = chain_job()
    delivery = export_job()
    with warnings.catch_warnings():
        # Backfill policies are in beta, and Dagster says so once for each asset on every import.
        warnings.simplefilter("ignore", dg.BetaWarning)
        assets = [*usage_chain(settings), *exports(settings)]
    return dg.Definitions(
        assets=assets,
        asset_checks=asset_checks(),
        jobs=[chain, *([delivery] if settings.destinations else [])],
        schedules=[daily_schedule(chain)],
        sensors=[
            *([export_sensor(settings, delivery)] if settings.destinations else []),
            *([notice_sensor(settings)] if any(d.notice for d in settings.destinations) else []),
            (late_files_sensor if settings.source.openmeter is None else late_usage_sensor)(settings, chain),
            *([period_close_sensor(settings, chain)] if _closes(settings) else []),
        ],
        resources={
            "lake": lake,
            IO_MANAGER: LakeIOManager(lake=lake),
            "duckdb": duckdb_resource(settings),
            **(resources or {}),
        },
        # A process per step costs seconds each and would take the lake's lease step by step.
        executor=dg.in_process_executor,
    )


def _closes(settings: Settings) -> bool:
    """Whether anything tells that a billing period is over."""
    return settings.close_after_days is not None or settings.source.has_invoices


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of ``focus.yaml``, or of the sample company where there is none."""
    return build_definitions(settings_or_sample())
