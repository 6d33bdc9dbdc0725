import datetime as dt
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from focus_assets.catalog.charges import (
    Charge,
    ChargeSlice,
    Cut,
    OpeningUnknown,
    cuts_on,
    require_known_opening,
    slices_on,
)
from focus_assets.catalog.models import UnitPrice
from focus_assets.catalog.periods import Period
from focus_assets_tests.catalog.building import at, catalog, day, subscription, unit


def slices(on: str, **changed: Any) -> list[ChargeSlice]:
    return slices_on(catalog(**changed).on(day(on)), day(on))


def amount(charge: Charge) -> Decimal:
    assert isinstance(charge.rate_card.price, UnitPrice)
    return charge.rate_card.price.amount


def list_amount(charge: Charge) -> Decimal:
    assert isinstance(charge.list_price, UnitPrice)
    return charge.list_price.amount


def test_a_day_has_one_slice_of_a_charge_that_begins_at_midnight() -> None:
    (only,) = slices("2026-03-10")
    assert only.charge.charge_id == "acme/pro/tokens/20260301T000000Z"
    assert only.period == Period(at("2026-03-10"), at("2026-03-11"))
    assert only.billing == only.charge.rating == Period(at("2026-03-01"), at("2026-04-01"))
    assert cuts_on([only], day("2026-03-10")) == []


def test_a_day_in_which_a_period_ends_is_cut_for_every_subject_of_the_customer() -> None:
    found = slices("2026-09-15", subscriptions=[subscription(active_from="2026-08-15T13:22:07Z")])
    assert [s.period.start for s in found] == [at("2026-09-15"), at("2026-09-15T13:22:07")]
    assert [s.charge.charge_id[-16:] for s in found] == ["20260815T132207Z", "20260915T132207Z"]
    instant = at("2026-09-15T13:22:07")
    assert cuts_on(found, day("2026-09-15")) == [Cut("tokens", s, instant) for s in ("a", "acme", "b")]


def test_a_subscription_is_charged_from_its_second_to_its_second() -> None:
    changed = {
        "subscriptions": [
            subscription(active_from="2026-08-15T13:22:07Z", active_to="2026-08-20T06:00:01Z"),
        ]
    }
    assert slices("2026-08-14", **changed) == []
    assert [s.period.start for s in slices("2026-08-15", **changed)] == [at("2026-08-15T13:22:07")]
    (last,) = slices("2026-08-20", **changed)
    assert last.period == Period(at("2026-08-20"), at("2026-08-20T06:00:01"))
    assert last.charge.period.end == at("2026-08-20T06:00:01")
    assert slices("2026-08-21", **changed) == []


def test_a_subscription_that_ends_at_midnight_has_no_slice_on_that_day() -> None:
    changed = {"subscriptions": [subscription(active_to="2026-08-20")]}
    assert slices("2026-08-19", **changed)
    assert slices("2026-08-20", **changed) == []


def test_a_billing_anchor_after_the_start_makes_a_short_first_charge() -> None:
    changed = {"subscriptions": [subscription(active_from="2026-08-20", billing_anchor="2026-09-01")]}
    (first,) = slices("2026-08-25", **changed)
    assert first.charge.period == Period(at("2026-08-20"), at("2026-09-01"))
    assert first.charge.rating == Period(at("2026-08-01"), at("2026-09-01"))


def test_a_quarter_is_billed_at_once_and_rated_by_the_rate_cards_own_month() -> None:
    plans = [
        {
            "key": "pro",
            "billing_cadence": "P3M",
            "rate_cards": [{"feature": "tokens", "billing_cadence": "P1M", "price": unit()}],
        }
    ]
    (only,) = slices("2026-02-10", plans=plans)
    assert only.charge.rating == Period(at("2026-02-01"), at("2026-03-01"))
    assert only.billing == Period(at("2026-01-01"), at("2026-04-01"))


def test_the_subscriptions_cadence_stands_before_the_plans() -> None:
    (only,) = slices("2026-02-10", subscriptions=[subscription(billing_cadence="P3M")])
    assert only.billing == only.charge.rating == Period(at("2026-01-01"), at("2026-04-01"))


def test_a_yearly_charge_is_sliced_where_a_billing_month_ends_within_the_day() -> None:
    plans = [{"key": "pro", "rate_cards": [{"feature": "tokens", "billing_cadence": "P1Y", "price": unit()}]}]
    found = slices(
        "2026-02-15", plans=plans, subscriptions=[subscription(active_from="2026-01-15T12:00:00Z")]
    )
    assert len({s.charge.charge_id for s in found}) == 1
    assert [s.period.end for s in found] == [at("2026-02-15T12:00:00"), at("2026-02-16")]
    assert [s.billing.end for s in found] == [at("2026-02-15T12:00:00"), at("2026-03-15T12:00:00")]


def price_change(instant: str) -> list[dict[str, Any]]:
    cards = [
        {"feature": "tokens", "price": unit("1")},
        {"feature": "tokens", "price": unit("2"), "valid_from": instant},
    ]
    return [{"key": "pro", "rate_cards": cards}]


def test_a_price_change_within_a_period_ends_one_charge_and_begins_another() -> None:
    found = slices("2026-03-10", plans=price_change("2026-03-10T10:00:00Z"))
    assert [(amount(s.charge), s.period.end) for s in found] == [
        (Decimal(1), at("2026-03-10T10:00:00")),
        (Decimal(2), at("2026-03-11")),
    ]
    assert [s.charge.charge_id[-16:] for s in found] == ["20260301T000000Z", "20260310T100000Z"]
    assert {s.charge.rating for s in found} == {Period(at("2026-03-01"), at("2026-04-01"))}


