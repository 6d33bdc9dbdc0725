"""Above a number of destinations one asset stands for all: the same deliveries, told by the ledger."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from focus_assets.delivery import entries
from focus_assets.orchestration.in_process import Outcome, RunFailed
from focus_assets_tests.orchestration.company import Company

ALL = dg.AssetKey("focus_export")
NAMES = ["ann-again", "everyone", "only-ann", "only-bob", "ann-and-bob"]


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """Five destinations, where four assets are the most."""
    made = Company(tmp_path)
    made.configuration["destination_assets"] = 4
    made.configuration["destinations"] += [
        {"name": "only-ann", "url": "bucket/ann", "customers": ["ann"]},
        {"name": "ann-again", "url": "bucket/again", "customers": ["ann"], "format": "csv"},
        {"name": "ann-and-bob", "url": "bucket/both", "customers": ["ann", "bob"], "focus_version": "1.4"},
    ]
    made.usage_of_ten_days()
    return made


def test_at_the_number_each_destination_is_an_asset_and_above_it_none_is(company: Company) -> None:
    def keys() -> set[str]:
        found = {spec.key.to_user_string() for spec in company.chain.definitions.resolve_all_asset_specs()}
        return {key for key in found if key.startswith("focus_export")}

    assert keys() == {"focus_export"}
    company.configuration["destination_assets"] = 5
    assert keys() == {f"focus_export/{name}" for name in NAMES}


def test_the_sensor_asks_for_those_that_are_due_and_the_ledger_tells_of_each(company: Company) -> None:
    company.run("2026-08-01", "2026-08-02")

    [request] = company.tick().run_requests

    assert request.asset_selection == [ALL]
    assert request.run_config["ops"]["focus_export"]["config"]["destinations"] == sorted(NAMES)
    outcome = company.deliver()
    assert company.delivered() == {name: ["delivered"] for name in NAMES}
    assert sorted(each["destination"] for each in outcome.deliveries) == sorted(NAMES)
    assert {(each["month"], each["result"]) for each in outcome.deliveries} == {("2026-08", "delivered")}
    assert {Path(each["manifest"]).is_file() for each in outcome.deliveries} == {True}
    assert company.tick().run_requests == [], "nothing is due any more"
    assert set(company.rows_delivered("only-bob")["x_CustomerKey"]) <= {"bob"}
    assert set(company.rows_delivered("only-ann")["x_CustomerKey"]) == {"ann"}

    added = {"name": "late", "url": "bucket/late", "customers": ["bob"]}
    company.configuration["destinations"].append(added)
    [request] = company.tick().run_requests
    assert request.run_config["ops"]["focus_export"]["config"]["destinations"] == ["late"]


def test_by_hand_it_delivers_to_whom_is_named_and_to_all_where_nobody_is(company: Company) -> None:
    company.run("2026-08-01", "2026-08-02")
    outcome = Outcome()

    company.chain.deliver_months(["2026-08"], ["only-bob", "everyone"], outcome)

    assert [each["destination"] for each in outcome.deliveries] == ["everyone", "only-bob"]
    assert set(company.delivered()) == {"everyone", "only-bob"}
    assert company.export_by_hand("2026-08").success, "the job as the UI launches it, without config"
    assert set(company.delivered()) == set(NAMES)


def test_a_destination_that_fails_fails_the_run_and_keeps_nobody_back(company: Company) -> None:
    company.run("2026-08-01", "2026-08-02")
    (company.root / "bucket").mkdir()
    (company.root / "bucket" / "bob").write_text("in the way")

    with pytest.raises(RunFailed, match="only-bob: destination only-bob"):
        company.deliver()

    assert set(company.delivered()) == set(NAMES) - {"only-bob"}
    [event] = company.instance.fetch_materializations(ALL, limit=5).records
    metadata = event.asset_materialization.metadata if event.asset_materialization else {}
    assert (metadata["destinations"].value, metadata["delivered"].value, metadata["failed"].value) == (
        5,
        4,
        1,
    )
    (company.root / "bucket" / "bob").unlink()
    company.deliver()
    assert entries(company.lake)["destination"].n_unique() == 5


def test_a_name_that_nobody_has_is_refused_before_anything_is_delivered(company: Company) -> None:
    company.run("2026-08-01", "2026-08-02")

    with pytest.raises(RunFailed, match="unknown destination nobody"):
        company.chain.deliver_months(["2026-08"], ["only-bob", "nobody"], Outcome())

    assert company.delivered() == {}
