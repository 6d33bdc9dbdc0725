"""Prices of a server that cannot be are refused when its catalog is read, with plan or subscription, item and field."""

from __future__ import annotations

from typing import Any

import pytest

from focus_assets.catalog.models import RateCard
from focus_assets.errors import FocusAssetsError
from focus_assets.openmeter.errors import OpenMeterError
from focus_assets_tests.openmeter.company import catalog
from focus_assets_tests.openmeter.test_catalog import read
from focus_assets_tests.openmeter_server import documents

Document = dict[str, Any]

FLAT, UNIT = {"type": "flat", "amount": "3"}, {"type": "unit", "amount": "1"}
OPEN = {"unitPrice": UNIT, "flatPrice": None}


def up_to(bound: str, **changes: Any) -> Document:
    return {"upToAmount": bound, **OPEN, **changes}


def tiered(*tiers: Document, mode: str = "graduated", **limits: str) -> Document:
    return {"type": "tiered", "mode": mode, "tiers": list(tiers), **limits}


PACKAGE = {"type": "package", "amount": "1", "quantityPerPackage": "5"}

PRICES: dict[str, tuple[Document, str]] = {
    "no tier": (tiered(), "price.tiers: "),
    "no open tier": (tiered(up_to("9")), "price: .*exactly one tier, the last, has no up_to_amount"),
    "no open tier of volume tiers": (
        tiered(up_to("9"), mode="volume"),
        "price: .*exactly one tier, the last",
    ),
    "two open tiers": (tiered(OPEN, OPEN), "price: .*exactly one tier, the last"),
    "an open tier that is not the last": (tiered(OPEN, up_to("9")), "price: .*exactly one tier, the last"),
    "equal bounds": (tiered(up_to("9"), up_to("9.0"), OPEN), "price: .*up_to_amount has to rise"),
    "falling bounds": (tiered(up_to("9"), up_to("8"), OPEN), "price: .*up_to_amount has to rise"),
    "a bound below zero": (tiered(up_to("-9"), OPEN), r"price.tiers.0.up_to_amount: .*greater than"),
    "a tier without price": (tiered(up_to("9", unitPrice=None), OPEN), "price.tiers.0: .*needs a unit_price"),
    "a tier below zero": (
        tiered(up_to("9", unitPrice={"type": "unit", "amount": "-1"}), OPEN),
        r"price.tiers.0.unit_price: .*greater than or equal to 0",
    ),
    "a tier's fee below zero": (
        tiered(up_to("9", flatPrice={"type": "flat", "amount": "-1"}), OPEN),
        r"price.tiers.0.flat_price: .*greater than or equal to 0",
    ),
    "a mode that nobody knows": (tiered(OPEN, mode="stairs"), "price.mode: .*'graduated' or 'volume'"),
    "a maximum below the minimum": (
        UNIT | {"minimumAmount": "10", "maximumAmount": "5"},
        "price: .*maximum_amount 5 is below minimum_amount 10",
    ),
    "that of tiers": (
        tiered(OPEN, minimumAmount="10", maximumAmount="5"),
        "price: .*maximum_amount 5 is below minimum_amount 10",
    ),
    "a unit below zero": (UNIT | {"amount": "-1"}, r"price.amount: .*greater than or equal to 0"),
    "a fee below zero": (FLAT | {"amount": "-1"}, r"price.amount: .*greater than or equal to 0"),
    "a package below zero": (PACKAGE | {"amount": "-1"}, r"price.amount: .*greater than or equal to 0"),
    "a multiplier below zero": ({"type": "dynamic", "multiplier": "-1"}, r"price.multiplier: .*greater than"),
    "a minimum below zero": (
        UNIT | {"minimumAmount": "-1"},
        r"price.minimum_amount: .*greater than or equal",
    ),
    "a maximum below zero": (
        UNIT | {"maximumAmount": "-1"},
        r"price.maximum_amount: .*greater than or equal",
    ),
    "a package of nothing": (PACKAGE | {"quantityPerPackage": "0"}, "price.quantity_per_package: .*than 0"),
    "a package without size": ({"type": "package", "amount": "1"}, "price.quantity_per_package: .*required"),
    "an amount that is no number": (UNIT | {"amount": "a lot"}, "price.amount: "),
    "a unit without amount": ({"type": "unit"}, "price.amount: .*required"),
    "a price without type": ({"amount": "1"}, "price: "),
    "a term that nobody knows": (FLAT | {"paymentTerm": "whenever"}, "price.payment_term: .*'in_advance'"),
}


