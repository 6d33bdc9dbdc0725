from typing import Any

import pytest

from focus_assets.catalog.snapshot import Catalog, CatalogProblem
from focus_assets_tests.catalog.building import catalog, day, subscription, unit

MOVED = [
    {"key": "acme", "name": "Old", "subject_keys": ["lab"]},
    {"key": "acme", "name": "New", "valid_from": "2026-08-20"},
    {"key": "zeta"},
    {"key": "zeta", "subject_keys": ["lab"], "valid_from": "2026-08-20"},
]


def problems(**changed: Any) -> list[tuple[str, str]]:
    with pytest.raises(CatalogProblem) as caught:
        catalog(**changed).check_references()
    return caught.value.problems


def test_a_customer_is_the_version_that_was_valid_on_the_day() -> None:
    whole = catalog(customers=MOVED)
    assert whole.on(day("2026-08-19")).customer["acme"].name == "Old"
    assert whole.on(day("2026-08-20")).customer["acme"].name == "New"


def test_a_snapshot_answers_for_its_day_although_the_whole_catalog_was_asked_before() -> None:
    """The whole catalog's cached lookups were once copied into each day's snapshot."""
    whole = catalog(customers=MOVED)
    whole.check_references()
    assert whole.customer["acme"].name == "New"
    assert whole.on(day("2026-08-01")).customer["acme"].name == "Old"
    assert whole.on(day("2026-08-01")).customer_of_subject["lab"] == "acme"


def test_a_subject_moves_from_one_customer_to_another_on_a_day() -> None:
    whole = catalog(customers=MOVED)
    whole.check_references()
    assert whole.on(day("2026-08-19")).customer_of_subject["lab"] == "acme"
    assert whole.on(day("2026-08-20")).customer_of_subject["lab"] == "zeta"


def test_a_snapshot_holds_nothing_that_begins_later_or_ended_before() -> None:
    later = {"feature": "tokens", "price": unit("2"), "valid_from": "2026-08-20T23:59:59Z"}
    plans = [{"key": "pro", "rate_cards": [{"feature": "tokens", "price": unit()}, later]}]
    subscriptions = [
        subscription(key="ended", active_to="2026-08-20"),
        subscription(key="running", active_from="2026-08-20"),
        subscription(key="later", active_from="2026-08-21"),
    ]
    whole = catalog(plans=plans, subscriptions=subscriptions)
    assert len(whole.on(day("2026-08-19")).plan["pro"].rate_cards) == 1
    assert len(whole.on(day("2026-08-20")).plan["pro"].rate_cards) == 2
    assert [s.key for s in whole.on(day("2026-08-20")).subscriptions] == ["running"]


def test_a_snapshot_comes_back_from_its_rows_as_it_was() -> None:
    meters = [
        {
            "slug": "tokens",
            "event_type": "t",
            "aggregation": "SUM",
            "value_property": "$.n",
            "group_by": {"region": "$.r"},
            "dimensions": {
                "RegionId": {"dimension": "region", "default": "eu"},
                "RegionName": None,
                "ServiceName": "S",
            },
        }
    ]
    tiers = [{"up_to_amount": "10", "unit_price": "0.000000000001"}, {"flat_price": "1"}]
    price = {"type": "tiered", "mode": "graduated", "tiers": tiers}
    plans = [{"key": "pro", "billing_cadence": "P3M", "rate_cards": [{"feature": "tokens", "price": price}]}]
    snapshot = catalog(meters=meters, plans=plans).on(day("2026-08-20"))
    assert Catalog.from_frame(snapshot.to_frame()) == snapshot


def test_equal_catalogs_give_equal_rows_whatever_the_order_of_the_file() -> None:
    customers = [{"key": "acme"}, {"key": "zeta", "labels": {"a": "1", "b": "2"}}]
    turned = [{"key": "zeta", "labels": {"b": "2", "a": "1"}}, {"key": "acme"}]
    one, other = (
        catalog(customers=c).on(day("2026-08-20")).to_frame().collect() for c in (customers, turned)
    )
    assert one.equals(other)


