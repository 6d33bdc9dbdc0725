"""The ledger as people ask for it: a table, JSON, SQL; and made again from the manifests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from focus_assets.commands.deliveries import command as deliveries
from focus_assets.commands.ledger import command as ledger
from focus_assets.delivery import DeliveryRun, deliver_all, entries
from focus_assets.lake import Lake
from focus_assets.settings.loading import load_file as load
from focus_assets.sql import create_views, query
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import days, row, write_day


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Two destinations that have August, with one day restated since the first delivery to each."""
    config = tmp_path / "focus.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "start_date": "2026-08-01",
                "defaults": {"provider_name": "Example"},
                "lake": {"url": "lake"},
                "customers": [{"key": "acme"}],
                "destinations": [
                    {"name": "acme", "url": "bucket/acme", "customers": ["acme"], "layout": "aws"},
                    {"name": "finance", "url": "bucket/finance"},
                ],
            }
        )
    )
    settings = load(config)
    lake = Lake.open(settings.lake.url)
    for n in (1, 2):
        for day in days("2026-08-01", "2026-08-02"):
            write_day(lake, day, [row(day, quantity=n), row(day, "globex")])
        deliver_all(lake, settings.destinations, "2026-08", DeliveryRun(NOW.replace(hour=n)))
    return config


def run(command: object, config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--config", str(config)])  # type: ignore[arg-type]


def test_every_delivery_is_a_row_with_its_totals_and_manifest(config: Path) -> None:
    said = run(deliveries, config).output
    assert "(4 rows)" in said
    assert "metadata/BILLING_PERIOD=2026-08/acme-Manifest.json" in said
    assert "2026-09-02T02:00:00Z" in said
    assert "(1 row)" in run(deliveries, config, "--latest", "--destination", "finance").output
    assert "(0 rows)" in run(deliveries, config, "--month", "2026-09").output


def test_json_has_every_column_of_the_ledger(config: Path) -> None:
    found = json.loads(run(deliveries, config, "--format", "json").output)
    held = entries(Lake.open(str(config.parent / "lake")))
    assert [list(each) for each in found] == [held.columns] * 4
    assert [each["content_digest"] for each in found] == held["content_digest"].to_list()
    assert json.loads(found[0]["billed_cost"]) == {"USD": "0.02"}


def test_sql_sees_what_the_ledger_holds_and_an_empty_one_has_the_same_columns(
    config: Path, tmp_path: Path
) -> None:
    settings = load(config)
    lake = Lake.open(settings.lake.url)
    held = entries(lake)

    answer = query(settings, "select * from deliveries")

    assert list(answer.columns) == held.columns
    assert answer.rows == held.rows()
    empty = Lake.open(str(tmp_path / "empty"))
    create_views(tmp_path / "empty.duckdb", empty)
    create_views(tmp_path / "filled.duckdb", lake)
    assert described(tmp_path / "empty.duckdb") == described(tmp_path / "filled.duckdb")
    assert len(described(tmp_path / "filled.duckdb")) == len(held.columns)


def described(file: Path) -> list[tuple[object, ...]]:
    import duckdb

    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute("describe deliveries").fetchall()


def test_a_ledger_that_was_lost_is_made_again_from_the_manifests_and_nothing_is_due(config: Path) -> None:
    from focus_assets.delivery import billing_months, due, latest_deliveries

    lake = Lake.open(str(config.parent / "lake"))
    newest = latest_deliveries(lake).drop("sequence")
    for file in (config.parent / "lake" / "_ledger").rglob("*.json"):
        file.unlink()

    done = run(ledger, config, "rebuild")

    assert done.output == "acme: 1 manifests, all entered\nfinance: 1 manifests, all entered\n"
    assert latest_deliveries(lake).drop("sequence").equals(newest)
    months = billing_months(lake)
    assert due(months, load(config).destinations, latest_deliveries(lake), months) == []
    assert run(ledger, config, "rebuild").exit_code == 0
    assert entries(lake).height == 2


def test_a_manifest_that_somebody_edited_is_not_entered_and_the_other_destination_is(config: Path) -> None:
    for file in (config.parent / "lake" / "_ledger").rglob("*.json"):
        file.unlink()
    manifest = next((config.parent / "bucket" / "acme").rglob("acme-Manifest.json"))
    manifest.write_text(manifest.read_text().replace('"rows":1', '"rows":2'))

    done = run(ledger, config, "rebuild")

    assert "acme: " in str(done.exception)
    assert "its content digest differs" in str(done.exception)
    assert "finance: 1 manifests, all entered" in done.output


def test_unknown_destinations_are_named_with_the_known_ones(config: Path) -> None:
    done = run(ledger, config, "rebuild", "--destination", "nobody")
    assert "known destinations: acme, finance" in str(done.exception)