def stated(monkeypatch: pytest.MonkeyPatch, name: str, document: Any) -> None:
    """The server says what its own schema does not allow, so that is not asked."""
    monkeypatch.setattr(documents, name, document)
    monkeypatch.setattr("focus_assets_tests.openmeter_server.validation.available", lambda: False)


@pytest.mark.parametrize("of", PRICES)
def test_a_price_that_cannot_be_is_refused_with_plan_item_and_field(
    monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    price, told = PRICES[of]
    stated(monkeypatch, "price_v1", lambda card: price)
    with pytest.raises(
        OpenMeterError, match=rf"^plan 'basic' version 1, item '\w+'.* {told}.* Nothing was written\.$"
    ):
        read(catalog())


@pytest.mark.parametrize("of", PRICES)
def test_that_of_a_subscription_is_refused_with_customer_item_and_field(
    monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    price, told = PRICES[of]
    own = {"feature": "requests", "price": {"type": "unit", "amount": "0.77"}}
    cy = {"customer": "cy", "plan": "basic", "active_from": "2026-08-01T00:00:00Z", "rate_cards": [own]}
    known, real = catalog(subscriptions=[cy]), documents.price_v1
    [negotiated] = known.subscriptions[0].rate_cards

    def of_card(card: RateCard) -> Document:
        return price if card.price == negotiated.price else real(card)

    stated(monkeypatch, "price_v1", of_card)
    with pytest.raises(
        OpenMeterError,
        match=rf"^subscription \w+ of customer 'cy', item 'requests'.* {told}.* Nothing was written\.$",
    ):
        # v3 says it too, in words of its own.
        read(known, has_v3=False)


@pytest.mark.parametrize(
    ("currency", "told"), [("EUX", "is no ISO 4217 code"), ("AI_CREDITS", "unknown currency")]
)
def test_a_currency_that_nobody_has_is_refused_with_its_plan(
    monkeypatch: pytest.MonkeyPatch, currency: str, told: str
) -> None:
    real = documents.plan_v1
    stated(monkeypatch, "plan_v1", lambda *of: real(*of) | {"currency": currency})
    with pytest.raises(FocusAssetsError, match=rf"^plan 'basic'.*currency: .*{told}"):
        read(catalog())


def test_a_currency_that_nobody_has_is_refused_with_its_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    real = documents.subscription_v1
    stated(monkeypatch, "subscription_v1", lambda *of: real(*of) | {"currency": "EUX"})
    with pytest.raises(
        OpenMeterError, match=r"^subscription \w+ of customer '\w+'.* currency: .*is no ISO 4217"
    ):
        read(catalog())


DISCOUNTS = {
    "a percentage above all": (
        {"percentage": {"percentage": 120, "correlationId": "a"}},
        "discounts.percentage",
    ),
    "a percentage below zero": (
        {"percentage": {"percentage": -1, "correlationId": "a"}},
        "discounts.percentage",
    ),
    "free units below zero": ({"usage": {"quantity": "-1", "correlationId": "a"}}, "discounts.usage"),
}


@pytest.mark.parametrize("of", DISCOUNTS)
def test_a_discount_that_cannot_be_is_refused_with_plan_item_and_field(
    monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    discounts, field = DISCOUNTS[of]
    real = documents.plan_v1

    def discounted(*asked: Any) -> Document:
        plan = real(*asked)
        for phase in plan["phases"]:
            for card in phase["rateCards"]:
                card["discounts"] = discounts
        return plan

    stated(monkeypatch, "plan_v1", discounted)
    with pytest.raises(
        OpenMeterError, match=rf"^plan 'basic' version 1, item '\w+'.* {field}: .*Nothing was written"
    ):
        read(catalog())
