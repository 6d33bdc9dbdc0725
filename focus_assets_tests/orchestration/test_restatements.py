"""Late events after a delivery: what is delivered then, and what the restatement report says of it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

import focus_assets.chain
import focus_assets.delivery.restatements
from focus_assets.commands.restatements import command
from focus_assets.delivery.restatements import ROOT, restatements
from focus_assets.focus.schema import internal_schema
from focus_assets.orchestration.in_process import Outcome
from focus_assets_tests.orchestration.company import START, Company, configuration

D = Decimal
ANN_CLOSED = "ann/20260801-20260808/USD"
NEXT_DAY = dt.datetime(2026, 8, 11, 9, tzinfo=dt.UTC)


def by_the_week(root: Path) -> Company:
    """Everybody is billed by the week: on the 11th ann's week of the 1st is closed, bob's of the 3rd is open."""
    told = configuration()
    told["plans"][0]["billing_cadence"] = "P1W"
    company = Company(root, told)
    company.usage_of_ten_days()
    return company


def up_to_date(company: Company) -> Outcome:
    outcome = Outcome()
    chain = company.chain
    chain.bring_up_to_date(outcome)
    chain.deliver(outcome)
    return outcome


def come_late(company: Company) -> None:
    """Ten tokens and a request of ann's closed week, and of the open one."""
    company.configuration["as_of"] = NEXT_DAY
    company.event("2026-08-02T12:00:00Z", "ann-1", tokens=10, model="small")
    company.event("2026-08-09T12:00:00Z", "ann-1", tokens=10, model="small")


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, pl.DataFrame]:
    """The company after late events, and what had been delivered to everyone before."""
    company = by_the_week(tmp_path_factory.mktemp("late"))
    up_to_date(company)
    before = company.rows_delivered("everyone")
    come_late(company)
    up_to_date(company)
    return company, before


def test_after_the_close_a_delivery_only_adds(late: tuple[Company, pl.DataFrame]) -> None:
    company, before = late
    now = company.rows_delivered("everyone")
    invoiced = pl.col("InvoiceId") == ANN_CLOSED
    assert before.filter(invoiced).height > 10
    assert now.filter(invoiced).equals(before.filter(invoiced))
    added = now.filter(pl.col("ChargeClass") == "Correction")
    assert set(added["x_CorrectedInvoiceId"]) == {ANN_CLOSED}
    assert set(added["BillingPeriodStart"]) == {dt.datetime(2026, 8, 8, tzinfo=dt.UTC)}


def test_customers_deliveries_add_up_to_the_whole(late: tuple[Company, pl.DataFrame]) -> None:
    company, _ = late
    whole, bob = company.rows_delivered("everyone"), company.rows_delivered("only-bob")
    assert whole.filter(pl.col("x_CustomerKey") == "bob").equals(bob)
    assert bob.filter(pl.col("ChargeClass") == "Correction").is_empty()


def test_the_report_says_what_changed_since_when_and_why(late: tuple[Company, pl.DataFrame]) -> None:
    """30 tokens a day pass the bound of 100 on the 4th; ten of the 2nd cost 1.00 there and 0.50 less on the 4th."""
    found = restatements(late[0].lake)
    assert set(found["customer"]) == {"ann"}
    assert set(found["since"]) == {dt.datetime(2026, 8, 11, tzinfo=dt.UTC)}
    assert set(found["restated_at"]) == {NEXT_DAY}
    tokens = found.filter(pl.col("SkuId") == "tokens", pl.col("quantity_change") != 0)
    assert tokens.select(
        "charge_date", "quantity_change", "billed_cost_change", "corrected_invoice"
    ).rows() == [
        (dt.date(2026, 8, 2), D(10), D("1"), ANN_CLOSED),
        (dt.date(2026, 8, 9), D(10), D("1"), None),
    ]
    moved = found.filter(pl.col("SkuId") == "tokens", pl.col("quantity_change") == 0)
    assert moved.select("charge_date", "billed_cost_change", "reason").rows() == [
        (dt.date(2026, 8, 4), D("-0.5"), "earlier days changed")
    ]
    assert set(tokens["reason"]) == {"late usage"}
    assert (tokens["quantity_after"] - tokens["quantity_before"]).to_list() == [D(10), D(10)]


