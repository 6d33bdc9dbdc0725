"""The sensor that asks for the days of billing periods that have closed: their rows then name the invoice.

What belongs here: reading the lake and asking. What does not: when a period closes (``billing.close``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import dagster as dg

from focus_assets.billing_stages import period_close, periods_closed_otherwise
from focus_assets.chain import FOCUS
from focus_assets.lake import Lake, day_ranges
from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.late_usage_sensor import last_day_touched, requests
from focus_assets.orchestration.resources import LakeResource
from focus_assets.settings import Settings
from focus_assets.usage_source import days_invoiced_otherwise


def period_close_sensor(settings: Settings, chain_job: Any) -> dg.SensorDefinition:
    """Asks for one range of days whenever other billing periods have closed than their rows were made with."""

    @dg.sensor(
        name="period_close_sensor",
        job=chain_job,
        minimum_interval_seconds=3600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Requests the days of billing periods that have closed, so that their rows name the invoice and its lines "
            "are rounded. Closed periods are those that ended `billing.close_after_days` ago; where invoices are "
            "OpenMeter's, the days of invoices that are new or have changed."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        opened = lake.open()
        with explained():
            held = opened.days(FOCUS)
            days = sorted(
                periods_closed_otherwise(opened, held, period_close(settings), settings.late_usage)
                | days_invoiced_otherwise(settings, opened, held)
            )
        if not days:
            return dg.SensorResult(skip_reason="No billing period has closed since its days were computed.")
        asked = _first_range([*days, *_settled_on(opened, days)], settings.days_per_run)
        found = list(requests(context.instance, _name(days, asked), asked, once=True))
        waiting = f"{day_ranges(days)} are being computed, or wait for their next try."
        return dg.SensorResult(run_requests=found, skip_reason=None if found else waiting)

    return sensor


def _settled_on(lake: Lake, days: list[dt.date]) -> set[dt.date]:
    """The days on which lines of ``days`` end: corrections that get their invoice are stated there."""
    held = lake.days(FOCUS)
    return {min(last_day_touched(lake, day), held[-1]) for day in days}


def _first_range(days: list[dt.date], longest: int) -> tuple[dt.date, dt.date]:
    """From the first day on, also over days between: those after it are asked for when it has been computed."""
    first = days[0]
    return first, max(day for day in days if (day - first).days < longest)


def _name(days: list[dt.date], asked: tuple[dt.date, dt.date]) -> str:
    """The run's name: the same days are asked for again only under the rules of retries."""
    digest = hashlib.sha256("\n".join(f"{day:%F}" for day in days).encode()).hexdigest()[:16]
    return f"closed:{asked[0]:%F}:{asked[1]:%F}:{digest}"
