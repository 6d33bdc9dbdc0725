"""Prices that cannot be are refused when they are read, with plan, item and field; in focus.yaml and from OpenMeter."""

from __future__ import annotations

import pytest

from focus_assets_tests.settings.starting import TEXT, loaded, refusal

_START = TEXT.index("          type: tiered")
PRICE = TEXT[_START : TEXT.index("subscriptions:")]
CARD = "plans[pro].rate_cards[tokens]"


def priced(*lines: str, card: str = "") -> tuple[str, str]:
    """The plan's price replaced; ``card``: what stands beside it."""
    beside = f"        {card}\n" if card else ""
    return PRICE, "".join(f"          {line}\n" for line in lines) + beside


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            priced("type: tiered", "mode: volume", "tiers: [{up_to_amount: 10, unit_price: 1}]"),
            "price: exactly one tier, the last, has no up_to_amount",
        ),
        (
            priced("type: tiered", "mode: graduated", "tiers: [{unit_price: 1}, {unit_price: 2}]"),
            "price: exactly one tier, the last, has no up_to_amount",
        ),
        (
            priced(
                "type: tiered",
                "mode: volume",
                "tiers: [{up_to_amount: 9, unit_price: 1}, {up_to_amount: 9, unit_price: 2}, {unit_price: 3}]",
            ),
            "price: up_to_amount has to rise from tier to tier",
        ),
        (
            priced("type: unit", "amount: 1", "minimum_amount: 10", "maximum_amount: 5"),
            "price: maximum_amount 5 is below minimum_amount 10",
        ),
        (priced("type: unit", "amount: -1"), "price.amount: found the number -1; it should be greater"),
        (
            priced("type: package", "amount: 1", "quantity_per_package: 5", "minimum_amount: -1"),
            "price.minimum_amount: found the number -1; it should be greater",
        ),
        (priced("type: dynamic", "multiplier: -1"), "price.multiplier: found the number -1; it should be"),
        (
            priced("type: package", "amount: 1", "quantity_per_package: 0"),
            "price.quantity_per_package: found the number 0; it should be greater than 0",
        ),
        (priced("type: package", "amount: 1"), "price.quantity_per_package: is missing"),
        (
            priced("type: unit", "amount: 1", card="discounts: {percentage: 120}"),
            "discounts.percentage: found the number 120; it should be less than or equal to 100",
        ),
        (
            priced("type: unit", "amount: 1", card="unit_config: {operation: divide, conversion_factor: 0}"),
            "unit_config.conversion_factor: found the number 0; it should be greater than 0",
        ),
        (
            priced("type: unit", "amount: 1", card="unit_config: {operation: add, conversion_factor: 3}"),
            "unit_config.operation: found 'add'; allowed: 'multiply' or 'divide'",
        ),
    ],
)
def test_a_price_that_cannot_be_is_refused_with_plan_item_and_field(
    change: tuple[str, str], sentence: str
) -> None:
    told = refusal(change)
    assert f"{CARD}.{sentence}" in told[0], told[0]
    assert told[-1] == "Nothing was written."


def test_packages_cannot_have_converted_units_beside_them() -> None:
    card = "unit_config: {operation: divide, conversion_factor: 3}"
    told = refusal(priced("type: package", "amount: 1", "quantity_per_package: 5", card=card))
    assert (
        f"{CARD}: unit_config converts the units of a unit or tiered price; the price is package" in told[0]
    )


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("currency: EUR", "currency: EUX"), "defaults.currency: found 'EUX'"),
        (("  - key: pro\n", "  - key: pro\n    currency: XYZ\n"), "plans[pro].currency: found 'XYZ'"),
    ],
)
def test_a_currency_that_nobody_has_is_refused(change: tuple[str, str], place: str) -> None:
    assert f"{place}: is no ISO 4217 code of a currency in use; write one such as USD" in refusal(change)[0]


@pytest.mark.parametrize(
    "price",
    [
        priced("type: package", "amount: 2", "quantity_per_package: 1000", "maximum_amount: 0"),
        priced("type: tiered", "mode: volume", "tiers: [{up_to_amount: 9, unit_price: 1}, {flat_price: 3}]"),
        priced(
            "type: unit",
            "amount: 2.5",
            card="unit_config: {operation: divide, conversion_factor: 1000000, display_unit: M}",
        ),
    ],
)
def test_packages_volume_tiers_and_converted_units_are_read(price: tuple[str, str]) -> None:
    [card] = loaded(price).catalog.plans[0].rate_cards
    assert card.price.type in ("package", "tiered", "unit")
