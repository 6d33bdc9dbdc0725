"""The main job on usage that nobody made up: three months of a supercomputer, from its log to what a recipient reads.

Every figure is compared with sums over the raw log, made apart with Python decimals, and has to be equal to the
last digit.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from focus_assets.delivery import verify
from focus_assets.lake import Lake
from focus_assets_tests.real_usage.logs import log
from focus_assets_tests.real_usage.nasa_ipsc import FIRST_DAY, NASA_LOG, USERS, nasa_jobs
from focus_assets_tests.real_usage.nasa_ipsc_oracle import cost_oracle, node_seconds_oracle

DAYS = 94
"""To the day before ``as_of``; the log itself ends a day earlier, so the last day is empty."""


CLOSED = {"1993-10", "1993-11"}
"""Billing months that have an invoice when the log is over."""

USED = pl.col("ChargeCategory") == "Usage"
"""Rows of usage; what rounds the line of an invoice is a row of its own."""


@dataclass(frozen=True)
class Delivered:
    """The folder in which the demo ran, what it said, and the oracle's figures."""

    folder: Path
    said: str
    node_seconds: Mapping[tuple[str, dt.date], Decimal]
    costs: Mapping[tuple[str, str], Decimal]

    def rows(self, dataset: str) -> pl.LazyFrame:
        lake = Lake.open(str(self.folder / "data" / "lake"))
        days = lake.days(dataset)
        assert days == [FIRST_DAY + dt.timedelta(days=n) for n in range(DAYS)]
        return lake.scan(dataset, days)

    def recipient_s_rows(self) -> pl.LazyFrame:
        url = str(self.folder / "data" / "bucket" / "all")
        checked = verify(url)
        assert [check.problems for check in checked] == [()] * 4
        files = [file.path for check in checked if check.manifest for file in check.manifest.files]
        return pl.scan_parquet([Path(url) / path for path in files], missing_columns="raise")


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    folder = tmp_path_factory.mktemp("nasa")
    nasa_jobs(log(NASA_LOG), folder)
    arguments = ["demo", "--events", "data/events", "--config", "focus.yaml"]
    done = subprocess.run(
        [sys.executable, "-c", "from focus_assets.cli import main; main()", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Delivered(folder, done.stdout, node_seconds_oracle(log(NASA_LOG)), cost_oracle(log(NASA_LOG)))


def test_node_seconds_by_user_and_day_are_those_of_the_log_in_every_stage(delivered: Delivered) -> None:
    metered = (
        delivered.rows("normalized_usage").group_by("customer", "charge_date").agg(pl.col("quantity").sum())
    )
    assert as_dict(metered) == delivered.node_seconds

    used = {key: quantity for key, quantity in delivered.node_seconds.items() if quantity}
    totals = as_dict(delivered.rows("usage_totals").select("customer", "charge_date", "quantity"))
    assert len(totals) == USERS * DAYS
    assert {key: quantity for key, quantity in totals.items() if quantity} == used

    day = pl.col("ChargePeriodStart").dt.date()
    for rows in (delivered.rows("focus_cost_and_usage"), delivered.recipient_s_rows()):
        consumed = rows.filter(USED).group_by("x_CustomerKey", day).agg(pl.col("ConsumedQuantity").sum())
        assert as_dict(consumed) == used


def test_cost_by_user_and_month_is_that_of_the_log_to_the_last_digit(delivered: Delivered) -> None:
    charged = {key: cost for key, cost in delivered.costs.items() if cost}
    month = pl.col("BillingPeriodStart").dt.strftime("%Y-%m")
    for rows in (delivered.rows("focus_cost_and_usage"), delivered.recipient_s_rows()):
        for column in ("ContractedCost", "ListCost"):
            sums = rows.filter(USED).group_by("x_CustomerKey", month).agg(pl.col(column).sum())
            assert as_dict(sums) == charged
        for column in ("BilledCost", "EffectiveCost"):
            still_open = rows.filter(pl.col("InvoiceId").is_null())
            sums = as_dict(still_open.group_by("x_CustomerKey", month).agg(pl.col(column).sum()))
            assert sums == {key: cost for key, cost in charged.items() if key[1] not in CLOSED}


def test_invoices_of_closed_months_are_the_log_s_cost_in_whole_cents(delivered: Delivered) -> None:
    month = pl.col("BillingPeriodStart").dt.strftime("%Y-%m")
    rows = delivered.recipient_s_rows().filter(pl.col("InvoiceId").is_not_null())
    billed = as_dict(rows.group_by("x_CustomerKey", month).agg(pl.col("BilledCost").sum()))
    lines = as_dict(
        rows.group_by("x_CustomerKey", month).agg(pl.col("x_PriceComponent").filter(USED).n_unique())
    )
    assert {key[1] for key in billed} == CLOSED
    for key, cost in billed.items():
        assert cost == round(cost, 2)
        # Each line, one for each tier, was rounded by itself.
        assert abs(cost - delivered.costs[key]) <= lines[key] * Decimal("0.005")


def test_nothing_of_the_log_is_quarantined_or_unbilled_and_every_check_passed(delivered: Delivered) -> None:
    assert delivered.rows("quarantined_events").collect().is_empty()
    assert delivered.rows("unbilled_usage").collect().is_empty()
    (checks,) = [line for line in delivered.said.splitlines() if line.startswith("Checks")]
    passed, of = checks.split()[1], checks.split()[3]
    assert passed == of


def as_dict(rows: pl.LazyFrame) -> dict[tuple[str, object], Decimal]:
    return {(key, on): value for key, on, value in rows.collect().iter_rows()}