def test_the_charge_keeps_its_id_on_the_days_before_its_price_changes() -> None:
    plans = price_change("2026-03-10T10:00:00Z")
    before, on_the_day = slices("2026-03-09", plans=plans), slices("2026-03-10", plans=plans)
    assert before[0].charge.charge_id == on_the_day[0].charge.charge_id


def test_a_version_that_ended_before_the_subscription_began_is_never_charged() -> None:
    """The version's end and the subscription's start on one day once made a charge that ended before it began."""
    found = slices(
        "2026-08-15",
        plans=price_change("2026-08-15T10:00:00Z"),
        subscriptions=[subscription(active_from="2026-08-15T13:22:07Z", billing_anchor="2026-08-01")],
    )
    assert [amount(s.charge) for s in found] == [Decimal(2)]
    assert all(s.charge.period.start < s.charge.period.end for s in found)


def test_a_negotiated_price_replaces_the_plans_and_leaves_it_as_the_list_price() -> None:
    own = subscription(rate_cards=[{"feature": "tokens", "price": unit("0.8")}])
    (only,) = slices("2026-03-10", subscriptions=[own])
    assert (amount(only.charge), list_amount(only.charge)) == (Decimal("0.8"), Decimal(1))


def test_a_negotiated_price_that_begins_later_leaves_the_plans_price_until_then() -> None:
    own = {"feature": "tokens", "price": unit("0.8"), "valid_from": "2026-03-10"}
    subscriptions = [subscription(rate_cards=[own])]
    assert amount(slices("2026-03-09", subscriptions=subscriptions)[0].charge) == 1
    assert [amount(s.charge) for s in slices("2026-03-10", subscriptions=subscriptions)] == [Decimal("0.8")]


def test_a_later_change_of_the_plan_does_not_undo_a_negotiated_price() -> None:
    own = {"feature": "tokens", "price": unit("0.8"), "valid_from": "2026-02-01"}
    (only,) = slices(
        "2026-04-05", plans=price_change("2026-03-10"), subscriptions=[subscription(rate_cards=[own])]
    )
    assert (amount(only.charge), list_amount(only.charge)) == (Decimal("0.8"), Decimal(2))


def test_a_subscription_without_plan_has_its_own_price_as_list_price_and_a_month() -> None:
    own = {
        "customer": "acme",
        "active_from": "2026-01-01",
        "currency": "EUR",
        "rate_cards": [{"feature": "tokens", "price": unit("3")}],
    }
    (only,) = slices("2026-03-10", subscriptions=[own])
    assert only.charge.charge_id.startswith("acme/default/tokens/")
    assert (list_amount(only.charge), only.charge.currency) == (Decimal(3), "EUR")
    assert only.billing == Period(at("2026-03-01"), at("2026-04-01"))


def test_the_currency_is_the_plans_else_the_defaults() -> None:
    plans = [{"key": "pro", "currency": "EUR", "rate_cards": [{"feature": "tokens", "price": unit()}]}]
    assert slices("2026-03-10", plans=plans)[0].charge.currency == "EUR"
    assert slices("2026-03-10")[0].charge.currency == "USD"


def test_a_subscription_of_a_customer_that_does_not_exist_yet_is_not_charged() -> None:
    customers = [{"key": "acme", "valid_from": "2026-03-10"}]
    assert slices("2026-03-09", customers=customers) == []
    assert slices("2026-03-10", customers=customers)


def test_slices_come_in_order_of_charge_and_time_whatever_the_order_of_the_file() -> None:
    customers = [{"key": "zeta"}, {"key": "acme"}]
    found = slices(
        "2026-03-10", customers=customers, subscriptions=[subscription(customer="zeta"), subscription()]
    )
    assert [s.charge.customer.key for s in found] == ["acme", "zeta"]


def test_a_charge_begun_before_the_first_day_is_refused_and_names_the_way_out() -> None:
    found = slices("2026-03-10")
    with pytest.raises(OpeningUnknown, match=r"2026-03-01T00:00:00Z.*start_date 2026-03-05.*opening: zero"):
        require_known_opening(found, day("2026-03-05"), assume_zero=False)


def test_a_charge_begun_before_the_first_day_counts_from_zero_where_that_is_said() -> None:
    found = slices("2026-03-10")
    assert {s.charge.period.start for s in found} == {at("2026-03-01T00:00:00")}
    require_known_opening(found, day("2026-03-05"), assume_zero=True)
    require_known_opening(found, day("2026-03-01"), assume_zero=False)


def test_every_second_of_a_quarter_lies_in_exactly_one_slice() -> None:
    subscriptions = [
        subscription(
            active_from="2026-01-31T13:22:07Z",
            rate_cards=[{"feature": "tokens", "price": unit("2"), "valid_from": "2026-02-10T09:00:00Z"}],
        )
    ]
    whole = catalog(subscriptions=subscriptions, plans=price_change("2026-02-20T01:02:03Z"))
    days = [day("2026-01-31") + dt.timedelta(days=n) for n in range(90)]
    found = sorted((s.period.start, s.period.end) for d in days for s in slices_on(whole.on(d), d))
    assert found[0][0] == at("2026-01-31T13:22:07")
    assert all(one[1] == other[0] for one, other in pairwise(found))
