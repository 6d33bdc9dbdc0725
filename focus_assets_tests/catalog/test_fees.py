"""Flat fees: on which day each is due, for which service period, in which billing period."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from focus_assets.catalog.charges import slices_on
from focus_assets.catalog.fees import Fee, fees_on
from focus_assets.catalog.models import RateCard
from focus_assets.catalog.snapshot import Catalog
from focus_assets_tests.catalog.building import at, catalog, subscription

FIRST = dt.date(2026, 8, 1)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(92)]


def fee(key: str = "platform", amount: str = "29", term: str = "in_advance", **card: Any) -> dict[str, Any]:
    return {"key": key, "price": {"type": "flat", "amount": amount, "payment_term": term}, **card}


def selling(*cards: dict[str, Any], **of_subscription: Any) -> Catalog:
    return catalog(
        plans=[{"key": "pro", "rate_cards": list(cards)}],
        subscriptions=[subscription(active_from="2026-08-01", **of_subscription)],
    )


def due(of: Catalog, days: Sequence[dt.date] = DAYS) -> list[tuple[dt.date, Fee]]:
    """What is due on each day, as the day's own snapshot says."""
    return [(day, found) for day in days for found in fees_on(of.on(day), day)]


def service_periods(of: Catalog) -> list[tuple[str, str, str]]:
    """(day it is due, service period from, to)."""
    return [(f"{day}", f"{f.service.start:%FT%TZ}", f"{f.service.end:%FT%TZ}") for day, f in due(of)]


def test_a_fee_in_advance_is_due_on_the_day_its_period_begins() -> None:
    assert service_periods(selling(fee(), billing_anchor="2026-08-01T13:22:07Z")) == [
        ("2026-08-01", "2026-08-01T00:00:00Z", "2026-08-01T13:22:07Z"),
        ("2026-08-01", "2026-08-01T13:22:07Z", "2026-09-01T13:22:07Z"),
        ("2026-09-01", "2026-09-01T13:22:07Z", "2026-10-01T13:22:07Z"),
        ("2026-10-01", "2026-10-01T13:22:07Z", "2026-11-01T13:22:07Z"),
    ]


def test_a_fee_in_arrears_is_due_on_the_day_its_period_ends() -> None:
    anchored = selling(fee(term="in_arrears"), billing_anchor="2026-08-15T13:22:07Z")
    assert service_periods(anchored) == [
        ("2026-08-15", "2026-08-01T00:00:00Z", "2026-08-15T13:22:07Z"),
        ("2026-09-15", "2026-08-15T13:22:07Z", "2026-09-15T13:22:07Z"),
        ("2026-10-15", "2026-09-15T13:22:07Z", "2026-10-15T13:22:07Z"),
    ]


def test_a_period_that_ends_at_midnight_ends_with_the_day_before() -> None:
    found = due(selling(fee(term="in_arrears")))
    assert [(f"{day}", f"{f.service.end:%F}") for day, f in found] == [
        ("2026-08-31", "2026-09-01"),
        ("2026-09-30", "2026-10-01"),
        ("2026-10-31", "2026-11-01"),
    ]
    assert {(f.billing.start, f.billing.end) for day, f in found[:1]} == {
        (at("2026-08-01"), at("2026-09-01"))
    }


def test_a_fee_has_its_own_cadence_and_the_billing_period_of_the_day_it_is_due() -> None:
    [(day, quarterly)] = due(selling(fee(billing_cadence="P3M", term="in_arrears")))
    assert day == dt.date(2026, 10, 31)
    assert (quarterly.service.start, quarterly.billing.start) == (at("2026-08-01"), at("2026-10-01"))
    [(day, in_advance)] = due(selling(fee(billing_cadence="P3M")), DAYS[:60])
    assert (day, in_advance.service.end, in_advance.billing.end) == (
        FIRST,
        at("2026-11-01"),
        at("2026-09-01"),
    )


def test_the_end_of_a_subscription_cuts_the_period_of_a_fee_in_advance() -> None:
    ending = selling(fee(), active_to="2026-09-18T12:00:00Z")
    _, (day, last) = due(ending)
    assert (day, last.service.end) == (dt.date(2026, 9, 1), at("2026-09-18T12:00:00"))
    assert (last.full.start, last.full.end) == (at("2026-09-01"), at("2026-10-01"))


def test_a_fee_knows_on_its_day_that_a_later_version_will_end_it() -> None:
    changing = selling(fee(), fee(amount="31", valid_from="2026-08-21T06:00:00Z"))
    assert service_periods(changing)[:3] == [
        ("2026-08-01", "2026-08-01T00:00:00Z", "2026-08-21T06:00:00Z"),
        ("2026-08-21", "2026-08-21T06:00:00Z", "2026-09-01T00:00:00Z"),
        ("2026-09-01", "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z"),
    ]
    negotiated = selling(fee(), rate_cards=[fee(amount="25", valid_from="2026-08-21")])
    found = due(negotiated)
    assert [f.price.amount for _, f in found[:3]] == [29, 25, 25]
    assert [f.list_price.amount for _, f in found[:3]] == [29, 29, 29]
    assert found[0][1].service.end == at("2026-08-21")


