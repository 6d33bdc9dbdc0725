"""The sensor that asks for days again whose event files came or changed after they were read.

What belongs here: reading the listing and the lake, and asking. The decisions are in ``late_files_decisions``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import partial
from typing import Any

import dagster as dg

from focus_assets.datasets import RAW_USAGE
from focus_assets.lake import day_ranges
from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.late_files_decisions import range_to_request, request_name, worth_reading
from focus_assets.orchestration.late_usage_sensor import last_day_touched, requests
from focus_assets.orchestration.resources import LakeResource
from focus_assets.settings import Settings
from focus_assets.source_changes import SourceNow, source_now


def late_files_sensor(settings: Settings, chain_job: Any) -> dg.SensorDefinition:
    """Asks for one range of days whenever event files hold other events of days that were read."""
    lookback = settings.source.cloudevents.lookback_days

    @dg.sensor(
        name="late_files_sensor",
        job=chain_job,
        minimum_interval_seconds=600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Follows the listing of event files, reads what is new or changed once it is at rest, and requests days "
            "again whose events are others than those they were made from."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        opened = lake.open()
        days = opened.days(RAW_USAGE.name)
        if not days:
            return dg.SensorResult(skip_reason="No day was read yet.")
        with explained():
            # Files tell their time by the machine's clock, whatever as_of says.
            chosen = partial(worth_reading, now=dt.datetime.now(dt.UTC))
            now = source_now(settings, opened, worth_reading=chosen)
        records = opened.records(RAW_USAGE.name, days)
        late = now.late(records)
        asked = range_to_request(list(late), days, lambda each: last_day_touched(opened, each), lookback)
        if asked is None:
            return dg.SensorResult(skip_reason=f"No file is late.{_unread(now)}")
        archived = sorted(day for day in now.made_from_gone(records) if asked[0] <= day <= asked[1])
        if archived:
            return dg.SensorResult(
                skip_reason=f"{_days(late)} have late events, but files that {_days(archived)} were made from are "
                "gone: a run would lose their events. Put the files back, or materialize the days by hand."
            )
        found = list(requests(context.instance, request_name(asked, late), asked, once=True))
        waiting = f"Late events of {_days(late)} are being read, or wait for their next try.{_unread(now)}"
        return dg.SensorResult(run_requests=found, skip_reason=None if found else waiting)

    return sensor


def _unread(now: SourceNow) -> str:
    return f" {len(now.unread)} files are read once they are at rest." if now.unread else ""


def _days(days: Iterable[dt.date]) -> str:
    return day_ranges(sorted(days))
