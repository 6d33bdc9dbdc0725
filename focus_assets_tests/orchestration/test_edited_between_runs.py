"""What was edited or left out between runs never becomes a wrong figure in somebody's bucket."""

from __future__ import annotations

import datetime as dt
import json

import polars as pl
import pytest

from focus_assets.orchestration.in_process import Outcome, RunFailed
from focus_assets.stage_controls import customers_of_charges
from focus_assets_tests.orchestration.company import Company


@pytest.mark.parametrize(
    ("edit", "value"),
    [("key", "renamed"), ("billing_anchor", "2026-07-02T00:00:00Z")],
)
def test_a_subscription_that_was_edited_does_not_begin_its_tiers_anew(
    company: Company, edit: str, value: str
) -> None:
    company.run("2026-08-01", "2026-08-02")
    company.configuration["subscriptions"][0][edit] = value
    with pytest.raises(RunFailed) as failed:
        company.run("2026-08-03")
    assert "edited without a valid_from" in str(failed.value)
    assert "--to 2026-08-03" in str(failed.value)
    assert dt.date(2026, 8, 3) not in company.lake.days("focus_cost_and_usage")


def test_a_month_whose_first_days_were_never_computed_is_not_delivered(company: Company) -> None:
    company.run("2026-08-01", "2026-08-04")
    folder = company.root / "lake" / "focus_cost_and_usage" / "charge_date=2026-08-01"
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(RunFailed, match="2026-08-01"):
        company.chain.deliver(Outcome())
    assert not (company.root / "bucket").exists()


def test_a_record_that_hides_rows_of_its_file_holds_the_month_back(company: Company) -> None:
    company.run("2026-08-01", "2026-08-03")
    record = company.root / "lake" / "focus_cost_and_usage" / "charge_date=2026-08-02" / "_record.json"
    held = json.loads(record.read_text())
    held["facts"]["billing_months"] = {}
    record.write_text(json.dumps(held))
    with pytest.raises(RunFailed, match="its record does not say what its file holds"):
        company.chain.deliver(Outcome())
    assert not (company.root / "bucket").exists()


def test_rows_under_another_customer_s_name_are_found_before_they_reach_a_bucket(company: Company) -> None:
    company.run("2026-08-01", "2026-08-03")
    day = dt.date(2026, 8, 3)
    lake = company.lake
    record = lake.record("focus_cost_and_usage", day)
    assert record is not None
    assert customers_of_charges(lake, day).is_empty()
    swapped = lake.scan("focus_cost_and_usage", [day]).collect().lazy()
    swapped = swapped.with_columns(x_CustomerKey=pl.lit("bob"))
    lake.write("focus_cost_and_usage", day, swapped, inputs=record.inputs, facts=lambda _: record.facts)
    assert set(customers_of_charges(company.lake, day)["customer"]) == {"ann"}
    with pytest.raises(RunFailed, match="customers_of_charges"):
        company.chain.deliver(Outcome())
    assert not (company.root / "bucket").exists()
