"""Which window counts for which charge, what each charge used, and what no charge rates."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl

from focus_assets.datasets import UNBILLED_USAGE, USAGE_TOTALS
from focus_assets.usage.totals import unbilled_usage, usage_totals, windows_of_charges
from focus_assets_tests.catalog.building import subscription
from focus_assets_tests.usage.usage_rows import (
    BY_DIRECTION,
    DAY,
    normalized,
    quantities,
    slices_of,
    to_date,
    usage_catalog,
    window,
)

TOKENS = "acme/pro/tokens/20260301T000000Z"
SEATS = "acme/pro/seats/20260301T000000Z"


def totals(*rows: dict[str, Any], **changed: Any) -> pl.LazyFrame:
    catalog = usage_catalog(**changed)
    return usage_totals(normalized(*rows, catalog=catalog), slices_of(catalog))


def unbilled(*rows: dict[str, Any], **changed: Any) -> pl.LazyFrame:
    catalog = usage_catalog(**changed)
    return unbilled_usage(normalized(*rows, catalog=catalog), slices_of(catalog), catalog.on(DAY))


def test_a_charge_totals_the_windows_of_all_its_customer_s_subjects() -> None:
    found = totals(window("a", 1), window("b", 2), window("acme", 4), window("nobody", 8))
    assert quantities(found, "charge_id") == {TOKENS: 7, SEATS: None}


def test_a_charge_without_usage_has_a_total_of_zero() -> None:
    found = totals().collect()
    assert dict(found.schema) == dict(USAGE_TOTALS.schema)
    assert found.select("charge_id", "charge_date", "quantity", "quantity_to_date", "unit").rows() == [
        (SEATS, DAY, None, Decimal(0), "Seats"),
        (TOKENS, DAY, Decimal(0), None, "Tokens"),
    ]


def test_a_day_without_charges_has_no_totals_and_the_schema() -> None:
    found = totals(window("a"), subscriptions=[]).collect()
    assert (found.height, dict(found.schema)) == (0, dict(USAGE_TOTALS.schema))


def test_a_meter_that_does_not_add_up_is_totalled_to_date_never_summed() -> None:
    found = totals(window("a", 9, meter="seats"), window("b", 5, meter="seats"), to_date(SEATS, 9))
    assert quantities(found, "charge_id", column="quantity_to_date") == {SEATS: 9, TOKENS: None}
    assert quantities(found, "charge_id") == {SEATS: None, TOKENS: 0}


MOVES = [subscription(active_from="2026-01-10T13:22:07Z")]
"""Monthly from the tenth at 13:22:07: on 10 March one charge ends and the next begins."""
OLD, NEW = "acme/pro/tokens/20260210T132207Z", "acme/pro/tokens/20260310T132207Z"


def test_a_window_cut_where_a_period_ends_counts_for_the_charge_it_lies_in() -> None:
    cut = "2026-03-10T13:22:07"
    found = totals(
        window("a", 1, start="2026-03-10T12:00:00", end="2026-03-10T13:00:00"),
        window("a", 2, start="2026-03-10T13:00:00", end=cut),
        window("a", 4, start=cut, end="2026-03-10T14:00:00"),
        window("a", 8, start="2026-03-10T23:00:00", end="2026-03-11T00:00:00"),
        subscriptions=MOVES,
    )
    assert {k: v for k, v in quantities(found, "charge_id").items() if "tokens" in k} == {OLD: 3, NEW: 12}


def test_the_total_of_a_charge_that_ended_today_is_its_quantity_at_its_end() -> None:
    cut = "2026-03-10T13:22:07"
    old, new = OLD.replace("tokens", "seats"), NEW.replace("tokens", "seats")
    found = totals(
        to_date(old, 9, end=cut, start="2026-02-10T13:22:07"), to_date(new, 4, start=cut), subscriptions=MOVES
    )
    by_charge = quantities(found, "charge_id", column="quantity_to_date")
    assert by_charge[old] == 9
    assert by_charge[new] == 4


def test_a_charge_with_two_slices_has_one_total_and_the_later_quantity_to_date() -> None:
    # Billed by the month from the tenth, tiers count by the quarter: the tenth of March cuts a charge in two.
    cards = [
        {"feature": "tokens", "price": {"type": "unit", "amount": "1"}, "billing_cadence": "P3M"},
        {"feature": "seats", "price": {"type": "unit", "amount": "1"}, "billing_cadence": "P3M"},
    ]
    changed = {"plans": [{"key": "pro", "rate_cards": cards}], "subscriptions": MOVES}
    assert len(slices_of(usage_catalog(**changed))) == 4
    cut = "2026-03-10T13:22:07"
    seats, tokens = (f"acme/pro/{key}/20260110T132207Z" for key in ("seats", "tokens"))
    found = totals(
        window("a", 2, start="2026-03-10T13:00:00", end=cut),
        window("a", 4, start=cut, end="2026-03-10T14:00:00"),
        to_date(seats, 7, end=cut, start="2026-01-10T13:22:07"),
        to_date(seats, 9, start="2026-01-10T13:22:07"),
        **changed,
    )
    assert quantities(found, "charge_id") == {tokens: 6, seats: None}
    assert quantities(found, "charge_id", column="quantity_to_date") == {tokens: None, seats: 9}


def test_usage_before_a_subscription_begins_or_after_it_ends_counts_for_nothing() -> None:
    cut = "2026-03-10T13:22:07"
    early = window("a", 2, start="2026-03-10T13:00:00", end=cut)
    late = window("a", 4, start=cut, end="2026-03-10T14:00:00")
    begins = [subscription(active_from=f"{cut}Z")]
    ends = [subscription(active_to=f"{cut}Z")]
    assert quantities(totals(early, late, subscriptions=begins), "charge_id")[NEW] == 4
    assert quantities(totals(early, late, subscriptions=ends), "charge_id")[TOKENS] == 2
    for changed, outside in ((begins, 2), (ends, 4)):
        found = unbilled(early, late, subscriptions=changed)
        assert quantities(found, "reason") == {"outside_every_rate_card": outside}


def test_a_feature_with_filters_counts_what_all_of_them_let_through() -> None:
    found = totals(
        window("a", 1, dimensions={"direction": "input", "model": "large"}),
        window("b", 2, dimensions={"direction": "input", "model": "small"}),
        window("a", 4, dimensions={"direction": "output", "model": "large"}),
        window("b", 8, dimensions={"direction": "output", "model": "huge"}),
        window("a", 16, dimensions={"direction": "output", "model": "small"}),
        window("a", 32, dimensions={"direction": "null", "model": "large"}),
        window("a", 64, dimensions={"model": "large"}),
        features=BY_DIRECTION,
    )
    assert {key.split("/")[2]: value for key, value in quantities(found, "charge_id").items()} == {
        "input": 3,
        "output": 12,
    }


def test_usage_that_no_feature_s_filters_let_through_is_unbilled() -> None:
    found = unbilled(
        window("a", 1, dimensions={"direction": "input", "model": "large"}),
        window("a", 16, dimensions={"direction": "output", "model": "small"}),
        window("a", 64, dimensions={"model": "large"}),
        features=BY_DIRECTION,
    )
    assert quantities(found, "dimensions", "reason") == {
        ('{"direction":"output","model":"small"}', "outside_every_rate_card"): 16,
        ('{"model":"large"}', "outside_every_rate_card"): 64,
    }


def test_filters_over_a_day_without_usage_count_nothing() -> None:
    assert set(quantities(totals(features=BY_DIRECTION), "charge_id").values()) == {Decimal(0)}
    assert unbilled(features=BY_DIRECTION).collect().height == 0


def test_a_window_that_two_features_of_one_meter_count_is_in_both_totals_and_unbilled_in_none() -> None:
    features = [{"key": "all", "meter": "tokens"}, BY_DIRECTION[0]]
    both = window("a", 5, dimensions={"direction": "input"})
    one = window("a", 7, dimensions={"direction": "output"})
    found = totals(both, one, features=features)
    assert {key.split("/")[2]: value for key, value in quantities(found, "charge_id").items()} == {
        "all": 12,
        "input": 5,
    }
    assert unbilled(both, one, features=features).collect().height == 0


def test_unbilled_usage_says_whether_nobody_has_the_subject_or_nobody_buys_the_usage() -> None:
    rows = [window("a", 1), window("nobody", 2), window("lonely", 4, meter="seats"), window("lonely", 8)]
    customers = [{"key": "acme", "subject_keys": ["a"]}, {"key": "lonely"}]
    found = unbilled(*rows, customers=customers)
    assert quantities(found, "subject", "meter", "reason") == {
        ("nobody", "tokens", "subject_without_customer"): 2,
        ("lonely", "seats", "outside_every_rate_card"): 4,
        ("lonely", "tokens", "outside_every_rate_card"): 8,
    }
    assert dict(found.collect().schema) == dict(UNBILLED_USAGE.schema)


def test_usage_of_an_event_without_subject_is_unbilled_never_lost() -> None:
    found = unbilled(window(None, 3), window("a", 1))
    assert quantities(found, "subject", "reason") == {(None, "subject_without_customer"): 3}


def test_quantities_to_date_are_never_unbilled() -> None:
    assert unbilled(to_date(SEATS, 9), window("a", 9, meter="seats")).collect().height == 0


def test_windows_alike_but_for_an_empty_and_a_null_dimension_both_count_or_both_do_not() -> None:
    alike = [window("a", value, dimensions={"model": text}) for value, text in ((3, ""), (5, "null"))]
    assert quantities(totals(*alike), "charge_id")[TOKENS] == 8
    assert unbilled(*alike).collect().height == 0
    nobody = [window("x", value, dimensions={"model": text}) for value, text in ((3, ""), (5, "null"))]
    assert sorted(unbilled(*nobody).collect()["quantity"].to_list()) == [3, 5]


def test_a_window_lies_in_one_slice_of_each_feature_at_most() -> None:
    catalog = usage_catalog(subscriptions=MOVES)
    hours = [
        window("a", 1, start=f"2026-03-10T{hour:02}:00:00", end=f"2026-03-10T{hour + 1:02}:00:00")
        for hour in range(23)
        if hour != 13
    ]
    joined = windows_of_charges(normalized(*hours, catalog=catalog), slices_of(catalog))
    found = joined.filter(pl.col("feature") == "tokens").collect()
    assert found["window_from"].is_unique().all()
    assert found.height == 22


def test_days_can_be_totalled_in_any_order_because_none_reads_another() -> None:
    catalog = usage_catalog()
    day = DAY + dt.timedelta(days=5)
    later = usage_totals(normalized(window("a", 3), catalog=catalog), slices_of(catalog, day))
    assert later.select("charge_date").unique().collect().item() == day