def test_a_change_of_the_configuration_is_the_reason_where_it_is(tmp_path: Path) -> None:
    company = by_the_week(tmp_path)
    up_to_date(company)
    company.configuration["plans"][0]["rate_cards"][1]["price"]["amount"] = "0.02"
    up_to_date(company)
    found = restatements(company.lake)
    assert set(found["reason"]) == {"configuration change"}
    assert set(found["SkuId"]) == {"requests"}
    # Two requests a day at 0.01 more: on the 1st a correction of the cost alone, on the 8th the new price.
    of_ann = found.filter(pl.col("customer") == "ann", pl.col("quantity_change") == 0)
    assert set(of_ann.filter(pl.col("charge_date") != dt.date(2026, 8, 7))["billed_cost_change"]) == {
        D("0.02")
    }


def of_an_older_version(patch: pytest.MonkeyPatch) -> None:
    """Program 0.0.9, with a defect: requests cost twice what was agreed on."""
    build: Callable[..., pl.LazyFrame] = vars(focus_assets.chain)["build"]
    doubled = [name for name in internal_schema() if name.endswith(("Cost", "UnitPrice"))]

    def dearer(*arguments: Any, **named: Any) -> pl.LazyFrame:
        of_requests = pl.when(pl.col("SkuId") == "requests").then(2).otherwise(1)
        return build(*arguments, **named).with_columns(
            (pl.col(name) * of_requests).cast(internal_schema()[name]) for name in doubled
        )

    patch.setattr(focus_assets.chain, "build", dearer)
    patch.setattr(focus_assets.delivery.restatements, "version", {"focus-assets": "0.0.9"}.__getitem__)


def test_another_version_of_the_program_is_the_reason_where_nothing_else_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ann's two requests a day at 0.01 were 0.04 by 0.0.9; her 30 tokens and the seats were right."""
    company = Company(tmp_path)
    company.usage_of_ten_days()
    with monkeypatch.context() as patch:
        of_an_older_version(patch)
        company.run_and_deliver("2026-08-01", "2026-08-02")
    company.configuration["as_of"] = NEXT_DAY
    company.run_and_deliver("2026-08-01", "2026-08-02")

    found = restatements(company.lake)
    assert found.select(
        "charge_date",
        "SkuId",
        "quantity_change",
        "billed_cost_before",
        "billed_cost_after",
        "billed_cost_change",
    ).rows() == [(dt.date(2026, 8, n), "requests", D(0), D("0.04"), D("0.02"), D("-0.02")) for n in (1, 2)]
    assert set(found["reason"]) == {f"code version 0.0.9 to {version('focus-assets')}"}
    assert set(found["since"]) == {dt.datetime(2026, 8, 11, tzinfo=dt.UTC)}
    assert set(found["restated_at"]) == {NEXT_DAY}


def test_nothing_is_restated_where_nothing_but_new_days_came(tmp_path: Path) -> None:
    company = by_the_week(tmp_path)
    company.run_and_deliver("2026-08-01", "2026-08-03")
    company.run_and_deliver("2026-08-04", "2026-08-05")
    assert restatements(company.lake).is_empty()


def test_the_report_can_be_made_again_from_what_was_delivered(late: tuple[Company, pl.DataFrame]) -> None:
    company, _ = late
    before = restatements(company.lake)
    for file in (company.root / "lake/restatements").rglob("*.*"):
        file.unlink()
    outcome = Outcome()
    company.chain.deliver_months(["2026-08"], ["everyone"], outcome)
    assert restatements(company.lake).equals(before)
    assert len(list((company.root / "lake" / ROOT).rglob("000002.parquet"))) > 0


def test_a_delivery_shows_what_changed_in_the_ui_and_the_command_prints_it(
    late: tuple[Company, pl.DataFrame],
) -> None:
    company, _ = late
    outcome = Outcome()
    company.chain.deliver_months(["2026-08"], ["everyone", "only-bob"], outcome)
    by_name = {delivery["destination"]: delivery for delivery in outcome.deliveries}
    assert by_name["everyone"]["restated"] == restatements(company.lake).height
    assert "late usage" in by_name["everyone"]["restatements"]
    assert "restatements" not in by_name["only-bob"]

    asked = ["--config", str(company.root / "focus.yaml")]
    told = CliRunner().invoke(command, [*asked, "--customer", "ann", "--format", "json"])
    assert len(json.loads(told.output)) == restatements(company.lake).height
    assert "late usage" in CliRunner().invoke(command, asked).output
    assert "Nothing" in CliRunner().invoke(command, [*asked, "--customer", "bob"]).output


def test_every_day_has_the_periods_that_are_kept(late: tuple[Company, pl.DataFrame]) -> None:
    lake = late[0].lake
    held = lake.scan("closed_periods", lake.days("closed_periods")).collect()
    assert set(held["BillingAccountId"]) == {"ann"}
    assert sorted(held["charge_date"].unique()) == [START + dt.timedelta(days=n) for n in range(7)]
