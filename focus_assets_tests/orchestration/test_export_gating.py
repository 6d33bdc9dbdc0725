"""What leaves the lake and what does not: by the sensor, inside a range, by hand; once, again, and never."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

import focus_assets.cost_stages
import focus_assets.days_together
import focus_assets.orchestration.checks
from focus_assets.focus.schema import internal_schema
from focus_assets.orchestration.export_decisions import Position
from focus_assets.orchestration.in_process import CHAIN, RunFailed
from focus_assets_tests.orchestration.company import START, Company, why


def day(number: int) -> dt.date:
    return START + dt.timedelta(days=number - 1)


def break_rating(monkeypatch: pytest.MonkeyPatch, *days: str) -> None:
    """From now on the FOCUS rows of ``days`` cost what price times quantity is not."""
    build: Callable[..., pl.LazyFrame] = vars(focus_assets.cost_stages)["build"]
    on = [dt.date.fromisoformat(day) for day in days]
    cost = pl.col("ListCost")
    dearer = pl.when(pl.col("ChargePeriodStart").dt.date().is_in(on)).then(cost + 1).otherwise(cost)

    def broken(*arguments: Any, **named: Any) -> pl.LazyFrame:
        return build(*arguments, **named).with_columns(
            dearer.cast(internal_schema()["ListCost"]).alias("ListCost")
        )

    for module in (focus_assets.cost_stages, focus_assets.days_together):
        monkeypatch.setattr(module, "build", broken)


def bucket(company: Company) -> list[str]:
    root = company.root / "bucket"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def asked(tick: Any) -> list[tuple[str, list[str]]]:
    """The months and destinations of a tick's requests."""
    return [
        (request.partition_key[:7], sorted(key.path[-1] for key in request.asset_selection))
        for request in tick.run_requests
    ]


@pytest.fixture(scope="module")
def bad_day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, str]:
    """Days 1 to 3 in one run that failed the checks of day 2, and what the run said; tests only look at it."""
    company = Company(tmp_path_factory.mktemp("bad-day"))
    company.usage_of_ten_days()
    with pytest.MonkeyPatch.context() as patch:
        break_rating(patch, "2026-08-02")
        with pytest.raises(RunFailed) as failed:
            company.run("2026-08-01", "2026-08-03")
    return company, str(failed.value)


def test_a_failing_day_is_named_with_its_rows_and_the_good_days_are_not(bad_day: tuple[Company, str]) -> None:
    company, said = bad_day
    assert "price_times_quantity_is_cost" in said
    assert "failed on 2026-08-02: " in said
    assert "costs.ListCost_product" in said
    assert "ann/basic/tokens/20260801T000000Z" in said
    # The rows were written: what keeps them back is not that they are missing.
    assert company.lake.days("focus_cost_and_usage") == [day(1), day(2), day(3)]


def test_the_sensor_asks_for_no_delivery_of_a_range_with_a_day_that_failed(
    bad_day: tuple[Company, str],
) -> None:
    company, _ = bad_day
    tick = company.tick()
    assert tick.run_requests == []
    assert "3 days wait for a run that passes its checks: 2026-08-01, 2026-08-02" in tick.skip_message
    assert sorted(Position.model_validate_json(tick.cursor).held_back) == [day(1), day(2), day(3)]
    assert company.tick(tick.cursor).run_requests == []


def test_a_delivery_by_hand_of_a_day_that_failed_is_refused_and_writes_nothing(
    bad_day: tuple[Company, str],
) -> None:
    company, _ = bad_day
    before = bucket(company)
    said = why(company.export_by_hand("2026-08"))
    assert said.count("2026-08, 2026-08-02: FOCUS 1.2: costs.ListCost_product") == 1
    assert "focus-assets materialize --from 2026-08-02 --to 2026-08-02" in said
    assert said.startswith("everyone, only-bob: billing month 2026-08 was not delivered")
    assert "2026-08-01" not in said
    assert bucket(company) == before == []
    assert company.delivered() == {}


