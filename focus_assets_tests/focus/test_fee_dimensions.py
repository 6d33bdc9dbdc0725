"""FOCUS columns of flat fees: which layer decides, and what is said where none does."""

from __future__ import annotations

from typing import Any

import pytest

from focus_assets.catalog.fees import fees_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.cost_and_usage import build
from focus_assets.focus.dimensions import Layer, UnresolvedDimension, resolve
from focus_assets.rating import fee_lines
from focus_assets_tests.catalog.building import day
from focus_assets_tests.focus.vendor import CATALOG, DEFAULTS, catalog

FIRST = "2026-08-01"


def vendor(defaults: dict[str, Any] | None = None, **cards: dict[str, Any]) -> Catalog:
    flat = {"type": "flat", "amount": "5"}
    globex, _ = CATALOG["subscriptions"]
    return catalog(
        defaults={**DEFAULTS, "dimensions": DEFAULTS["dimensions"] if defaults is None else defaults},
        plans=[{"key": "pro", "rate_cards": [{"key": k, "price": flat, **c} for k, c in cards.items()]}],
        subscriptions=[{**globex, "active_from": FIRST}],
    )


def row(of: Catalog) -> dict[str, Any]:
    fees = fees_on(of.on(day(FIRST)), day(FIRST))
    [found] = build(fee_lines(fees), [], of, fees).collect().rows(named=True)
    return found


def test_a_fee_has_the_columns_of_the_defaults() -> None:
    found = row(vendor(platform={"name": "Platform"}))
    assert found["ServiceName"] == "Acme Chat"
    assert found["RegionId"] is None
    assert (found["SkuId"], found["SkuMeter"], found["x_FeatureKey"]) == ("platform", "Platform", None)
    assert (found["SubAccountId"], found["SubAccountType"], found["Tags"]) == (
        None,
        None,
        '{"acme/tier":"gold"}',
    )
    assert found["ChargeDescription"] == "Platform, flat fee, 5 per Fees, pro"


def test_a_fee_of_a_metered_feature_has_the_columns_of_its_meter_without_events() -> None:
    found = row(vendor(chat={"feature": "chat"}))
    assert (found["RegionId"], found["SkuMeter"], found["x_MeterSlug"]) == ("eu-west", "Tokens Used", None)
    assert (found["SkuId"], found["SkuPriceId"], found["x_FeatureKey"]) == (
        "chat",
        "pro/chat/flat_fee",
        "chat",
    )


def test_the_rate_card_stands_before_the_meter_and_the_customer_before_both() -> None:
    own = {"RegionId": "us-east", "RegionName": "US East"}
    sold = vendor(chat={"feature": "chat", "dimensions": own})
    assert (row(sold)["RegionId"], row(sold)["RegionName"]) == ("us-east", "US East")
    [key] = resolve(sold).fees
    answer = resolve(sold).fees[key]["RegionId"]
    assert (answer.layer, answer.set_at) == (Layer.FEE, "plans[pro].rate_cards[chat].dimensions.RegionId")
    globex, initech = CATALOG["customers"]
    placed = sold.model_dump() | {"customers": [{**globex, "dimensions": {"RegionId": "ap-1"}}, initech]}
    assert row(Catalog.model_validate(placed))["RegionId"] == "ap-1"


def test_a_fee_whose_service_nobody_names_is_refused_with_the_place_to_name_it() -> None:
    with pytest.raises(UnresolvedDimension) as caught:
        resolve(vendor(defaults={"ServiceName": "Acme Chat"}, platform={}))
    assert (
        "fee 'platform' (plans[pro].rate_cards[platform]): ServiceCategory has a value in no layer; set "
        "plans[pro].rate_cards[platform].dimensions.ServiceCategory, or defaults.dimensions.ServiceCategory for all,"
    ) in str(caught.value)


def test_a_column_that_cannot_be_set_is_refused_at_the_fee() -> None:
    with pytest.raises(
        Exception, match=r"plans\[pro\]\.rate_cards\[platform\]\.dimensions\.Servicename: no column"
    ):
        resolve(vendor(platform={"dimensions": {"Servicename": "x"}}))
