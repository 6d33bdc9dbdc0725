"""The sensor that asks for days again whose usage came late.

What belongs here: reading events, the instance and the lake, and asking. The decisions are in
``late_usage_decisions``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster import AssetRecordsFilter, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from focus_assets.catalog.charges import midnight, slices_on
from focus_assets.catalog.kept import catalog_in
from focus_assets.datasets import CATALOG, RAW_USAGE
from focus_assets.lake import Lake
from focus_assets.openmeter import NotFound, Server, ServerProblem, asked_once, wire_v1, wire_v3
from focus_assets.orchestration.export_decisions import Attempt, RunState, may_try
from focus_assets.orchestration.late_usage_decisions import (
    OVERLAP,
    DayRead,
    Opening,
    Position,
    Stored,
    events_to_read,
    range_to_request,
    request_name,
    with_days_read,
    with_events,
    with_trailing_window,
)
from focus_assets.orchestration.partitions import day
from focus_assets.orchestration.resources import LakeResource
from focus_assets.settings import OpenMeterSettings, Settings

V1_REACH = dt.timedelta(days=31)
"""v1 refuses to list events of more than 32 days ago."""

_CANNOT_LIST = frozenset({400, 404, 405, 501})
LATE_TAG = "focus_assets/late_usage"
_PAGE = 500


def late_usage_sensor(settings: Settings, chain_job: Any) -> dg.SensorDefinition:
    """Asks for one range of days whenever events came that its days cannot have seen."""
    openmeter = settings.source.openmeter
    assert openmeter is not None, "event files have no late usage sensor"

    @dg.sensor(
        name="late_usage_sensor",
        job=chain_job,
        minimum_interval_seconds=600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Follows OpenMeter's events by when they were stored, and requests days again whose events came after "
            "they were read, up to the last day of the rating periods that they touch."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        position = Position.model_validate_json(context.cursor) if context.cursor else Position()
        position = with_days_read(position, days_read(context.instance, position.after))
        now, opened = settings.now(), lake.open()
        span = events_to_read(position, now)
        if span is not None:
            events = listed_events(openmeter, *span, before=_end(max(position.read_since)), now=now)
            if events is not None:
                position = with_events(position, events, span[1], opening_on(opened, settings.start_date))
            if events is None or position.unlisted:
                position = with_trailing_window(position, now, span[1])
        asked = range_to_request(position, lambda each: last_day_touched(opened, each))
        found = list(requests(context.instance, request_name(position, asked), asked)) if asked else []
        days = ", ".join(f"{each:%F}" for each in sorted(position.late)[:5])
        waiting = f"Late usage of {days} is being read, or waits for its next try." if days else ""
        return dg.SensorResult(
            run_requests=found,
            skip_reason=None if found else waiting or "No usage came late.",
            cursor=position.model_dump_json(),
        )

    return sensor


def requests(
    instance: DagsterInstance, name: str, asked: tuple[dt.date, dt.date], *, once: bool = False
) -> Iterator[dg.RunRequest]:
    """The request for a range, unless a run of that name is under way or failed a moment ago.

    ``once``: nor after one that succeeded, where the name says all there is to be read.
    """
    runs = instance.get_run_records(RunsFilter(tags={LATE_TAG: name}))
    attempts = [Attempt(_state(each.dagster_run), _instant(each.end_time)) for each in runs]
    if once and any(attempt.state is RunState.SUCCEEDED for attempt in attempts):
        return
    if may_try(attempts, dt.datetime.now(dt.UTC)):
        yield dg.RunRequest(
            run_key=f"{name}:{len(attempts)}",
            tags={
                LATE_TAG: name,
                "dagster/asset_partition_range_start": f"{asked[0]:%F}",
                "dagster/asset_partition_range_end": f"{asked[1]:%F}",
            },
        )


def _state(run: DagsterRun) -> RunState:
    if run.status is DagsterRunStatus.SUCCESS:
        return RunState.SUCCEEDED
    ended = run.status in (DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)
    return RunState.FAILED if ended else RunState.UNFINISHED


def _instant(timestamp: float | None) -> dt.datetime | None:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC) if timestamp else None


def days_read(instance: DagsterInstance, after: int) -> Iterator[DayRead]:
    """Every materialization of a day of ``raw_usage`` after a storage id, oldest first, with its run's beginning."""
    began: dict[str, dt.datetime] = {}
    while True:
        page = instance.fetch_materializations(
            AssetRecordsFilter(asset_key=dg.AssetKey(RAW_USAGE.name), after_storage_id=after),
            limit=_PAGE,
            ascending=True,
        ).records
        for record in page:
            after = record.storage_id
            if record.run_id not in began:
                run = instance.get_run_record_by_id(record.run_id)
                # A run that was deleted began some time before it wrote; an hour is on the safe side.
                written = dt.datetime.fromtimestamp(record.timestamp, dt.UTC)
                started = _instant(run.start_time) if run is not None else None
                began[record.run_id] = started or written - dt.timedelta(hours=1)
            if record.partition_key is not None:
                yield DayRead(record.storage_id, day(record.partition_key), began[record.run_id])
        if len(page) < _PAGE:
            return


def last_day_touched(lake: Lake, of: dt.date) -> dt.date:
    """The last day of any rating period that has a part on a day, by the day's own catalog.

    Where credit can be used on the day there is no last one: what is left of it changes for all days after.
    """
    if lake.record(CATALOG.name, of) is None:
        return of
    catalog = catalog_in(lake, of)
    if catalog.credits:
        return dt.date.max
    slices = slices_on(catalog, of)
    ends = [(s.charge.rating.end - dt.timedelta(seconds=1)).date() for s in slices]
    return max(ends, default=of)


def opening_on(lake: Lake, first: dt.date) -> Opening | None:
    """What the first day holds of the time before it, by its own catalog; None where it holds nothing."""
    if lake.record(CATALOG.name, first) is None:
        return None
    began = [s.charge.period.start for s in slices_on(catalog_in(lake, first), first)]
    since = min(began, default=midnight(first))
    return Opening(first, since) if since < midnight(first) else None


def _end(day: dt.date) -> dt.datetime:
    return midnight(day) + dt.timedelta(days=1)


def listed_events(
    settings: OpenMeterSettings,
    start: dt.datetime,
    end: dt.datetime,
    *,
    before: dt.datetime,
    now: dt.datetime,
) -> list[Stored] | None:
    """Events of the time ``before`` an instant that were stored in [start, end), or more; None where the server
    cannot list them. A v3 that has no events, or cannot sort them by when they were stored, leaves it to v1."""

    async def read(server: Server) -> list[Stored] | None:
        if server.v3 is not None:
            try:
                return [_stored(each) async for each in server.v3.events_stored(start, end, before=before)]
            except ServerProblem as problem:
                if problem.status not in _CANNOT_LIST:
                    raise
        if server.v1 is None:
            return None
        try:
            found = await server.v1.events_ingested(start - OVERLAP, end, since=now - V1_REACH, before=before)
        except NotFound:
            return None
        return None if found is None else [_stored(each) for each in found]

    return asked_once(settings, read)


def _stored(event: wire_v3.StoredEvent | wire_v1.StoredEvent) -> Stored:
    return Stored(event.event.time or event.ingested_at, event.stored_at)
