"""What must never be delivered, and what the refusal tells the person who has to mend it."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from focus_assets.delivery import (
    DeliveryFailure,
    DeliveryRefused,
    DeliveryRun,
    billing_months,
    deliver,
    deliver_all,
    months_of,
    refusals,
)
from focus_assets.delivery.facts import BillingMonthUnknown
from focus_assets.delivery.gate import require_days, require_same
from focus_assets.delivery.months import DATASET
from focus_assets.focus.rules import RowRule
from focus_assets.lake import Lake
from focus_assets.settings import Destination
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import at, days, frame, row, write_day

AUGUST = "2026-08"
SECOND = dt.date(2026, 8, 2)


def test_a_good_month_is_not_refused(lake):
    assert refusals(lake, billing_months(lake)[AUGUST], versions=["1.2"]) == []


def test_a_missing_day_in_the_middle_refuses_the_month(lake, destination):
    for name in ("part-0.parquet", "_record.json"):
        (Path(lake.url) / DATASET / f"charge_date={SECOND}" / name).unlink()

    with pytest.raises(
        DeliveryRefused, match=r"2026-08, 2026-08-02: .*missing.*--from 2026-08-02 --to 2026-08-02"
    ):
        deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    assert not Path(destination.url).exists()


def test_a_day_missing_before_the_last_day_of_a_period_begun_mid_month_refuses_it(lake):
    for day in days("2026-08-05", "2026-09-02"):
        if day != dt.date(2026, 8, 31):
            write_day(
                lake, day, [row(day, BillingPeriodStart=at(dt.date(2026, 8, 15)))] if day.month == 9 else []
            )

    assert [each.day for each in refusals(lake, billing_months(lake)[AUGUST])] == [dt.date(2026, 8, 31)]


def test_a_corrupt_day_refuses_the_month_for_every_destination(lake, destination, tmp_path):
    file = Path(lake.url) / lake.path(DATASET, SECOND)
    file.write_bytes(file.read_bytes()[:-1] + b"X")
    other = Destination(name="other", url=str(tmp_path / "other"), customers=("acme",))

    results = deliver_all(Lake.open(lake.url), [destination, other], AUGUST, DeliveryRun(NOW))

    assert [type(result) for result in results] == [DeliveryFailure, DeliveryFailure]
    assert all("2026-08-02" in str(result.error) for result in results)
    assert not Path(destination.url).exists()
    assert not Path(other.url).exists()


def test_a_stale_day_refuses_the_month_and_names_what_changed_and_the_range_to_run(lake, destination):
    totals = {
        day: lake.write("usage_totals", day, frame([row(day)])) for day in days("2026-08-01", "2026-08-04")
    }
    for day in totals:
        earlier = {f"usage_totals/{d}": record.sha256 for d, record in totals.items() if d <= day}
        write_day(lake, day, [row(day)], inputs=earlier)
    deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    lake.write("usage_totals", SECOND, frame([row(SECOND, quantity=5)]))

    found = refusals(lake, billing_months(lake)[AUGUST])

    assert [each.day.day for each in found] == [2, 3, 4]
    assert all("usage_totals/2026-08-02 changed" in each.reason for each in found)
    assert all("--from 2026-08-02 --to 2026-08-04" in each.remedy for each in found)
    with pytest.raises(DeliveryRefused, match="stale"):
        deliver(lake, destination, AUGUST, DeliveryRun(NOW))


def test_a_change_further_up_makes_a_day_stale_too(lake):
    raw = lake.write("raw_usage", SECOND, frame([row(SECOND)]))
    totals = lake.write("usage_totals", SECOND, frame([]), inputs={f"raw_usage/{SECOND}": raw.sha256})
    write_day(lake, SECOND, [row(SECOND)], inputs={f"usage_totals/{SECOND}": totals.sha256})
    assert refusals(lake, billing_months(lake)[AUGUST]) == []

    lake.write("raw_usage", SECOND, frame([row(SECOND, quantity=11)]))

    assert "raw_usage/2026-08-02 changed" in refusals(lake, billing_months(lake)[AUGUST])[0].reason


def test_rows_that_break_a_rule_refuse_the_month_however_the_delivery_was_started(lake, destination):
    write_day(lake, SECOND, [row(SECOND), row(SECOND, "globex", BilledCost=Decimal(1), ListCost=Decimal(3))])

    with pytest.raises(
        DeliveryRefused, match=r"2026-08-02: FOCUS 1.2: \S+ \(blocking\).*charge globex/requests"
    ):
        deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    assert not Path(destination.url).exists()


def test_a_rule_of_one_version_refuses_the_destinations_of_that_version_alone(lake, destination, monkeypatch):
    from focus_assets.delivery import gate

    rules = gate.rules_for
    strict = rules("1.2")
    monkeypatch.setattr(gate, "rules_for", lambda version: strict if version == "1.2" else ())
    write_day(lake, SECOND, [row(SECOND, ListCost=Decimal(3))])
    other = Destination(name="older", url=destination.url + "-older", focus_version="1.0")

    refused, delivered = deliver_all(lake, [destination, other], AUGUST, DeliveryRun(NOW))

    assert isinstance(refused.error, DeliveryRefused)
    assert delivered.outcome == "delivered"


def test_a_bad_day_among_days_that_were_found_right_is_found_bad_each_time(lake):
    assert refusals(lake, billing_months(lake)[AUGUST], versions=["1.2"]) == []
    write_day(lake, SECOND, [row(SECOND, ListCost=Decimal(3))])

    for _ in range(2):
        found = refusals(lake, billing_months(lake)[AUGUST], versions=["1.2"])
        assert {each.day for each in found} == {SECOND}


def test_a_file_that_was_changed_in_its_place_after_it_was_found_right_is_not_taken_for_it(lake, tmp_path):
    assert refusals(lake, billing_months(lake)[AUGUST], versions=["1.2"]) == []
    other = Lake.open(str(tmp_path / "other"))
    write_day(other, SECOND, [row(SECOND, ListCost=Decimal(3))])
    bad = (Path(other.url) / other.path(DATASET, SECOND)).read_bytes()
    (Path(lake.url) / lake.path(DATASET, SECOND)).write_bytes(bad)

    found = refusals(Lake.open(lake.url), billing_months(lake)[AUGUST], versions=["1.2"])

    assert [each.day for each in found] == [SECOND]
    assert "cannot be trusted" in found[0].reason


def test_a_day_that_kept_a_rule_is_asked_again_once_the_rule_asks_otherwise(lake, monkeypatch):
    from focus_assets.delivery import gate

    assert refusals(lake, billing_months(lake)[AUGUST], versions=["1.2"]) == []
    rules = gate.rules_for("1.2")
    first = next(rule for rule in rules if isinstance(rule, RowRule) and rule.blocking)
    stricter = replace(first, violation=pl.col("BilledCost").is_not_null(), screen=None, for_types=None)
    assert stricter == first
    changed = tuple(stricter if rule is first else rule for rule in rules)
    monkeypatch.setattr(gate, "rules_for", lambda version: changed)

    found = refusals(lake, billing_months(lake)[AUGUST], versions=["1.2"])

    assert {each.day.day for each in found} == {1, 2, 4}
    assert all(first.id in each.reason for each in found)


def test_a_day_that_is_replaced_while_it_is_asked_is_not_remembered_as_right(lake, monkeypatch):
    from focus_assets.delivery import gate

    good = [row(SECOND, quantity=77)]
    write_day(lake, SECOND, [row(SECOND, quantity=77, ListCost=Decimal(3))])
    asked = gate.project

    def replaced(rows, version):
        write_day(lake, SECOND, good)
        return asked(lake.scan(DATASET, [SECOND]), version)

    held = billing_months(lake)[AUGUST]
    monkeypatch.setattr(gate, "project", replaced)
    refusals(lake, held, versions=["1.2"])
    monkeypatch.setattr(gate, "project", asked)
    write_day(lake, SECOND, [row(SECOND, quantity=77, ListCost=Decimal(3))])

    found = refusals(lake, billing_months(lake)[AUGUST], versions=["1.2"])

    assert [each.day for each in found] == [SECOND]


def test_control_totals_that_differ_refuse_the_month(lake, destination):
    def control(_: Lake, day: dt.date) -> list[str]:
        return ["usage_totals says 12, FOCUS consumed 11"] if day == SECOND else []

    with pytest.raises(DeliveryRefused, match="2026-08-02: usage_totals says 12, FOCUS consumed 11"):
        deliver(lake, destination, AUGUST, DeliveryRun(NOW), controls=[control])


def test_every_bad_day_is_named_at_once(lake):
    file = Path(lake.url) / lake.path(DATASET, dt.date(2026, 8, 1))
    file.write_bytes(b"no parquet")
    write_day(lake, SECOND, [row(SECOND, ListCost=Decimal(3))])

    found = refusals(Lake.open(lake.url), billing_months(lake)[AUGUST], versions=["1.2"])

    assert {each.day.day for each in found} == {1, 2}


def test_a_day_materialized_again_after_the_gate_is_not_delivered(lake):
    passed = require_days(lake, AUGUST)
    require_same(lake, passed)
    write_day(lake, SECOND, [row(SECOND, quantity=1000)])

    with pytest.raises(DeliveryRefused, match="2026-08-02 was materialized again meanwhile"):
        require_same(lake, passed)


def test_a_day_materialized_again_while_its_file_is_written_is_not_delivered(lake, destination, monkeypatch):
    from focus_assets.delivery import build as module

    write = module.write_day

    def slow(*arguments):
        written = write(*arguments)
        write_day(lake, SECOND, [row(SECOND, quantity=1000)])
        return written

    monkeypatch.setattr(module, "write_day", slow)

    with pytest.raises(DeliveryRefused, match="meanwhile"):
        deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    assert not list(Path(destination.url).rglob("*.parquet"))


def test_days_belong_to_the_months_of_their_rows_of_the_calendar_and_of_their_periods(lake):
    """The period is 20 July to 19 August; what is charged for it on 1 September is in the file of that day."""
    write_day(
        lake, dt.date(2026, 9, 1), [row(dt.date(2026, 9, 1), BillingPeriodStart=at(dt.date(2026, 7, 20)))]
    )

    assert months_of(lake) == {
        "2026-07": [*days("2026-08-01", "2026-08-04"), dt.date(2026, 9, 1)],
        "2026-08": days("2026-08-01", "2026-08-04"),
        "2026-09": [dt.date(2026, 9, 1)],
    }


def test_a_row_without_billing_period_stops_its_day(lake):
    with pytest.raises(BillingMonthUnknown, match="no BillingPeriodStart"):
        write_day(lake, dt.date(2026, 8, 5), [{**row(dt.date(2026, 8, 5)), "BillingPeriodStart": None}])


def test_the_facts_of_a_day_give_rows_and_exact_cost_by_month_and_currency(lake):
    day = dt.date(2026, 8, 5)
    tiny = Decimal("0.000000000000000001")
    write_day(
        lake,
        day,
        [
            row(day, BilledCost=tiny),
            row(day, BilledCost=Decimal("1.50")),
            row(day, BillingCurrency="EUR", BilledCost=Decimal("-2")),
            row(day, BillingPeriodStart=at(dt.date(2026, 7, 31)) + dt.timedelta(hours=23)),
        ],
    )

    assert lake.record(DATASET, day).facts == {
        "billing_months": {
            # It ends on 31 August at 23:00.
            "2026-07": {"rows": 1, "billed_cost": {"USD": "0.1"}, "until": "2026-08-31"},
            "2026-08": {"rows": 3, "billed_cost": {"EUR": "-2", "USD": "1.500000000000000001"}},
        }
    }
