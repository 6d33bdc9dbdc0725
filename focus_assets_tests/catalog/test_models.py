from typing import Any

import pytest
from pydantic import ValidationError

from focus_assets.catalog.models import Meter, Plan, Subscription, TieredPrice
from focus_assets_tests.catalog.building import at, unit


@pytest.mark.parametrize("value", [2026, "2026", "20260801", 0, 1.5, "2026.08", True])
def test_a_number_is_no_instant(value: Any) -> None:
    """Pydantic reads 2026 as 33 minutes and 46 seconds after the beginning of 1970."""
    with pytest.raises(ValidationError, match="is a number; write a day"):
        Subscription.model_validate({"customer": "a", "plan": "p", "active_from": value})


@pytest.mark.parametrize("field", ["active_from", "active_to", "billing_anchor"])
def test_an_instant_without_a_time_zone_is_refused(field: str) -> None:
    data = {"customer": "a", "plan": "p", "active_from": "2026-01-01", field: "2026-08-15T13:22:07"}
    with pytest.raises(ValidationError, match="needs a time zone"):
        Subscription.model_validate(data)


def test_the_instant_from_which_a_meter_counts_needs_a_time_zone_too() -> None:
    data = {"slug": "m", "event_type": "t", "aggregation": "COUNT", "event_from": "2026-08-15T13:22:07"}
    with pytest.raises(ValidationError, match="needs a time zone"):
        Meter.model_validate(data)


def test_an_instant_finer_than_a_second_is_refused() -> None:
    with pytest.raises(ValidationError, match="finer than a second"):
        Subscription.model_validate({"customer": "a", "plan": "p", "active_from": "2026-08-15T13:22:07.5Z"})


def test_an_instant_of_another_zone_becomes_utc_and_a_day_its_midnight() -> None:
    read = Subscription.model_validate(
        {"customer": "a", "plan": "p", "active_from": "2026-08-15T15:22:07+02:00", "active_to": "2026-09-01"}
    )
    assert (read.active_from, read.active_to) == (at("2026-08-15T13:22:07"), at("2026-09-01"))


@pytest.mark.parametrize(
    ("tiers", "what"),
    [
        ([{"up_to_amount": 1, "unit_price": 1}], "the last"),
        ([{"unit_price": 1}, {"unit_price": 1}], "the last"),
        (
            [{"up_to_amount": 2, "unit_price": 1}, {"up_to_amount": 1, "unit_price": 1}, {"unit_price": 1}],
            "rise",
        ),
        (
            [{"up_to_amount": 2, "unit_price": 1}, {"up_to_amount": 2, "unit_price": 1}, {"unit_price": 1}],
            "rise",
        ),
        ([{}], "unit_price, a flat_price"),
        ([], "at least 1 item"),
        ([{"unit_price": "-1"}], "greater than or equal to 0"),
    ],
)
def test_tiers_that_do_not_price_every_quantity_once_are_refused(tiers: list[Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        TieredPrice.model_validate({"type": "tiered", "mode": "graduated", "tiers": tiers})


def test_a_binary_float_is_no_amount() -> None:
    with pytest.raises(ValidationError, match="binary float"):
        TieredPrice.model_validate({"type": "tiered", "mode": "graduated", "tiers": [{"unit_price": 0.1}]})


def test_a_rate_card_twice_from_the_same_instant_is_refused() -> None:
    card = {"feature": "tokens", "price": unit()}
    with pytest.raises(ValidationError, match="stands twice"):
        Plan.model_validate({"key": "p", "rate_cards": [card, card]})


def test_openmeters_spelling_is_read_as_well() -> None:
    data = {
        "slug": "m",
        "eventType": "t",
        "aggregation": "SUM",
        "valueProperty": "$.n",
        "groupBy": {"a": "$.a"},
    }
    assert Meter.model_validate(data).value_property == "$.n"
