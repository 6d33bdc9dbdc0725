"""The sensor that asks for deliveries when days have changed and their checks have passed.

What belongs here: reading the instance and the lake, and asking. The decisions are in ``export_decisions``. A run
request only asks; the export itself refuses what must not leave.
"""

import datetime as dt
import hashlib
from typing import Any

import dagster as dg
from dagster import AssetRecordsFilter, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from focus_assets.delivery import billing_months, due, latest_deliveries
from focus_assets.orchestration.assets.focus_export import EXPORT, export_key
from focus_assets.orchestration.export_decisions import (
    Attempt,
    Materialized,
    Position,
    RunState,
    advance,
    delivery_name,
    eligible_months,
    may_try,
)
from focus_assets.orchestration.partitions import day
from focus_assets.orchestration.resources import LakeResource
from focus_assets.settings import Settings

FOCUS = dg.AssetKey("focus_cost_and_usage")
DELIVERY_TAG = "focus_assets/delivery"
_PAGE = 500
_FAILED = {DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}


def export_sensor(settings: Settings, export_job: Any) -> dg.SensorDefinition:
    """Asks for one run per billing month that changed since it was last delivered to some destination."""

    @dg.sensor(
        name=f"{EXPORT}_sensor",
        job=export_job,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Requests a delivery for each billing month whose days changed and passed their checks. A month with a "
            "day whose run failed, or is not finished, waits."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        position = Position.model_validate_json(context.cursor) if context.cursor else Position()
        records = materializations_after(context.instance, position.after)
        position, unread = advance(position, records)
        opened = lake.open()
        months = billing_months(opened)
        withheld = {*position.held_back, *unread}
        asked = due(
            months, settings.destinations, latest_deliveries(opened), eligible_months(months, withheld)
        )
        requests = []
        for each in asked:
            name = delivery_name(each, months)
            runs = context.instance.get_run_records(RunsFilter(tags={DELIVERY_TAG: _tag(name)}))
            attempts = [Attempt(_state(record.dagster_run), _ended(record.end_time)) for record in runs]
            if may_try(attempts, dt.datetime.now(dt.UTC)):
                requests.append(
                    dg.RunRequest(
                        # The number of tries is part of the key: keys are remembered for ever, and content may
                        # come back (A, B, A).
                        run_key=f"{name}:{len(attempts)}",
                        partition_key=f"{each.month}-01",
                        asset_selection=[export_key(destination) for destination in each.destinations],
                        tags={DELIVERY_TAG: _tag(name)},
                    )
                )
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else _nothing(withheld),
            cursor=position.model_dump_json(),
        )

    return sensor


def materializations_after(instance: DagsterInstance, after: int) -> list[Materialized]:
    """Every materialization of FOCUS days after a storage id, oldest first."""
    found: list[Materialized] = []
    states: dict[str, RunState] = {}
    while True:
        page = instance.fetch_materializations(
            AssetRecordsFilter(asset_key=FOCUS, after_storage_id=after), limit=_PAGE, ascending=True
        ).records
        for record in page:
            if record.run_id not in states:
                states[record.run_id] = _state(instance.get_run_by_id(record.run_id))
            if record.partition_key is not None:
                found.append(
                    Materialized(
                        record.storage_id, day(record.partition_key), record.run_id, states[record.run_id]
                    )
                )
            after = record.storage_id
        if len(page) < _PAGE:
            return found


def _state(run: DagsterRun | None) -> RunState:
    """A run that was deleted from the instance had finished; what it wrote is checked again on delivery."""
    if run is None or run.status is DagsterRunStatus.SUCCESS:
        return RunState.SUCCEEDED
    return RunState.FAILED if run.status in _FAILED else RunState.UNFINISHED


def _ended(timestamp: float | None) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC) if timestamp else None


def _tag(name: str) -> str:
    """Tags are short; a list of a thousand destinations is not."""
    return name if len(name) <= 200 else f"{name[:24]}:{hashlib.sha256(name.encode()).hexdigest()}"


def _nothing(withheld: set[dt.date]) -> str:
    if not withheld:
        return "Every destination has what the lake holds."
    days = ", ".join(f"{each:%F}" for each in sorted(withheld)[:5])
    return f"Nothing to deliver. {len(withheld)} days wait for a run that passes its checks: {days}"
