"""Which days a delivery of a billing month has: those of its periods, for those whose periods they are."""

import datetime as dt

from focus_assets.delivery import DeliveryRun, billing_months, build, deliver, due, entries, verify
from focus_assets.delivery.files import write_day as write_file
from focus_assets.lake import Lake
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import at, days, row, write_day

AUGUST = "2026-08"


def a_period_from_the_middle_of_august(lake: Lake, *used: int) -> None:
    """August and September without usage, but for ``used`` days of September in acme's period of 15 August."""
    for day in days("2026-08-01", "2026-09-20"):
        write_day(lake, day, [])
    for day in (dt.date(2026, 9, number) for number in used):
        write_day(lake, day, [row(day, BillingPeriodStart=at(dt.date(2026, 8, 15)))])


def test_every_day_of_a_period_that_goes_on_after_its_month_is_delivered(lake, destination):
    a_period_from_the_middle_of_august(lake, 3, 9)

    manifest = deliver(lake, destination, AUGUST, DeliveryRun(NOW)).manifest

    assert [day.day for day in manifest.days] == days("2026-08-01", "2026-09-14")
    assert {f"{day.day:%F}": day.rows for day in manifest.days if day.rows} == {
        "2026-09-03": 1,
        "2026-09-09": 1,
    }
    assert all(not check.problems for check in verify(destination.url))


def test_a_month_that_closed_for_a_customer_does_not_change_with_periods_of_others(lake, destination):
    """Acme's period is August; globex's goes on until 14 September."""
    hers = destination.model_copy(update={"customers": ("acme",)})
    for day in days("2026-08-05", "2026-08-31"):
        write_day(lake, day, [row(day, "acme")])

    def used(number: int) -> None:
        day = dt.date(2026, 9, number)
        write_day(lake, day, [row(day, "globex", BillingPeriodStart=at(dt.date(2026, 8, 15)))])

    used(1)
    first = deliver(lake, hers, AUGUST, DeliveryRun(NOW))
    used(2)
    again = deliver(lake, hers, AUGUST, DeliveryRun(NOW + dt.timedelta(days=1)))

    assert [day.day for day in first.manifest.days] == days("2026-08-01", "2026-08-31")
    assert again.outcome == "unchanged"
    all_of_them = destination.model_copy(update={"url": f"{destination.url}-2"})
    everyone = deliver(lake, all_of_them, AUGUST, DeliveryRun(NOW))
    assert everyone.manifest.days[-1].day == dt.date(2026, 9, 2)


def test_of_a_month_without_any_day_of_its_customers_one_is_delivered_as_empty(lake, destination):
    """July's only period is globex's; acme's destination hears that there is nothing, and not on which days."""
    hers = destination.model_copy(update={"customers": ("acme",)})
    for day in days("2026-08-01", "2026-08-04"):
        write_day(lake, day, [row(day, "globex", BillingPeriodStart=at(dt.date(2026, 7, 20)))])

    manifest = deliver(lake, hers, "2026-07", DeliveryRun(NOW)).manifest

    assert [(day.day, day.rows) for day in manifest.days] == [(dt.date(2026, 8, 1), 0)]
    assert all(not check.problems for check in verify(hers.url))


def test_days_after_the_last_usage_of_a_period_are_due_as_they_come(lake, destination):
    a_period_from_the_middle_of_august(lake, 3)
    for number in range(11, 21):
        lake.store.delete(f"focus_cost_and_usage/charge_date=2026-09-{number}/_record.json")
        lake.store.delete(f"focus_cost_and_usage/charge_date=2026-09-{number}/part-0.parquet")

    def is_due() -> bool:
        months = billing_months(lake)
        return any(each.month == AUGUST for each in due(months, [destination], entries(lake), months))

    first = deliver(lake, destination, AUGUST, DeliveryRun(NOW)).manifest
    assert first.days[-1].day == dt.date(2026, 9, 10)
    assert not is_due()
    write_day(lake, dt.date(2026, 9, 11), [])
    assert is_due()
    assert deliver(lake, destination, AUGUST, DeliveryRun(NOW)).manifest.days[-1].day == dt.date(2026, 9, 11)


def test_a_day_without_rows_of_a_month_may_change_and_the_month_is_not_due(lake, destination):
    """Acme's period of 15 August goes on; on 2 September only rows of September are computed again."""
    a_period_from_the_middle_of_august(lake, 3)
    second, third = dt.date(2026, 9, 2), dt.date(2026, 9, 3)
    deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    def months_due() -> list[str]:
        months = billing_months(lake)
        return [each.month for each in due(months, [destination], entries(lake), months)]

    assert months_due() == ["2026-09"]
    write_day(lake, second, [row(second, "globex")])
    assert months_due() == ["2026-09"]
    write_day(lake, second, [row(second, "globex"), row(second, BillingPeriodStart=at(dt.date(2026, 8, 15)))])
    assert months_due() == [AUGUST, "2026-09"]
    deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    write_day(lake, third, [])
    assert months_due() == [AUGUST, "2026-09"]


def test_days_of_others_are_not_written_at_all(lake, destination, monkeypatch):
    """A year that globex is billed for must not cost each destination a file a day."""
    hers = destination.model_copy(update={"customers": ("acme",)})
    a_period_from_the_middle_of_august(lake)
    for day in days("2026-09-01", "2026-09-14"):
        write_day(lake, day, [row(day, "globex", BillingPeriodStart=at(dt.date(2026, 8, 15)))])
    written = []

    def remembering(rows, day, shape, folder):
        written.append(day)
        return write_file(rows, day, shape, folder)

    monkeypatch.setattr(build, "write_day", remembering)
    deliver(lake, hers, AUGUST, DeliveryRun(NOW))
    assert written == days("2026-08-01", "2026-08-31")
