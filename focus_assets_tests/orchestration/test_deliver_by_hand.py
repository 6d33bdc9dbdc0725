"""Frequencies hold for the sensor; a person who delivers by hand decides for themselves."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from focus_assets.commands.whole_chain import NoSuchMonths, deliver_and_tell
from focus_assets.orchestration.in_process import Outcome, RunFailed
from focus_assets.settings import ConfigurationError
from focus_assets_tests.orchestration.company import Company


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """Three days, of which one destination waits for the close of the month."""
    made = Company(tmp_path_factory.mktemp("company"))
    made.usage_of_ten_days()
    made.configuration["destinations"][1] |= {"frequency": "period_close"}
    made.run_and_deliver("2026-08-01", "2026-08-03")
    return made


def delivered(company: Company, months: list[str], names: list[str]) -> list[tuple[str, str, str]]:
    outcome = Outcome()
    company.chain.deliver_months(months, names, outcome)
    return [(d["destination"], d["month"], d["result"]) for d in outcome.deliveries]


def test_the_sensor_leaves_a_destination_alone_that_waits_for_the_close_and_says_so(company: Company) -> None:
    assert set(company.delivered()) == {"everyone"}
    tick = company.tick()
    assert tick.run_requests == []
    assert "1 changed months wait for the hour of their destination, or for their close." in tick.skip_message


def test_a_person_delivers_to_it_all_the_same_and_what_is_there_is_not_put_again(company: Company) -> None:
    names = ["everyone", "only-bob"]
    assert delivered(company, ["2026-08"], names) == [
        ("everyone", "2026-08", "unchanged"),
        ("only-bob", "2026-08", "delivered"),
    ]
    assert set(company.rows_delivered("only-bob")["x_CustomerKey"]) == {"bob"}


def test_the_ui_shows_the_history_of_a_destination(company: Company) -> None:
    outcome = Outcome()
    company.chain.deliver_months(["2026-08"], ["everyone"], outcome)
    [delivery] = outcome.deliveries
    history = delivery["history"]
    assert history.startswith("The newest 1 of 1 deliveries.")
    assert "| 2026-08 | 1 | 2026-08-11 | delivered |" in history


def test_unknown_destinations_and_months_are_named_before_anything_starts(
    company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = company.settings
    with pytest.raises(
        ConfigurationError, match="unknown destination bob; known destinations: everyone, only-bob"
    ):
        deliver_and_tell(settings, ["bob"], "2026-08", None)
    with pytest.raises(NoSuchMonths, match="the lake holds no billing month from 2026-09 on"):
        deliver_and_tell(settings, [], "2026-09", None)


def test_the_command_delivers_from_a_month_on_to_one_destination_and_tells_what_came_of_it(
    company: Company, capsys: pytest.CaptureFixture[str]
) -> None:
    company.configuration["destinations"].append({"name": "late", "url": "bucket/late", "layout": "aws"})

    deliver_and_tell(company.settings, ["late"], "2026-07", None)

    said = capsys.readouterr().out.split()
    assert said[:3] == ["late", "2026-08", "delivered"]
    assert Path(said[3]) == company.root / "bucket/late/metadata/BILLING_PERIOD=2026-08/late-Manifest.json"
    assert Path(said[3]).is_file()


def test_by_hand_the_same_gates_hold(company: Company) -> None:
    company.rewrite(
        "focus_cost_and_usage", "2026-08-02", lambda rows: rows.with_columns(pl.col("ConsumedQuantity") + 1)
    )
    with pytest.raises(RunFailed, match="2026-08-02: consumed_quantities"):
        delivered(company, ["2026-08"], ["everyone"])
