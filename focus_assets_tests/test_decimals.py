"""Products, quotients and rounding against Python's decimal with far more digits than needed."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from focus_assets.decimals import (
    COST,
    METERED_QUANTITY,
    PRICING_QUANTITY,
    QUANTITY_LIMIT,
    UNIT_PRICE,
    currency_digits,
    divide,
    may_exceed_cost,
    multiply,
    round_amount,
    round_half_away,
)

EXACT = Context(prec=120, rounding=ROUND_HALF_UP)  # Python's HALF_UP is half away from zero
PRICE_LIMIT = Decimal(10) ** 14
COST_LIMIT = Decimal(10) ** 19


def decimals(limit: Decimal, places: int) -> st.SearchStrategy[Decimal]:
    """Any value below ``limit`` in either direction, small ones and round ones as likely as long ones."""
    largest = int(limit.scaleb(places)) - 1
    digits = st.integers(0, len(str(largest)) - 1).flatmap(
        lambda n: st.integers(-min(10 ** (n + 1), largest), min(10 ** (n + 1), largest))
    )
    return digits.map(lambda n: Decimal(n).scaleb(-places, EXACT))


def rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), context=EXACT)


def product(quantity: Decimal, price: Decimal, quantity_type: pl.Decimal = PRICING_QUANTITY) -> Decimal:
    frame = pl.DataFrame({"q": [quantity], "p": [price]}, schema={"q": quantity_type, "p": UNIT_PRICE})
    out = frame.select(multiply(pl.col("q"), pl.col("p")))
    assert out.schema["q"] == COST
    value: Decimal = out.item()
    return value


quantities = decimals(QUANTITY_LIMIT, 16)
prices = decimals(PRICE_LIMIT, 12)


@given(quantities, prices)
@example(Decimal(10) ** 15, Decimal("0.000000000001"))
@example(Decimal("999999999999999.9999999999999999"), Decimal("9999.999999999999"))
@example(Decimal("-1e-16"), Decimal("99999999999999.999999999999"))
@example(Decimal("0.0000000000000005"), Decimal("0.001"))
@example(Decimal("-0.0000000000000005"), Decimal("0.001"))
@example(Decimal("2.0000000000000015"), Decimal("0.001"))
@settings(max_examples=400, deadline=None)
def test_a_product_is_rounded_once_to_eighteen_places_half_away_from_zero(
    quantity: Decimal, price: Decimal
) -> None:
    exact = EXACT.multiply(quantity, price)
    if abs(exact) < COST_LIMIT:
        assert product(quantity, price) == rounded(exact, 18)


@given(decimals(QUANTITY_LIMIT, 9), prices)
@settings(max_examples=200, deadline=None)
def test_a_metered_quantity_may_be_multiplied_as_it_is(quantity: Decimal, price: Decimal) -> None:
    exact = EXACT.multiply(quantity, price)
    if abs(exact) < COST_LIMIT:
        assert product(quantity, price, METERED_QUANTITY) == rounded(exact, 18)


@given(st.integers(-(10**9), 10**9), st.sampled_from([1, -1]), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_a_product_that_ends_in_exactly_half_moves_away_from_zero(number: int, sign: int, shift: int) -> None:
    quantity = Decimal(sign * (2 * abs(number) + 1) * 5).scaleb(-16)
    price = Decimal(1).scaleb(-3 - shift) * 10**shift
    exact = EXACT.multiply(quantity, price)
    away = rounded(exact, 18)
    assert abs(away) - abs(exact) in (0, Decimal("5e-19"))
    assert product(quantity, price) == away


def test_polars_alone_would_round_to_even_which_is_why_nobody_multiplies_by_hand() -> None:
    frame = pl.DataFrame(
        {"q": [Decimal("0.0000000000000005")], "p": [Decimal("0.001")]},
        schema={"q": pl.Decimal(38, 18), "p": UNIT_PRICE},
    )
    assert frame.select(pl.col("q") * pl.col("p")).item() == 0
    assert product(Decimal("0.0000000000000005"), Decimal("0.001")) == Decimal("1e-18")


def test_nothing_times_a_price_is_nothing() -> None:
    frame = pl.DataFrame({"q": [None], "p": [Decimal(1)]}, schema={"q": PRICING_QUANTITY, "p": UNIT_PRICE})
    assert frame.select(multiply(pl.col("q"), pl.col("p"))).item() is None


def test_a_cost_beyond_the_range_is_an_error_and_never_wraps() -> None:
    with pytest.raises(pl.exceptions.ComputeError, match="overflow"):
        product(Decimal(10) ** 15, Decimal(10) ** 6)


@given(quantities, prices)
@example(Decimal(10) ** 15, Decimal("9999.999999999999"))
@example(Decimal(10) ** 15, Decimal(10) ** 5)
@example(Decimal("0.0000000000000001"), Decimal("99999999999999.999999999999"))
@settings(max_examples=400, deadline=None)
def test_costs_below_ten_to_the_nineteenth_are_allowed_and_those_that_do_not_fit_are_not(
    quantity: Decimal, price: Decimal
) -> None:
    frame = pl.DataFrame({"q": [quantity], "p": [price]}, schema={"q": PRICING_QUANTITY, "p": UNIT_PRICE})
    refused = frame.select(may_exceed_cost(pl.col("q"), pl.col("p"))).item()
    exact = abs(EXACT.multiply(quantity, price))
    assert not refused or exact >= COST_LIMIT
    assert refused or exact < 10 * COST_LIMIT


divisors = decimals(Decimal(10) ** 13, 12).filter(lambda value: value != 0)


@given(quantities, divisors)
@example(Decimal(29 * 11), Decimal(31))
@example(Decimal("-0.0000000000000001"), Decimal(2))
@example(Decimal("0.0000000000000003"), Decimal(-2))
@example(Decimal("0.0000000000000001"), Decimal("2.000000000001"))
@example(Decimal("9999999999999999.9999999999999999"), Decimal("9999999999999.999999999999"))
@settings(max_examples=400, deadline=None)
def test_a_quotient_is_rounded_once_to_sixteen_places_half_away_from_zero(
    dividend: Decimal, divisor: Decimal
) -> None:
    exact = EXACT.divide(dividend, divisor)
    if abs(exact) >= QUANTITY_LIMIT:
        return
    frame = pl.DataFrame(
        {"a": [dividend], "b": [divisor]}, schema={"a": PRICING_QUANTITY, "b": pl.Decimal(38, 12)}
    )
    out = frame.select(divide(pl.col("a"), pl.col("b")))
    assert out.schema["a"] == PRICING_QUANTITY
    assert out.item() == rounded(exact, 16)


def test_dividing_by_zero_is_an_error() -> None:
    frame = pl.DataFrame(
        {"a": [Decimal(1)], "b": [Decimal(0)]}, schema={"a": PRICING_QUANTITY, "b": UNIT_PRICE}
    )
    with pytest.raises(pl.exceptions.ComputeError, match="zero"):
        frame.select(divide(pl.col("a"), pl.col("b")))


@given(decimals(Decimal(10) ** 10, 18), st.integers(0, 5))
@example(Decimal("0.005"), 2)
@example(Decimal("-0.005"), 2)
@example(Decimal("2.5"), 0)
@settings(max_examples=200, deadline=None)
def test_money_is_rounded_half_away_from_zero_at_the_digits_of_its_currency(
    value: Decimal, digits: int
) -> None:
    frame = pl.DataFrame({"v": [value]}, schema={"v": COST})
    assert frame.select(round_half_away(pl.col("v"), digits)).item() == rounded(value, digits)


@given(decimals(COST_LIMIT, 18), st.integers(0, 5))
@example(Decimal("0.005"), 2)
@example(Decimal("-0.005"), 2)
@example(Decimal("-9999999999999999999.999999999999999999"), 5)
@settings(max_examples=200, deadline=None)
def test_one_amount_is_rounded_as_a_column_of_them_is(value: Decimal, digits: int) -> None:
    assert round_amount(value, Decimal(1).scaleb(-digits)) == rounded(value, digits)


@pytest.mark.parametrize(
    ("code", "digits"), [("USD", 2), ("JPY", 0), ("HUF", 0), ("KWD", 3), ("CLF", 4), ("MGA", 5)]
)
def test_currencies_have_the_minor_units_that_openmeter_rounds_to(code: str, digits: int) -> None:
    assert currency_digits(code) == digits
