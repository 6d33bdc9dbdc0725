"""What the kernel is given: each slice's usage, and what its charge had used before the day."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from focus_assets.usage.rateable import (
    earlier_days,
    no_earlier_totals,
    opening_quantities,
    rateable_usage,
)
from focus_assets.usage.totals import usage_totals
from focus_assets_tests.catalog.building import subscription
from focus_assets_tests.usage.usage_rows import (
    BY_DIRECTION,
    DAY,
    METERS,
    normalized,
    quantities,
    slices_of,
    to_date,
    usage_catalog,
    window,
)

TOKENS = "acme/pro/tokens/20260301T000000Z"
SEATS = "acme/pro/seats/20260301T000000Z"
START = dt.date(2026, 1, 1)


def rateable(*rows: dict[str, Any], before: pl.LazyFrame | None = None, **changed: Any) -> pl.LazyFrame:
    catalog = usage_catalog(**changed)
    opening = opening_quantities(no_earlier_totals() if before is None else before)
    return rateable_usage(normalized(*rows, catalog=catalog), slices_of(catalog), opening)


def totals_before(*rows: dict[str, Any], **changed: Any) -> pl.LazyFrame:
    """``usage_totals`` of the day before, from the same kind of rows."""
    catalog = usage_catalog(**changed)
    yesterday = DAY - dt.timedelta(days=1)
    return usage_totals(normalized(*rows, catalog=catalog), slices_of(catalog, yesterday))


def days(first: str, last: str) -> list[dt.date]:
    start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    return [start + dt.timedelta(days=n) for n in range((end - start).days + 1)]


def seats_only(**changed: Any) -> dict[str, Any]:
    return {"meters": METERS[1:], "features": [{"key": "seats", "meter": "seats"}], **changed}


def test_a_window_is_rated_with_its_subject_dimensions_and_slice() -> None:
    row = window("a", 5, dimensions={"model": "large"})
    (found,) = rateable(row).collect().rows(named=True)
    assert found == {
        "charge_id": TOKENS,
        "slice_from": dt.datetime(2026, 3, 10, tzinfo=dt.UTC),
        "slice_to": dt.datetime(2026, 3, 11, tzinfo=dt.UTC),
        "window_from": dt.datetime(2026, 3, 10, 8, tzinfo=dt.UTC),
        "subject": "a",
        "dimensions": '{"model":"large"}',
        "quantity": 5,
    }


def test_usage_of_nobody_and_outside_filters_is_not_rated() -> None:
    found = rateable(
        window("nobody", 1, dimensions={"direction": "input"}),
        window("a", 2, dimensions={"direction": "sideways"}),
        window("a", 4, dimensions={"direction": "input"}),
        features=BY_DIRECTION,
    )
    assert quantities(found, "charge_id") == {TOKENS.replace("tokens", "input"): 4}


def test_windows_of_a_meter_that_does_not_add_up_are_never_rated() -> None:
    assert rateable(window("a", 9, meter="seats")).collect().is_empty()


def test_a_meter_that_does_not_add_up_is_rated_by_the_change_since_the_day_before() -> None:
    first_day = rateable(to_date(SEATS, 9))
    assert first_day.collect().select("charge_id", "subject", "dimensions", "quantity").rows() == [
        (SEATS, None, "{}", 9)
    ]
    before = totals_before(to_date(SEATS, 7))
    assert quantities(rateable(to_date(SEATS, 9), before=before), "charge_id") == {SEATS: 2}
    assert quantities(rateable(to_date(SEATS, 7), before=before), "charge_id") == {SEATS: 0}
    assert quantities(rateable(to_date(SEATS, 4), before=before), "charge_id") == {SEATS: -3}


CUT = "2026-03-10T13:22:07"


def test_a_period_that_ends_within_the_day_opens_the_next_at_nothing() -> None:
    changed = seats_only(subscriptions=[subscription(active_from="2026-01-10T13:22:07Z")])
    old, new = "acme/pro/seats/20260210T132207Z", "acme/pro/seats/20260310T132207Z"
    found = rateable(
        to_date(old, 9, end=CUT, start="2026-02-10T13:22:07"),
        to_date(new, 5, start=CUT),
        before=totals_before(to_date(old, 6), **changed),
        **changed,
    )
    assert quantities(found, "charge_id", "slice_from") == {
        (old, dt.datetime(2026, 3, 10, tzinfo=dt.UTC)): 3,
        (new, dt.datetime(2026, 3, 10, 13, 22, 7, tzinfo=dt.UTC)): 5,
    }


def test_a_billing_boundary_within_the_day_splits_the_change_and_loses_none() -> None:
    card = {"feature": "seats", "price": {"type": "unit", "amount": "1"}, "billing_cadence": "P3M"}
    changed = seats_only(
        plans=[{"key": "pro", "rate_cards": [card]}],
        subscriptions=[subscription(active_from="2026-01-10T13:22:07Z")],
    )
    charge = "acme/pro/seats/20260110T132207Z"
    found = rateable(
        # The later slice first: rows come in no promised order.
        to_date(charge, 12, start="2026-01-10T13:22:07"),
        to_date(charge, 9, end=CUT, start="2026-01-10T13:22:07"),
        before=totals_before(to_date(charge, 6), **changed),
        **changed,
    )
    assert quantities(found, "slice_from") == {
        dt.datetime(2026, 3, 10, tzinfo=dt.UTC): 3,
        dt.datetime(2026, 3, 10, 13, 22, 7, tzinfo=dt.UTC): 3,
    }


def test_what_adds_up_opens_at_the_sum_of_its_days_and_the_rest_at_its_latest() -> None:
    def totals(day: int, tokens: int, seats: int) -> pl.LazyFrame:
        found = usage_totals(
            normalized(window("a", tokens), to_date(SEATS, seats)), slices_of(usage_catalog())
        )
        return found.with_columns(charge_date=pl.lit(DAY.replace(day=day)))

    # Days in disorder: a lake hands them over in order, but nothing here relies on it.
    before = pl.concat([totals(9, 4, 3), totals(7, 1, 9), totals(8, 2, 5)])
    assert quantities(opening_quantities(before), "charge_id") == {TOKENS: 7, SEATS: 3}
    assert opening_quantities(no_earlier_totals()).collect().is_empty()


def test_a_charge_that_adds_up_needs_every_day_since_it_began() -> None:
    slices = slices_of(usage_catalog(subscriptions=[subscription(active_from="2026-01-04T12:00:00Z")]))
    assert earlier_days(slices, DAY, START) == days("2026-03-04", "2026-03-09")


def test_a_charge_that_does_not_add_up_needs_the_day_before_alone() -> None:
    slices = slices_of(usage_catalog(**seats_only()))
    assert earlier_days(slices, DAY, START) == days("2026-03-09", "2026-03-09")


def test_no_day_before_the_start_date_is_needed_and_a_charge_that_begins_today_needs_none() -> None:
    slices = slices_of(usage_catalog())
    assert earlier_days(slices, DAY, dt.date(2026, 3, 8)) == days("2026-03-08", "2026-03-09")
    assert earlier_days(slices, DAY, DAY) == []
    today = slices_of(usage_catalog(subscriptions=[subscription(active_from="2026-03-10T06:00:00Z")]))
    assert earlier_days(today, DAY, START) == []
    assert earlier_days([], DAY, START) == []