def test_an_unknown_meter_is_named_with_the_known_ones() -> None:
    (problem,) = problems(features=[{"key": "tokens", "meter": "token"}])
    assert problem == ("features[0].meter", "unknown meter 'token'; known meters: tokens")


def test_a_filter_on_a_dimension_that_the_meter_does_not_have_is_refused() -> None:
    (problem,) = problems(features=[{"key": "tokens", "meter": "tokens", "filters": {"size": ["l"]}}])
    assert problem[0] == "features[0].filters.size"
    assert "known keys: model" in problem[1]


def test_a_price_without_a_feature_and_so_without_a_meter_is_refused() -> None:
    card = {"feature": "storage", "price": unit()}
    found = problems(
        plans=[{"key": "pro", "rate_cards": [card]}], subscriptions=[subscription(rate_cards=[card])]
    )
    assert [place for place, _ in found] == [
        "plans[0].rate_cards[0].feature",
        "subscriptions[0].rate_cards[0].feature",
    ]
    assert "a price needs a feature, and a feature a meter; known features: tokens" in found[0][1]


def test_an_unknown_customer_or_plan_of_a_subscription_is_refused() -> None:
    found = problems(subscriptions=[subscription(customer="acne", plan="por")])
    assert [place for place, _ in found] == ["subscriptions[0].customer", "subscriptions[0].plan"]


@pytest.mark.parametrize("kind", ["meters", "features", "plans", "subscriptions"])
def test_an_entry_that_stands_twice_is_refused_where_it_stands_the_second_time(kind: str) -> None:
    twice = {kind: catalog().model_dump(mode="json")[kind] * 2}
    assert problems(**twice)[0][0] == f"{kind}[1]"


def test_a_customer_twice_is_refused_unless_the_second_is_a_later_version() -> None:
    (problem, *_) = problems(customers=[{"key": "acme"}, {"key": "acme"}])
    assert problem[0] == "customers[1]"
    assert "valid_from" in problem[1]


def test_a_subject_of_two_customers_at_once_is_refused_and_each_is_told_once() -> None:
    found = problems(
        customers=[
            {"key": "acme", "subject_keys": ["x", "y"]},
            {"key": "zeta", "subject_keys": ["x", "y"]},
            {"key": "zeta", "subject_keys": ["x", "y"], "valid_from": "2026-08-20"},
        ]
    )
    assert [what.split()[1] for _, what in found] == ["'x'", "'y'"]


def test_a_customers_key_that_is_another_customers_subject_is_refused() -> None:
    assert problems(customers=[{"key": "acme"}, {"key": "zeta", "subject_keys": ["acme"]}])


def test_a_feature_bought_twice_at_the_same_time_is_refused() -> None:
    plans = [{"key": key, "rate_cards": [{"feature": "tokens", "price": unit()}]} for key in ("pro", "team")]
    twice = [subscription(), subscription(plan="team", active_from="2026-06-01")]
    (problem,) = problems(plans=plans, subscriptions=twice)
    assert problem[0] == "subscriptions[1]"
    assert "billed twice" in problem[1]
    following = [subscription(active_to="2026-06-01"), twice[1]]
    catalog(plans=plans, subscriptions=following).check_references()


def test_an_added_rate_card_for_a_feature_of_the_plan_is_refused_as_no_replacement() -> None:
    own = {"key": "cheaper", "feature": "tokens", "price": unit("0.5")}
    (problem,) = problems(subscriptions=[subscription(rate_cards=[own])])
    assert "the other's key" in problem[1]


def test_a_subscription_in_another_currency_than_its_plans_prices_is_refused() -> None:
    (problem,) = problems(subscriptions=[subscription(currency="EUR")])
    assert problem[0] == "subscriptions[0].currency"
    catalog(subscriptions=[subscription(currency="USD")]).check_references()
