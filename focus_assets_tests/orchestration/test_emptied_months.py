"""A billing month that has lost its rows: its destinations must not keep what was delivered of it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.delivery import entries, verify
from focus_assets.delivery.ledger import days_delivered
from focus_assets_tests.orchestration.company import Company

FIRST, LAST = dt.date(2026, 8, 1), dt.date(2026, 8, 6)
JULY, AUGUST = "2026-07", "2026-08"


def asked(tick: Any) -> dict[str, list[str]]:
    """What the sensor asks for: the month that a run delivers, and to whom."""
    return {
        request.tags["focus_assets/billing_month"]: sorted(key.path[-1] for key in request.asset_selection)
        for request in tick.run_requests
    }


def delivered_in(company: Company, month: str, destination: str = "everyone") -> Any:
    """The manifest of a month as it stands at a destination, after checking what it names."""
    checked = verify(company.settings.destination(destination).url)
    assert [check.problems for check in checked] == [()] * len(checked)
    (manifest,) = (c.manifest for c in checked if c.manifest and c.manifest.billing_month == month)
    return manifest


@pytest.fixture
def corrected(company: Company) -> Company:
    """Subscriptions that were thought to be billed from the 29th, delivered so, and then from the 1st."""
    for subscription in company.configuration["subscriptions"]:
        subscription["billing_anchor"] = "2026-07-29T00:00:00Z"
    company.run_and_deliver(f"{FIRST}", f"{LAST}")
    assert delivered_in(company, JULY).totals.rows > 0
    assert days_delivered(company.lake)[JULY] == (FIRST, LAST)
    for subscription in company.configuration["subscriptions"]:
        subscription["billing_anchor"] = "2026-08-01T00:00:00Z"
    return company


def test_a_month_that_has_lost_all_its_rows_is_delivered_as_empty(corrected: Company) -> None:
    columns = delivered_in(corrected, JULY).columns
    corrected.run(f"{FIRST}", f"{LAST}")

    tick = corrected.tick()
    assert asked(tick) == {JULY: ["everyone", "only-bob"], AUGUST: ["everyone", "only-bob"]}
    # No billing period begins in July any more: it is no partition, and a run of the first one delivers it.
    assert {request.partition_key for request in tick.run_requests} == {f"{FIRST}"}

    outcome = corrected.deliver()

    assert sorted((d["month"], d["destination"], d["result"]) for d in outcome.deliveries) == [
        (month, name, "delivered") for month in (JULY, AUGUST) for name in ("everyone", "only-bob")
    ]
    july = delivered_in(corrected, JULY)
    assert july.totals.rows == 0
    assert july.columns == columns
    assert [(day.day, day.rows) for day in july.days] == [(FIRST + dt.timedelta(days=n), 0) for n in range(6)]
    assert corrected.tick().run_requests == []


@pytest.mark.parametrize("destination", ["everyone", "only-bob"])
def test_nobody_sees_a_row_twice(corrected: Company, destination: str) -> None:
    corrected.run_and_deliver(f"{FIRST}", f"{LAST}")
    held = corrected.lake.scan("focus_cost_and_usage", corrected.lake.days("focus_cost_and_usage"))
    if destination == "only-bob":
        held = held.filter(pl.col("x_CustomerKey") == "bob")
    assert corrected.rows_delivered(destination).height == held.select(pl.len()).collect().item() > 0


def test_a_month_waits_until_every_day_that_was_delivered_with_it_was_computed_again(
    corrected: Company,
) -> None:
    """Five of six days have moved to August: July has one left, and neither month is whole."""
    corrected.run(f"{FIRST}", "2026-08-05")
    with pytest.raises(Exception, match="stale"):
        corrected.deliver()
    assert delivered_in(corrected, JULY).totals.rows > 0


def test_a_day_that_failed_its_checks_holds_back_the_month_that_it_left(
    corrected: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    from focus_assets_tests.orchestration.test_export_gating import break_rating

    with monkeypatch.context() as patch:
        break_rating(patch, "2026-08-05")
        with pytest.raises(Exception, match="2026-08-05"):
            corrected.run(f"{FIRST}", f"{LAST}")
    assert asked(corrected.tick()) == {}


def test_a_destination_that_is_delivered_to_at_the_close_gets_it_too(
    tmp_path: Path, corrected: Company
) -> None:
    for destination in corrected.configuration["destinations"]:
        destination["frequency"] = "period_close"
    corrected.run(f"{FIRST}", f"{LAST}")
    assert asked(corrected.tick()) == {JULY: ["everyone", "only-bob"]}
    corrected.deliver()
    assert entries(corrected.lake).filter(pl.col("billing_month") == JULY)["rows"].to_list()[-1] == 0


def test_a_month_that_has_lost_its_last_days_alone_is_replaced_with_those_days_empty(
    corrected: Company,
) -> None:
    """Ann's period ends on the 5th and a new one begins: her July rows are those of four days."""
    corrected.configuration["subscriptions"][0]["billing_anchor"] = "2026-08-05T00:00:00Z"
    corrected.run_and_deliver(f"{FIRST}", f"{LAST}")
    july = delivered_in(corrected, JULY)
    assert [day.rows > 0 for day in july.days] == [True] * 4 + [False] * 2
