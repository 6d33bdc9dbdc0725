"""Billing months of the datasets beside Cost and Usage: what makes one due, and whose it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from focus_assets.billing.datasets import BILLING_PERIODS
from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import CATALOG
from focus_assets.delivery import billing_months
from focus_assets.delivery.dataset_months import month_facts, months_of_dataset
from focus_assets.delivery.gate import PassedMonth, digests_of
from focus_assets.delivery.months import BillingMonth
from focus_assets.delivery.scope import scope_in
from focus_assets.focus.price_list import PRICE_LIST
from focus_assets.lake import Lake
from focus_assets.settings import CustomersByLabel, Destination
from focus_assets_tests.delivery.focus_rows import at, days, row, write_day

AUGUST, SEPTEMBER = "2026-08", "2026-09"
LAST = dt.date(2026, 9, 5)
GOLD = Destination(name="gold", url="s3://bucket/gold", customers=CustomersByLabel(labels={"tier": "gold"}))


def write_periods(
    lake: Lake,
    day: dt.date,
    starts: Sequence[dt.date],
    status: str = "Open",
    catalog: str = "",
    customer: str = "acme",
) -> None:
    """Billing periods of 30 days from ``starts`` on that are listed on a day."""
    rows = [
        {
            "BillingPeriodCreated": at(start),
            "BillingPeriodStart": at(start),
            "BillingPeriodEnd": at(start + dt.timedelta(days=30)),
            "BillingPeriodLastUpdated": at(start),
            "BillingPeriodStatus": status,
            "InvoiceIssuerName": "Example",
            "x_BillingAccountId": f"id-{customer}",
            "x_CustomerKey": customer,
        }
        for start in starts
    ]
    lake.write(
        BILLING_PERIODS.name,
        day,
        pl.LazyFrame(rows, schema=BILLING_PERIODS.schema),
        inputs={f"{CATALOG.name}/{day:%F}": catalog},
        facts=partial(month_facts, BILLING_PERIODS.name),
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Acme's period of 15 August goes on; in September only Globex used anything, in a period of its own."""
    opened = Lake.open(str(tmp_path / "lake"))
    fifteenth = dt.date(2026, 8, 15)
    for day in days("2026-08-01", f"{LAST}"):
        rows = [row(day, "acme", BillingPeriodStart=at(fifteenth))] if day >= fifteenth else []
        write_day(opened, day, rows if day.month == 8 else [row(day, "globex")])
        write_periods(opened, day, [fifteenth] if day == fifteenth else [])
        write_prices(opened, day, "")
    return opened


def write_prices(lake: Lake, day: dt.date, catalog: str) -> None:
    inputs = {f"{CATALOG.name}/{day:%F}": catalog}
    lake.write(
        PRICE_LIST.name, day, pl.LazyFrame(schema=PRICE_LIST.schema), inputs=inputs, facts=lambda _: {}
    )


def months(lake: Lake, dataset: str) -> dict[str, BillingMonth]:
    return months_of_dataset(lake, dataset, billing_months(lake))


@pytest.mark.parametrize("dataset", [BILLING_PERIODS.name, PRICE_LIST.name])
def test_a_day_without_rows_of_a_month_may_change_and_the_month_is_not_due(lake: Lake, dataset: str) -> None:
    """On 4 September rows and periods of September are computed again, with another catalog."""
    fourth = dt.date(2026, 9, 4)
    before = months(lake, dataset)
    assert fourth in before[AUGUST].digests

    write_day(lake, fourth, [row(fourth, "globex", 11)])
    write_periods(lake, fourth, [fourth], "Closed", catalog="another")
    write_prices(lake, fourth, "another")

    after = months(lake, dataset)
    assert after[AUGUST].source_digest == before[AUGUST].source_digest
    assert after[SEPTEMBER].source_digest != before[SEPTEMBER].source_digest


def test_rows_that_come_or_go_make_it_due(lake: Lake) -> None:
    fourth, found = dt.date(2026, 9, 4), set[str]()
    august = dt.date(2026, 8, 20)
    found.add(months(lake, BILLING_PERIODS.name)[AUGUST].source_digest)
    write_periods(lake, fourth, [august])
    found.add(months(lake, BILLING_PERIODS.name)[AUGUST].source_digest)
    write_periods(lake, fourth, [august], "Closed")
    found.add(months(lake, BILLING_PERIODS.name)[AUGUST].source_digest)
    write_day(lake, fourth, [row(fourth, "acme", BillingPeriodStart=at(august))])
    found.add(months(lake, BILLING_PERIODS.name)[AUGUST].source_digest)
    assert len(found) == 4


def test_beside_charges_periods_that_stay_open_hold_nothing_back(lake: Lake) -> None:
    """A period in which nothing was charged may never be invoiced; what changes beside it has to arrive."""
    for day in days("2026-08-15", "2026-08-31"):
        write_day(
            lake, day, [row(day, "acme", BillingPeriodStart=at(day.replace(day=15)), x_IsEstimated=False)]
        )
    for day in days("2026-09-06", "2026-09-14"):
        write_day(lake, day, [])
    write_periods(lake, dt.date(2026, 8, 20), [dt.date(2026, 8, 20)], customer="hooli")
    assert billing_months(lake)[AUGUST].closed
    assert months(lake, BILLING_PERIODS.name)[AUGUST].closed
    # Of a month without charges there is nothing but periods.
    write_periods(lake, LAST, [dt.date(2026, 7, 20)], customer="hooli")
    assert not months(lake, BILLING_PERIODS.name)["2026-07"].closed


def write_catalog(lake: Lake, day: dt.date, tier: str) -> None:
    customers = [{"key": "acme", "labels": {"tier": tier}}]
    catalog = Catalog.model_validate({"defaults": {"provider_name": "Example"}, "customers": customers})
    lake.write(CATALOG.name, day, catalog.to_frame(), inputs={}, facts=lambda _: {})


def test_labels_are_those_of_the_last_day_of_cost_and_usage_in_all_datasets(lake: Lake) -> None:
    """A dataset may have a day more: then its rows were of other customers than the rows they refer to."""
    after = dt.date(2026, 10, 1)
    write_periods(lake, after, [dt.date(2026, 8, 20)])
    write_catalog(lake, dt.date(2026, 9, 14), "gold")
    write_catalog(lake, LAST, "gold")
    write_catalog(lake, after, "tin")
    costs, held = billing_months(lake)[AUGUST], months(lake, BILLING_PERIODS.name)[AUGUST]
    assert (costs.days[-1], held.days[-1]) == (LAST, after)

    span = digests_of(lake, costs.days)
    of_both = [
        scope_in(lake, GOLD, passed).customers
        for passed in (PassedMonth(costs, span), PassedMonth(held, span, dataset=BILLING_PERIODS.name))
    ]
    assert of_both == [("acme",)] * 2


def test_labels_of_a_month_without_cost_and_usage_make_it_due_as_its_own_catalog_changes(lake: Lake) -> None:
    july = dt.date(2026, 7, 20)
    write_periods(lake, LAST, [july], catalog="one")
    before = months(lake, BILLING_PERIODS.name)["2026-07"]
    assert before.last_catalog == "one"
    write_periods(lake, LAST, [july], catalog="two")
    after = months(lake, BILLING_PERIODS.name)["2026-07"]
    assert after.source_digest_for(GOLD) != before.source_digest_for(GOLD)
