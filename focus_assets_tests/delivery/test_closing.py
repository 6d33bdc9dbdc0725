"""When a month is closed for a destination: for its own customers, though years of others that began in it go on."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.billing.close import ISSUED_WHILE_OPEN, ClosedPeriod
from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import CATALOG
from focus_assets.delivery import billing_months, closing
from focus_assets.delivery.closing import ListedPeriods, closed_for
from focus_assets.lake import Lake
from focus_assets.settings import CustomersByLabel, Destination
from focus_assets_tests.delivery.focus_rows import at, days, row, write_day
from focus_assets_tests.delivery.test_dataset_months import write_periods
from focus_assets_tests.orchestration.company import Company
from focus_assets_tests.orchestration.test_emptied_months import asked

AUGUST = "2026-08"
INVOICED: dict[str, Any] = {"x_IsEstimated": False}
THE_YEAR: dict[str, Any] = {"BillingPeriodEnd": at(dt.date(2027, 8, 1))}


@pytest.fixture
def month(tmp_path: Path) -> Lake:
    """Acme's August is invoiced. Globex's year began on 1 August, and initech's period of 15 August is invoiced."""
    lake = Lake.open(str(tmp_path / "lake"))
    for day in days("2026-08-01", "2026-09-13"):
        rows = [row(day, "globex", BillingPeriodStart=at(dt.date(2026, 8, 1)), **THE_YEAR)]
        if day.month == 8:
            rows.append(row(day, "acme", **INVOICED))
        if day >= dt.date(2026, 8, 15):
            rows.append(row(day, "initech", BillingPeriodStart=at(dt.date(2026, 8, 15)), **INVOICED))
        write_day(lake, day, rows)
    return lake


def is_closed(lake: Lake, customers: Any) -> bool:
    held = billing_months(lake)[AUGUST]
    destination = Destination(name="d", url="s3://bucket/d", customers=customers)
    return closed_for(lake, destination, held, held, ListedPeriods(lake))


def test_it_closes_with_the_periods_of_its_own_customers(month: Lake) -> None:
    said = {key: is_closed(month, (key,)) for key in ("acme", "globex", "initech", "nobody")}
    # The last day of initech's period is not there yet.
    assert said == {"acme": True, "globex": False, "initech": False, "nobody": False}
    assert not is_closed(month, "all")
    assert not is_closed(month, ("acme", "globex"))

    write_day(month, dt.date(2026, 9, 14), [])
    assert is_closed(month, ("initech",))
    assert is_closed(month, ("acme", "initech"))


def test_without_a_charge_it_closes_with_the_periods_that_are_listed(month: Lake) -> None:
    """Hooli's period until 9 September had no usage; Umbrella had no subscription; Globex's year goes on."""
    assert not is_closed(month, ("umbrella",)), "the lake does not say whose periods there are"
    for day in days("2026-08-01", "2026-09-13"):
        write_periods(month, day, [])

    def hooli(start: dt.date, status: str) -> bool:
        write_periods(month, dt.date(2026, 8, 10), [start], status, customer="hooli")
        return is_closed(month, ("hooli",))

    assert not hooli(dt.date(2026, 8, 10), "Open")
    assert is_closed(month, ("umbrella",))
    assert hooli(dt.date(2026, 8, 10), "Closed")
    # Thirty days from the 15th end on 14 September: the last of them is not there yet, but the 13th is.
    assert hooli(dt.date(2026, 8, 15), "Closed")
    assert not hooli(dt.date(2026, 8, 16), "Closed")
    # With a charge of somebody in scope, their charges decide.
    assert is_closed(month, ("acme", "hooli"))


def test_an_estimate_that_comes_later_opens_it(month: Lake) -> None:
    ninth = dt.date(2026, 8, 9)
    assert is_closed(month, ("acme",))
    write_day(month, ninth, [row(ninth, "acme")])
    assert not is_closed(month, ("acme",))


def test_it_waits_for_another_invoice_of_its_period(month: Lake) -> None:
    """A fee in advance is on an issued invoice; usage of the period will be on another."""
    first = dt.date(2026, 8, 1)
    record = month.record("focus_cost_and_usage", first)
    assert record is not None
    waits = ClosedPeriod("id-acme", at(first), at(dt.date(2026, 9, 1)), "USD")
    frame = month.scan("focus_cost_and_usage", [first]).collect().lazy()
    facts = {**record.facts, ISSUED_WHILE_OPEN: [str(waits)]}
    month.write("focus_cost_and_usage", first, frame, inputs={"changed": "1"}, facts=lambda _: facts)
    assert not is_closed(month, ("acme",))
    # That invoice is issued and bills nothing: no row is another.
    month.write("focus_cost_and_usage", first, frame, inputs={"changed": "2"}, facts=lambda _: record.facts)
    assert month.record("focus_cost_and_usage", first).sha256 == record.sha256  # type: ignore[union-attr]
    assert is_closed(month, ("acme",))


