"""The sensor that asks for deliveries when days have changed and their checks have passed.

What belongs here: reading the instance and the lake, and asking. The decisions are in ``export_decisions``. A run
request only asks; the export itself refuses what must not leave.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster import AssetRecordsFilter, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from focus_assets.delivery import BillingMonth, Due, billing_months, due, latest_deliveries, together
from focus_assets.delivery.closing import ListedPeriods, closed_for
from focus_assets.delivery.dataset_months import days_to_wait_for, months_to_deliver
from focus_assets.delivery.datasets import others_of
from focus_assets.delivery.ledger import spans
from focus_assets.delivery.months import DATASET
from focus_assets.lake import Lake
from focus_assets.orchestration.assets.all_deliveries import run_of
from focus_assets.orchestration.assets.focus_export import BILLING_MONTH, EXPORT
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
from focus_assets.orchestration.partitions import day, partition_of_month
from focus_assets.orchestration.resources import LakeResource
from focus_assets.settings import Destination, Settings

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
        asked = ask(context.instance, lake.open(), settings, position)
        return dg.SensorResult(
            run_requests=asked.requests,
            skip_reason=None if asked.requests else _nothing(asked),
            cursor=asked.position.model_dump_json(),
        )

    return sensor


@dataclass(frozen=True)
class Asked:
    """The deliveries asked for, how far was read, the days whose months have to wait, and months no run can deliver.

    ``waiting`` counts deliveries that would change something and wait for their hour or for the close.
    """

    requests: list[dg.RunRequest]
    position: Position
    withheld: set[dt.date]
    unknown: list[str]
    waiting: int = 0


def ask(
    instance: DagsterInstance, lake: Lake, settings: Settings, position: Position, *, at_once: bool = False
) -> Asked:
    """Ask for every delivery that is due and may go, from ``position`` on.

    ``at_once`` asks again also for what failed a moment ago: a person who mended a bucket and runs the delivery
    by hand does not want to hear that nothing is to do.
    """
    position, unread = advance(position, materializations_after(instance, position.after))
    delivered = latest_deliveries(lake)
    months = billing_months(lake, settings.start_date, spans(delivered))
    withheld = {*position.held_back, *unread}
    held = months_to_deliver(lake, months, settings.destinations, delivered)
    eligible = eligible_months(days_to_wait_for(held), withheld)
    requests = []
    unknown = []
    listed = ListedPeriods(lake)

    def closed(destination: Destination, of: BillingMonth) -> bool:
        return closed_for(lake, destination, of, months.get(of.month), listed)

    def is_due(now: dt.datetime | None) -> list[Due]:
        found = []
        for dataset, of_months in held.items():
            wanting = [d for d in settings.destinations if dataset in (DATASET, *others_of(d))]
            found += due(of_months, wanting, delivered, eligible, now, dataset, closed)
        return together(found)

    asked = is_due(settings.now())
    waiting = len(_pairs(is_due(None)) - _pairs(asked))
    for each in asked:
        partition = partition_of_month(settings, each.month)
        if partition is None:
            unknown.append(each.month)
            continue
        name = delivery_name(each, list(held.values()))
        runs = instance.get_run_records(RunsFilter(tags={DELIVERY_TAG: _tag(name)}))
        attempts = [Attempt(_state(record.dagster_run), _ended(record.end_time)) for record in runs]
        counted = [a for a in attempts if a.state is not RunState.FAILED] if at_once else attempts
        # When a run failed is told by the clock, so how long ago that was is too: not by as_of.
        if may_try(counted, dt.datetime.now(dt.UTC)):
            requests.append(
                dg.RunRequest(
                    # The number of tries is part of the key: keys are remembered for ever, and content may
                    # come back (A, B, A).
                    run_key=f"{name}:{len(attempts)}",
                    partition_key=partition,
                    **run_of(settings, each.destinations),
                    tags={DELIVERY_TAG: _tag(name), BILLING_MONTH: each.month},
                )
            )
    return Asked(requests, position, withheld, unknown, waiting)


def _pairs(asked: Iterable[Due]) -> set[tuple[str, str]]:
    return {(each.month, name) for each in asked for name in each.destinations}


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


def _nothing(asked: Asked) -> str:
    said = []
    if asked.withheld:
        days = ", ".join(f"{each:%F}" for each in sorted(asked.withheld)[:5])
        said.append(f"{len(asked.withheld)} days wait for a run that passes its checks: {days}.")
    if asked.unknown:
        said.append(
            f"The lake holds rows of {', '.join(asked.unknown)}, in which no billing period of the configuration "
            "begins. Was a subscription removed, or start_date moved?"
        )
    if asked.waiting:
        said.append(
            f"{asked.waiting} changed months wait for the hour of their destination, or for their close."
        )
    return " ".join(["Nothing to deliver.", *said]) if said else "Every destination has what the lake holds."