def test_later_prices_of_usage_stay_out_of_a_days_snapshot() -> None:
    later = {"feature": "tokens", "price": {"type": "unit", "amount": "2"}, "valid_from": "2026-09-10"}
    sold = selling({"feature": "tokens", "price": {"type": "unit", "amount": "1"}}, later, fee())
    assert [card.key for card in sold.on(FIRST).plans[0].rate_cards] == ["tokens", "platform"]


def test_a_fee_without_cadence_is_due_once() -> None:
    once = selling(fee("setup", billing_cadence=None))
    [(day, setup)] = due(once)
    assert (day, setup.rate_card.one_time) == (FIRST, True)
    assert (setup.service.start, setup.service.end) == (at("2026-08-01"), at("2026-08-02"))
    ending = selling(fee("setup", billing_cadence=None), active_to="2026-08-20T10:00:00Z")
    assert due(ending)[0][1].service.end == at("2026-08-20T10:00:00")
    assert not due(ending)[0][1].prorates


def test_a_one_time_fee_in_arrears_waits_for_an_end() -> None:
    closing = fee("closing", term="in_arrears", billing_cadence=None)
    assert due(selling(closing)) == []
    [(day, found)] = due(selling(closing, active_to="2026-08-20T10:00:00Z"))
    assert (day, found.service.start) == (dt.date(2026, 8, 20), at("2026-08-01"))


def test_a_later_price_of_a_plans_one_time_fee_is_for_later_subscriptions() -> None:
    dearer = fee("setup", "150", billing_cadence=None, valid_from="2026-08-10")
    plan = {"key": "pro", "rate_cards": [fee("setup", "100", billing_cadence=None), dearer]}
    later = subscription(key="later", active_from="2026-08-15")
    sold = catalog(plans=[plan], subscriptions=[subscription(active_from="2026-08-01"), later])
    assert [(f"{day}", f.price.amount) for day, f in due(sold)] == [("2026-08-01", 100), ("2026-08-15", 150)]
    own = selling(rate_cards=[fee("move", "70", billing_cadence=None, valid_from="2026-08-09T08:00:00Z")])
    assert [(f"{day}", f.price.amount) for day, f in due(own)] == [("2026-08-09", 70)]


def test_a_fee_is_no_charge_of_usage_and_usage_no_fee() -> None:
    sold = selling(fee("base", feature="tokens"), {"feature": "tokens", "price": {"type": "free"}})
    sold.check_references()
    assert [s.charge.rate_card.key for s in slices_on(sold.on(FIRST), FIRST)] == ["tokens"]
    assert [f.rate_card.key for f in fees_on(sold.on(FIRST), FIRST)] == ["base"]
    same_key = selling(
        fee("tokens", feature="tokens"), rate_cards=[{"feature": "tokens", "price": {"type": "free"}}]
    )
    [usage] = slices_on(same_key.on(FIRST), FIRST)
    assert usage.charge.list_price.type == "free"


def test_a_feature_without_meter_can_have_a_fee_but_no_price_of_usage() -> None:
    support = {"key": "support", "name": "Support"}
    sold = catalog(
        features=[support],
        plans=[{"key": "pro", "rate_cards": [fee("support", feature="support")]}],
        subscriptions=[subscription(active_from="2026-08-01")],
    )
    sold.check_references()
    [found] = fees_on(sold.on(FIRST), FIRST)
    assert (found.key, found.title, found.meter) == ("support", "Support", None)
    priced = {"feature": "support", "price": {"type": "unit", "amount": "1"}}
    with pytest.raises(
        Exception, match=r"plans\[0\]\.rate_cards\[0\]\.feature: feature 'support' has no meter"
    ):
        catalog(features=[support], plans=[{"key": "pro", "rate_cards": [priced]}]).check_references()


def test_a_snapshot_reads_back_as_it_was() -> None:
    sold = selling(fee("setup", billing_cadence=None), fee(), fee("quarter", billing_cadence="P3M"))
    again = Catalog.from_frame(sold.on(FIRST).to_frame())
    assert [f.rate_card for _, f in due(again, DAYS[:1])] == [f.rate_card for _, f in due(sold, DAYS[:1])]


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        ({"price": fee()["price"]}, "needs a feature, or for a flat fee at least a key"),
        ({"key": "a", "price": {"type": "free"}}, "feature is needed for a price of usage"),
        (fee(discounts={"usage": "5"}), "a flat fee has no usage to leave free"),
        (fee(one_time=True, billing_cadence="P1M"), "due once and every P1M"),
        ({"feature": "a", "price": {"type": "free"}, "one_time": True}, "only flat fees are due once"),
        ({"feature": "a", "price": {"type": "free"}, "dimensions": {"RegionId": None}}, "are of flat fees"),
        (fee(amount="-1"), "greater than or equal to 0"),
        (fee(term="in_between"), "in_advance"),
    ],
)
def test_a_fee_that_cannot_be_is_refused(card: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        RateCard.model_validate(card)
