"""What Dagster loads: it loads without a word, and every asset says what it is."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster import DagsterInstance

import focus_assets
from focus_assets.definitions import build_definitions
from focus_assets.demo import sample_settings
from focus_assets.orchestration.assets.common import LAKE_POOL
from focus_assets.orchestration.assets.focus_export import EXPORT
from focus_assets.orchestration.assets.raw_usage import SOURCE_POOL
from focus_assets.orchestration.in_process import CHAIN
from focus_assets.orchestration.instance import prepare_home
from focus_assets.settings import Settings
from focus_assets_tests.ui.running import environment

ROOT = Path(focus_assets.__file__).parents[1]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The sample company's."""
    return sample_settings(tmp_path_factory.mktemp("definitions"))


@pytest.fixture(scope="module")
def definitions(settings: Settings) -> dg.Definitions:
    return build_definitions(settings)


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


@pytest.mark.parametrize(
    "command",
    [("dagster", "definitions", "validate", "-w", "workspace.yaml"), ("dagster_dg_cli", "check", "defs")],
    ids=["dagster-definitions-validate", "dg-check-defs"],
)
def test_the_checkout_is_a_code_location_that_loads(command: tuple[str, ...], tmp_path: Path) -> None:
    module, *arguments = command
    # dg is a console script only; both are asked in this interpreter, so that no other one answers.
    start = (
        "from dagster_dg_cli.cli import main; main()"
        if module != "dagster"
        else "from dagster.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", start, *arguments],
        cwd=ROOT,
        env={**environment(), "DAGSTER_HOME": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_definitions_load_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "from focus_assets.definitions import defs; defs()"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_chain_is_complete(specs: dict[str, dg.AssetSpec]) -> None:
    destinations = ("finance", "cust-01", "cust-02", "warehouse", "hub")
    assert set(specs) == {*CHAIN, *(f"{EXPORT}/{name}" for name in destinations)}


def test_every_asset_says_what_it_is_who_owns_it_and_where_it_belongs(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        assert len(spec.description or "") > 60, name
        assert spec.group_name in {"catalog", "usage", "focus", "billing", "deliveries"}, name
        assert spec.owners == ["team:finops"], name
        assert spec.kinds, name
        assert spec.tags["focus_assets/stage"], name


@pytest.mark.parametrize("name", CHAIN)
def test_every_day_asset_describes_its_rows_and_columns(name: str, specs: dict[str, dg.AssetSpec]) -> None:
    schema = specs[name].metadata["dagster/column_schema"]

    assert "One row: " in (specs[name].description or "")
    assert schema.columns
    assert all(column.description and column.type for column in schema.columns)


def test_days_depend_on_the_same_days_alone(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for name in CHAIN:
        node = graph.get(dg.AssetKey(name))
        for parent in node.parent_keys:
            mapping = graph.get_partition_mapping(node.key, parent)
            days = node.partitions_def.empty_subset().with_partition_keys(["2026-08-10", "2026-08-12"])
            upstream = mapping.get_upstream_mapped_partitions_result_for_partitions(
                days, node.partitions_def, graph.get(parent).partitions_def
            )
            assert sorted(upstream.partitions_subset.get_partition_keys()) == ["2026-08-10", "2026-08-12"]


def test_every_check_says_what_it_holds(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    checks = [graph.get_check_spec(key) for key in graph.asset_check_keys]

    assert {check.asset_key.path[0] for check in checks} == {
        "raw_usage",
        "quarantined_events",
        "normalized_usage",
        "usage_totals",
        "unbilled_usage",
        "focus_cost_and_usage",
        "focus_price_list",
        "focus_invoice_detail",
    }
    for check in checks:
        said = check.description or ""
        assert said.endswith("."), check.name
        assert check.blocking != ("warning" in said), check.name


def test_the_sensor_runs_from_the_start(definitions: dg.Definitions) -> None:
    """Else an installation would deliver nothing, without a word."""
    sensor = definitions.resolve_sensor_def(f"{EXPORT}_sensor")

    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_the_schedule_runs_the_day_that_ended(settings: Settings) -> None:
    running = build_definitions(settings.model_copy(update={"as_of": None}))
    schedule = running.resolve_schedule_def("daily_usage_to_focus")
    at = dt.datetime(2026, 8, 20, 6, tzinfo=dt.UTC)

    with DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance, scheduled_execution_time=at, repository_def=running.get_repository_def()
        )
        asked = schedule.evaluate_tick(context).run_requests

    assert schedule.cron_schedule == "0 6 * * *"
    assert [request.partition_key for request in asked or []] == ["2026-08-19"]


def test_whatever_writes_the_lake_queues_for_it(definitions: dg.Definitions, tmp_path: Path) -> None:
    """Runs that the UI launches carry no tags of ours, so that only pools can keep them apart."""
    config = yaml.safe_load((prepare_home(tmp_path) / "dagster.yaml").read_text())["concurrency"]
    graph = definitions.resolve_asset_graph()

    assert config["pools"] == {"granularity": "run", "default_limit": 1}
    for node in graph.asset_nodes:
        assert node.pools <= {LAKE_POOL, SOURCE_POOL}, node.key
        assert node.pools, node.key


def test_the_workspace_of_the_ui_and_of_a_checkout_name_the_same_location() -> None:
    """Dagster keeps sensor cursors and schedule states by that name."""
    packaged = yaml.safe_load((ROOT / "focus_assets/orchestration/workspace.yaml").read_text())
    checkout = yaml.safe_load((ROOT / "workspace.yaml").read_text())

    [mine], [theirs] = packaged["load_from"], checkout["load_from"]
    for key in ("module_name", "location_name"):
        assert mine["python_module"][key] == theirs["python_module"][key]
