"""Plans and subscriptions that v1 of OpenMeter does not show: with unit conversions, or in custom currencies."""

from __future__ import annotations

from typing import Any

import pytest

from focus_assets.catalog.charges import slices_on
from focus_assets.catalog.models import RateCard
from focus_assets.catalog.snapshot import Catalog
from focus_assets.openmeter.errors import ServerProblem, UnsupportedCatalogEntry
from focus_assets_tests.openmeter.company import DAYS, catalog
from focus_assets_tests.openmeter.test_catalog import read
from focus_assets_tests.openmeter_server import documents_v3

CONVERSION = {
    "operation": "divide",
    "conversion_factor": "1000",
    "rounding": "ceiling",
    "display_unit": "K",
}


def converting(known: Catalog, *others: dict[str, Any]) -> Catalog:
    """The first subscription sells requests by the thousand, which v1 refuses to show; and ``others``."""
    card = {"feature": "requests", "price": {"type": "unit", "amount": "1"}, "unit_config": CONVERSION}
    cards = tuple(RateCard.model_validate(each) for each in (card, *others))
    converted = known.subscriptions[0].model_copy(update={"rate_cards": cards})
    return Catalog(**{**dict(known), "subscriptions": (converted,)})


def test_unit_conversions_are_v3s() -> None:
    known = converting(catalog())
    found = read(known)
    [own] = [each for each in found.subscriptions[0].rate_cards if each.feature == "requests"]
    assert own.unit_config == known.subscriptions[0].rate_cards[0].unit_config
    with pytest.raises(ServerProblem, match=r"/api/v1/subscriptions/\w+ answered 400 .*only available via"):
        read(known, has_v3=False)


@pytest.mark.parametrize(
    ("price", "discounts"),
    [
        ({"type": "unit", "amount": "0.5", "minimum_amount": "7", "maximum_amount": "20"}, {"usage": "5.5"}),
        (
            {
                "type": "tiered",
                "mode": "volume",
                "tiers": [
                    {"up_to_amount": "10", "unit_price": "2", "flat_price": "3"},
                    {"unit_price": "1"},
                ],
            },
            {"percentage": "20"},
        ),
        (
            {
                "type": "tiered",
                "mode": "graduated",
                "maximum_amount": "9",
                "tiers": [{"up_to_amount": "10", "flat_price": "3"}, {"unit_price": "1"}],
            },
            {},
        ),
    ],
)
def test_every_price_of_a_subscription_that_only_v3_shows_is_read(
    price: dict[str, Any], discounts: dict[str, Any]
) -> None:
    known = converting(catalog(), {"feature": "large_tokens", "price": price, "discounts": discounts})
    [own] = [each for each in read(known).subscriptions[0].rate_cards if each.feature == "large_tokens"]
    expected = known.subscriptions[0].rate_cards[1]
    assert (own.price, own.discounts) == (expected.price, expected.discounts)


def test_fees_packages_and_dynamic_prices_that_only_v3_shows_come_to_the_same() -> None:
    """v3 writes a package as a thousandth of a price, rounded up, and a dynamic price as a multiplied 1."""
    fee = {"type": "flat", "amount": "9.99", "payment_term": "in_arrears"}
    package = {"type": "package", "amount": "3", "quantity_per_package": "50"}
    known = converting(
        catalog(), {"key": "support", "price": fee}, {"feature": "large_tokens", "price": package}
    )
    found = read(known).subscriptions[0]
    by_key = {each.key: each for each in found.rate_cards}
    assert by_key["support"].price == known.subscriptions[0].rate_cards[1].price
    assert (
        by_key["large_tokens"].price
        == RateCard.model_validate(
            {"feature": "large_tokens", "price": {"type": "unit", "amount": "3"}}
        ).price
    )
    assert by_key["large_tokens"].unit_config is not None
    assert by_key["large_tokens"].unit_config.rounding == "ceiling"
    assert by_key["large_tokens"].unit_config.conversion_factor == 50


def test_a_plan_that_only_v3_shows_publishes_its_prices() -> None:
    """v1 leaves a plan with conversions out of its list, so that a negotiated price had nothing to be compared with."""
    published = {"feature": "requests", "price": {"type": "unit", "amount": "2"}, "unit_config": CONVERSION}
    plan = catalog().plans[0].model_dump() | {"rate_cards": [RateCard.model_validate(published)]}
    known = converting(catalog(plans=[plan]))
    day = DAYS[1]
    [sold] = [s for s in slices_on(read(known).on(day), day) if s.charge.feature.key == "requests"]
    assert sold.charge.plan is not None
    assert getattr(sold.charge.list_price, "amount", None) == 2
    assert getattr(sold.rate_card.price, "amount", None) == 1


def test_prices_in_a_custom_currency_without_a_plan_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """v1 shows them as if they were money."""
    monkeypatch.setattr("focus_assets_tests.openmeter_server.validation.available", lambda: False)
    real = documents_v3.whole_subscription_v3

    def in_credits(*of: Any) -> dict[str, Any]:
        shown = real(*of) | {"plan": None}
        for item in shown["phases"][0]["items"]:
            item["rate_card"]["currency"] = "AI_CREDITS"
        return shown

    known = catalog()
    alone = known.subscriptions[0].model_copy(update={"plan": None, "billing_cadence": "P1M"})
    card = RateCard.model_validate({"feature": "requests", "price": {"type": "unit", "amount": "2"}})
    alone = alone.model_copy(update={"rate_cards": (card,)})
    monkeypatch.setattr(documents_v3, "whole_subscription_v3", in_credits)
    with pytest.raises(UnsupportedCatalogEntry, match=r"'requests' is priced in AI_CREDITS without a plan"):
        read(Catalog(**{**dict(known), "subscriptions": (alone,)}))