def test_the_chain_in_this_process_does_not_deliver_it_either_and_says_which_days_wait(
    bad_day: tuple[Company, str],
) -> None:
    company, _ = bad_day
    outcome = company.deliver()
    assert outcome.deliveries == []
    assert outcome.withheld == [day(1), day(2), day(3)]
    assert not outcome.nothing_changed


def test_a_later_good_run_of_the_day_alone_releases_only_that_day(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.run("2026-08-01")
    with monkeypatch.context() as patch:
        break_rating(patch, "2026-08-02")
        with pytest.raises(RunFailed):
            company.run("2026-08-02", "2026-08-03")
    waiting = company.tick()
    assert asked(waiting) == []

    company.run("2026-08-02")
    position = Position.model_validate_json(company.tick(waiting.cursor).cursor)
    assert list(position.held_back) == [day(3)]
    assert asked(company.tick(waiting.cursor)) == []

    company.run("2026-08-03")
    assert asked(company.tick(waiting.cursor)) == [("2026-08", ["everyone", "only-bob"])]
    company.deliver()
    assert company.rows_delivered("everyone")["ChargePeriodStart"].dt.date().unique().sort().to_list() == [
        day(1),
        day(2),
        day(3),
    ]


def test_a_run_that_is_not_finished_withholds_its_days(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[Any] = []
    check = vars(focus_assets.orchestration.checks)["check"]

    def looking_meanwhile(*arguments: Any, **named: Any) -> Any:
        # The rows are written and recorded, their checks still run: the moment a careless sensor delivers.
        if not ticks:
            assert company.instance.get_latest_materialization_event(dg.AssetKey("focus_cost_and_usage"))
            ticks.append(company.tick())
        return check(*arguments, **named)

    monkeypatch.setattr(focus_assets.orchestration.checks, "check", looking_meanwhile)
    company.run("2026-08-01")
    (meanwhile,) = ticks
    assert asked(meanwhile) == []
    assert "1 days wait" in meanwhile.skip_message
    assert Position.model_validate_json(meanwhile.cursor) == Position()
    assert asked(company.tick(meanwhile.cursor)) == [("2026-08", ["everyone", "only-bob"])]


def test_checks_that_were_deselected_do_not_let_a_bad_day_out(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_rating(monkeypatch, "2026-08-01")
    everything = company.chain.definitions.resolve_implicit_global_asset_job_def()
    unchecked = everything.get_subset(
        asset_selection={dg.AssetKey(dataset) for dataset in CHAIN}, asset_check_selection=set()
    )
    result = unchecked.execute_in_process(instance=company.instance, partition_key="2026-08-01")
    assert result.success
    assert not result.get_asset_check_evaluations()

    assert asked(company.tick()) == [("2026-08", ["everyone", "only-bob"])]
    with pytest.raises(RunFailed, match=r"ListCost must be ListUnitPrice times PricingQuantity"):
        company.deliver()
    assert bucket(company) == []


def test_two_destinations_that_are_due_are_one_run_for_each_month(company: Company) -> None:
    company.configuration["start_date"] = dt.date(2026, 7, 31)
    company.run("2026-07-31", "2026-08-01")
    tick = company.tick()
    assert asked(tick) == [("2026-07", ["everyone", "only-bob"]), ("2026-08", ["everyone", "only-bob"])]
    assert len({request.run_key for request in tick.run_requests}) == 2


def test_what_was_delivered_is_not_asked_for_again_not_even_with_a_lost_cursor(company: Company) -> None:
    company.run("2026-08-01", "2026-08-02")
    first = company.tick()
    outcome = company.deliver()
    assert [(d["destination"], d["result"]) for d in outcome.deliveries] == [
        ("everyone", "delivered"),
        ("only-bob", "delivered"),
    ]
    before = {path: (company.root / "bucket" / path).stat().st_mtime_ns for path in bucket(company)}

    for cursor in (first.cursor, company.tick(first.cursor).cursor, None):
        assert asked(company.tick(cursor)) == []
    assert company.deliver().deliveries == []
    # By hand it may be asked for again; what is there already stays as it is.
    again = company.export_by_hand("2026-08")
    assert again.success
    assert {path: (company.root / "bucket" / path).stat().st_mtime_ns for path in bucket(company)} == before
    assert company.delivered() == {"everyone": ["delivered"], "only-bob": ["delivered"]}


def test_a_stale_month_is_refused_with_the_day_what_changed_and_the_command(company: Company) -> None:
    company.run_and_deliver("2026-08-01", "2026-08-03")
    delivered = company.rows_delivered("everyone")
    company.event("2026-08-01T12:00:00Z", "ann-1", tokens=1000, model="small")
    company.run("2026-08-01")

    assert asked(company.tick()) == [("2026-08", ["everyone", "only-bob"])]
    with pytest.raises(RunFailed) as refused:
        company.deliver()
    said = str(refused.value)
    changed = "event_keys/2026-08-01, usage_totals/2026-08-01 changed"
    assert f"2026-08, 2026-08-02: focus_cost_and_usage is stale: {changed}" in said
    assert f"2026-08, 2026-08-03: focus_cost_and_usage is stale: {changed}" in said
    assert "Run: focus-assets materialize --from 2026-08-02 --to 2026-08-03" in said
    assert company.rows_delivered("everyone").equals(delivered)
    assert company.delivered() == {"everyone": ["delivered"], "only-bob": ["delivered"]}


def test_a_restated_day_is_delivered_again_exactly_once(company: Company) -> None:
    company.run_and_deliver("2026-08-01", "2026-08-03")
    company.event("2026-08-02T12:00:00Z", "ann-1", tokens=1000, model="small")
    company.run("2026-08-02", "2026-08-03")

    outcome = company.deliver()
    assert [(d["destination"], d["result"]) for d in outcome.deliveries] == [
        ("everyone", "delivered"),
        # bob used nothing else, so his delivery is what it was; the ledger knows that it was looked at.
        ("only-bob", "unchanged"),
    ]
    assert company.deliver().deliveries == []
    assert asked(company.tick()) == []
    assert company.delivered() == {
        "everyone": ["delivered", "delivered"],
        "only-bob": ["delivered", "unchanged"],
    }
    billed = company.rows_delivered("everyone").filter(pl.col("x_CustomerKey") == "ann")["BilledCost"].sum()
    assert billed == company.cost("ann", "2026-08-01", "2026-08-03")


def test_a_day_that_is_run_again_and_comes_out_the_same_is_not_delivered_again(company: Company) -> None:
    company.run_and_deliver("2026-08-01", "2026-08-02")
    company.run("2026-08-01", "2026-08-02")
    assert asked(company.tick()) == []


def test_a_destination_that_is_added_later_is_due_alone(company: Company) -> None:
    company.run_and_deliver("2026-08-01", "2026-08-02")
    company.configuration["destinations"].append({"name": "ann", "url": "bucket/ann", "customers": ["ann"]})
    assert asked(company.tick()) == [("2026-08", ["ann"])]
    outcome = company.deliver()
    assert [(d["destination"], d["result"]) for d in outcome.deliveries] == [("ann", "delivered")]
    assert company.rows_delivered("ann")["x_CustomerKey"].unique().to_list() == ["ann"]


def test_a_destination_that_fails_stops_neither_the_other_nor_the_truth_about_itself(
    company: Company,
) -> None:
    (company.root / "bucket").mkdir()
    (company.root / "bucket" / "everyone").write_text("a file, not a folder")
    company.run("2026-08-01", "2026-08-03")
    with pytest.raises(RunFailed) as failed:
        company.deliver()
    assert "The delivery of 2026-08 did not succeed" in str(failed.value)
    assert "destination everyone" in str(failed.value)
    assert "destination only-bob" not in str(failed.value)
    assert company.delivered() == {"only-bob": ["delivered"]}
    assert company.rows_delivered("only-bob")["x_CustomerKey"].unique().to_list() == ["bob"]

    # The daemon asks once more for the one that is left, and then waits ever longer.
    retried = company.tick()
    assert asked(retried) == [("2026-08", ["everyone"])]
    request = retried.run_requests[0]
    company.chain.definitions.resolve_job_def("focus_export_job").execute_in_process(
        instance=company.instance,
        partition_key=request.partition_key,
        asset_selection=request.asset_selection,
        tags=request.tags,
        raise_on_error=False,
    )
    assert asked(company.tick()) == []

    # A person who mended it does not have to wait.
    (company.root / "bucket" / "everyone").unlink()
    outcome = company.deliver()
    assert [(d["destination"], d["result"]) for d in outcome.deliveries] == [("everyone", "delivered")]


def test_a_month_that_is_refused_does_not_keep_another_back(company: Company) -> None:
    company.configuration["start_date"] = dt.date(2026, 7, 31)
    company.run("2026-07-31", "2026-08-01")
    company.rewrite("usage_totals", "2026-07-31", lambda rows: rows.head(0))
    company.rewrite("focus_cost_and_usage", "2026-08-01", more_of("ConsumedQuantity"))
    with pytest.raises(RunFailed, match="2026-08-01: consumed_quantities"):
        company.deliver()
    found = {path.split("/")[1] for path in bucket(company)}
    assert found == {"billing_period=2026-07", "metadata"}


def more_of(column: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda rows: rows.with_columns(pl.col(column) + 1)


@pytest.fixture(scope="module")
def good_days(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """Days 1 and 2 with all their checks passed, not delivered yet; every test leaves it as it was."""
    company = Company(tmp_path_factory.mktemp("good-days"))
    company.usage_of_ten_days()
    company.run("2026-08-01", "2026-08-02")
    return company


TAMPERED: dict[str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "a FOCUS row too few": ("focus_cost_and_usage", lambda rows: rows.slice(1), "consumed_quantities"),
    "a FOCUS row twice": (
        "focus_cost_and_usage",
        lambda rows: pl.concat([rows, rows.head(1)]),
        "consumed_quantities",
    ),
    "another quantity": ("focus_cost_and_usage", more_of("ConsumedQuantity"), "consumed_quantities"),
    "another price": ("focus_cost_and_usage", more_of("ContractedUnitPrice"), "ContractedCost must be"),
    "no account": (
        "focus_cost_and_usage",
        lambda rows: rows.with_columns(BillingAccountId=pl.lit(None, pl.String)),
        "BillingAccountId",
    ),
}


@pytest.mark.parametrize(("dataset", "change", "named"), TAMPERED.values(), ids=TAMPERED)
def test_rows_that_were_changed_after_their_checks_are_refused_though_their_digest_agrees(
    good_days: Company, dataset: str, change: Callable[[pl.DataFrame], pl.DataFrame], named: str
) -> None:
    good_days.rewrite(dataset, "2026-08-02", change)
    said = why(good_days.export_by_hand("2026-08"))
    good_days.run("2026-08-02")
    assert "2026-08, 2026-08-02: " in said
    assert named in said
    assert bucket(good_days) == []


def test_a_file_that_differs_from_its_record_is_refused(good_days: Company) -> None:
    path = Path(good_days.lake.url) / good_days.lake.path("focus_cost_and_usage", day(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    said = why(good_days.export_by_hand("2026-08", "only-bob"))
    path.write_bytes(whole)
    assert "focus_cost_and_usage of 2026-08-02" in said
    assert "cannot be trusted" in said
    assert "focus-assets materialize --from 2026-08-02 --to 2026-08-02" in said
    assert bucket(good_days) == []
