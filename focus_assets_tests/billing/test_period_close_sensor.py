"""The sensor of closed periods: it asks for their days once, and not while they are open."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance, build_sensor_context

from focus_assets.definitions import build_definitions
from focus_assets.settings import Settings
from focus_assets_tests.billing.weeks import AFTER, BEFORE, START, Weeks


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    """Nine days that were computed while every period was open."""
    return Weeks(tmp_path_factory.mktemp("company") / "lake", as_of=BEFORE).compute(1, 9)


def tick(weeks: Weeks, as_of: dt.datetime, **changes: Any) -> Any:
    config = weeks.root.parent / f"{as_of:%H%M%S}.yaml"
    document = {**weeks.catalog, "start_date": START, "as_of": as_of, "lake": {"url": "lake"}, **changes}
    config.write_text(yaml.safe_dump(document))
    definitions = build_definitions(Settings.load(config))
    with (
        DagsterInstance.ephemeral() as instance,
        build_sensor_context(
            instance=instance,
            definitions=definitions,
            resources={"lake": (definitions.resources or {})["lake"]},
        ) as context,
    ):
        return definitions.resolve_sensor_def("period_close_sensor").evaluate_tick(context)


def range_of(request: Any) -> tuple[str, str]:
    tags = request.tags
    return tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]


def test_nothing_is_asked_for_while_every_period_is_open(weeks: Weeks) -> None:
    asked = tick(weeks, BEFORE)
    assert asked.run_requests == []
    assert "No billing period has closed" in asked.skip_message


def test_the_days_of_a_closed_period_are_asked_for_in_one_range(weeks: Weeks) -> None:
    """The week of 1 August, which Bob entered on the 4th; the days after it are as they were."""
    [request] = tick(weeks, AFTER).run_requests
    assert range_of(request) == ("2026-08-01", "2026-08-07")


def test_a_range_is_no_longer_than_a_run(weeks: Weeks) -> None:
    [request] = tick(weeks, AFTER, days_per_run=3).run_requests
    assert range_of(request) == ("2026-08-01", "2026-08-03")


def test_where_periods_never_close_there_is_no_sensor(tmp_path: Path) -> None:
    config = tmp_path / "focus.yaml"
    document = {
        **Weeks(tmp_path / "lake").catalog,
        "start_date": START,
        "billing": {"close_after_days": None},
    }
    config.write_text(yaml.safe_dump(document))
    names = {sensor.name for sensor in build_definitions(Settings.load(config)).sensors or []}
    assert "period_close_sensor" not in names