def test_what_is_remembered_of_a_month_is_its_newest_content_alone(month: Lake) -> None:
    """A year's months change day by day, and a process lives for as long."""
    ninth = dt.date(2026, 8, 9)
    for quantity in range(1, 4):
        write_day(month, ninth, [row(ninth, "acme", quantity, **INVOICED)])
        assert is_closed(month, ("acme",))
    assert [place for place in closing._held if place[0] == month.url] == [(month.url, AUGUST)]


@pytest.mark.parametrize("error", [pl.exceptions.PanicException("a defect"), OSError("disc full")])
def test_what_cannot_be_read_is_not_closed_and_no_error(
    month: Lake, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """One error in the sensor would hold back every other month of everybody."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(closing, "look_up_periods", fail)
    assert not is_closed(month, ("acme",))


def test_a_month_that_changes_while_it_is_looked_at_is_not_remembered_as_what_it_was(month: Lake) -> None:
    ninth = dt.date(2026, 8, 9)
    as_it_was = [
        row(ninth, "globex", BillingPeriodStart=at(dt.date(2026, 8, 1)), **THE_YEAR),
        row(ninth, "acme", **INVOICED),
    ]
    held = billing_months(month)[AUGUST]
    write_day(month, ninth, [row(ninth, "acme")])
    destination = Destination(name="d", url="s3://bucket/d", customers=("acme",))
    assert not closed_for(month, destination, held, held, ListedPeriods(month))
    write_day(month, ninth, as_it_was)
    assert billing_months(month)[AUGUST] == held
    assert is_closed(month, ("acme",))


def test_labels_say_whose_periods_they_are(month: Lake) -> None:
    customers = [{"key": key, "labels": {"team": key[0]}} for key in ("acme", "globex", "initech")]
    last = dt.date(2026, 9, 13)
    catalog = Catalog.model_validate({"defaults": {"provider_name": "Example"}, "customers": customers})
    month.write(CATALOG.name, last, catalog.to_frame(), inputs={}, facts=lambda _: {})
    assert is_closed(month, CustomersByLabel(labels={"team": "a"}))
    assert not is_closed(month, CustomersByLabel(labels={"team": "g"}))


def test_rows_are_read_once_for_each_content_of_a_month(month: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[str]()
    real = closing.look_up_periods
    monkeypatch.setattr(
        closing, "look_up_periods", lambda lake, held: (read.append(held.month), real(lake, held))
    )
    for _ in range(3):
        is_closed(month, ("acme",))
        is_closed(month, ("globex",))
    assert read == [AUGUST]


def test_the_sensor_delivers_a_customer_s_closed_month_while_another_pays_by_the_year(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.configuration |= {
        "as_of": dt.datetime(2026, 9, 10, tzinfo=dt.UTC),
        "billing": {"close_after_days": 5},
        "destinations": [
            {"name": name, "url": f"bucket/{name}", "customers": customers, "frequency": "period_close"}
            for name, customers in (
                ("ann", ["ann"]),
                ("bob", ["bob"]),
                ("both", ["ann", "bob"]),
                ("all", "all"),
            )
        ],
    }
    plans, subscriptions = company.configuration["plans"], company.configuration["subscriptions"]
    plans[0]["rate_cards"] = plans[0]["rate_cards"][1:2]
    plans.append({**plans[0], "key": "yearly", "billing_cadence": "P1Y"})
    subscriptions[1] |= {"plan": "yearly", "active_from": "2026-08-01T00:00:00Z"}
    for day in (1, 30):
        for customer in ("ann-1", "bob"):
            company.event(f"2026-08-{day:02}T08:00:00Z", customer, tokens=10, model="small")
    company.run("2026-08-01", "2026-09-01")

    assert asked(company.tick()) == {AUGUST: ["ann"]}
    company.deliver()
    assert company.rows_delivered("ann").select(pl.col("BilledCost").sum()).item() == Decimal("0.02")
    assert asked(company.tick()) == {}
