"""A cost is a unit price times a quantity: exactly where it is stored exactly, and quickly.

What belongs here: comparing a product with a cost, for every way in which numbers are stored. What does not:
computing costs (``decimals``).

Multiplying decimals costs more than all other rules together, so two cheap comparisons come first: the product
modulo 2^64, which is exact but for multiples of 2^64, and the product as a float, which excludes those. Only what
does not pass both is multiplied.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.decimals import COST, PRICING_QUANTITY, UNIT_PRICE, multiply
from focus_assets.focus.rules.model import Reads, RowRule, correction

RELATIVE_TOLERANCE: Final = 1e-9
"""By how much a cost kept as a float, or as text, may differ from its product; the official validator's too."""

ABSOLUTE_TOLERANCE: Final = 1e-12
"""What is let pass beside that, for costs near zero."""

QUANTITY: Final = "PricingQuantity"

_QUANTITY_LIMIT: Final = 1e16
_PRICE_LIMIT: Final = 1e14
_COST_LIMIT: Final = 1e19

# The exact product has 28 places, a cost 18. Costs below 500,000 have products of which floats are wrong by less
# than 3e18 of their last places, and two products that are equal modulo 2^64 differ by 1.8e19 at least.
_TEN_PLACES: Final = 10**10
_FLOATS_TELL: Final = 500_000 * 10**18
_FLOATS_DIFFER: Final = 10**19
_FLOAT_ERROR: Final = 1e-14


def product_rule(cost: str, unit_price: str) -> RowRule:
    """The rule that a cost is its unit price times PricingQuantity, to the places it is stored with."""
    quantity, price, stated = pl.col(QUANTITY), pl.col(unit_price), pl.col(cost)
    rule = RowRule(
        id=f"costs.{cost}_product",
        sentence=(
            f"{cost} must be {unit_price} times {QUANTITY}, to 18 places or those it is stored with, "
            "unless it is a correction."
        ),
        section=f"Columns: {cost}",
        reads={
            "ChargeClass": Reads.TEXT,
            QUANTITY: Reads.NUMBER,
            unit_price: Reads.NUMBER,
            cost: Reads.NUMBER,
        },
        violation=_given(quantity, price, stated) & _exact(quantity, price, stated, 18),
        screen=_given(quantity, price, stated) & ~_same_modulo(quantity, price, stated),
    )
    return replace(rule, for_types=lambda schema: _for_types(rule, schema, unit_price, cost))


def _for_types(rule: RowRule, schema: pl.Schema, unit_price: str, cost: str) -> RowRule:
    quantity, price, stated = pl.col(QUANTITY), pl.col(unit_price), pl.col(cost)
    stored = (schema[QUANTITY], schema[unit_price], schema[cost])
    if stored == (PRICING_QUANTITY, UNIT_PRICE, COST):
        return rule
    given = _given(quantity, price, stated)
    if _fit(*stored):
        # Decimals of fewer places, or whole numbers, are what they say: no tolerance but their last place.
        places = stored[2].scale if isinstance(stored[2], pl.Decimal) else 0
        return replace(
            rule,
            violation=given & _exact(quantity, price, stated, places),
            screen=given & ~_near(quantity, price, stated, places),
        )
    return replace(rule, violation=given & _far(quantity, price, stated), screen=None)


def _fit(quantity: pl.DataType, price: pl.DataType, cost: pl.DataType) -> bool:
    return all(
        isinstance(stored, pl.Decimal) and stored.scale <= wanted.scale
        for stored, wanted in ((quantity, PRICING_QUANTITY), (price, UNIT_PRICE), (cost, COST))
    )


def _given(quantity: pl.Expr, price: pl.Expr, cost: pl.Expr) -> pl.Expr:
    return ~correction() & quantity.is_not_null() & price.is_not_null() & cost.is_not_null()


def _exact(quantity: pl.Expr, price: pl.Expr, cost: pl.Expr, places: int) -> pl.Expr:
    # Polars computes both branches of a choice and raises where a product passes 38 digits, so operands that
    # cannot be multiplied are taken out beforehand; their cost cannot be right. Floats decide the range only.
    size, rate = _float(quantity).abs(), _float(price).abs()
    fits = (
        (size < _QUANTITY_LIMIT)
        & (rate < _PRICE_LIMIT)
        & (size * rate < _COST_LIMIT)
        & (_float(cost).abs() < _COST_LIMIT)
    )
    product = multiply(
        pl.when(fits).then(quantity).cast(PRICING_QUANTITY), pl.when(fits).then(price).cast(UNIT_PRICE)
    )
    stated = pl.when(fits).then(cost).cast(COST)
    if places >= 18:
        return product.ne_missing(stated) | ~fits
    half = pl.lit(Decimal(5).scaleb(-places - 1), COST)
    return ((product - stated).abs() > half).fill_null(True)


def _same_modulo(quantity: pl.Expr, price: pl.Expr, cost: pl.Expr) -> pl.Expr:
    rest = _low(quantity) * _low(price) - _low(cost) * _TEN_PLACES
    # A rest of exactly one half is left to the exact comparison, which knows the direction.
    rounded = (rest > -_TEN_PLACES // 2) & (rest < _TEN_PLACES // 2)
    # Digits without their point: converting a decimal with its point takes ten times as long.
    stated = _digits(cost)
    near = (_digits(quantity) * _digits(price) - stated * _TEN_PLACES).abs() < _FLOATS_DIFFER
    return (rounded & near & (stated.abs() < _FLOATS_TELL)).fill_null(False)


def _near(quantity: pl.Expr, price: pl.Expr, cost: pl.Expr, places: int) -> pl.Expr:
    stated = _float(cost)
    away = (_float(quantity) * _float(price) - stated).abs()
    return (away <= 0.499 * 10.0**-places - _FLOAT_ERROR * stated.abs()).fill_null(False)


def _far(quantity: pl.Expr, price: pl.Expr, cost: pl.Expr) -> pl.Expr:
    product, stated = _float(quantity) * _float(price), _float(cost)
    allowed = RELATIVE_TOLERANCE * pl.max_horizontal(product.abs(), stated.abs()) + ABSOLUTE_TOLERANCE
    return ~((product - stated).abs() <= allowed).fill_null(False)


def _float(number: pl.Expr) -> pl.Expr:
    return number.cast(pl.Float64)


def _digits(number: pl.Expr) -> pl.Expr:
    return number.to_physical().cast(pl.Float64)


def _low(number: pl.Expr) -> pl.Expr:
    """The low 64 bits of a decimal's digits."""
    return number.to_physical().cast(pl.Int64, wrap_numerical=True)
