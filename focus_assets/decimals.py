"""Decimal types of quantities and money, and the only functions that multiply, divide or round them.

What belongs here: arithmetic whose result ends up in a file. What does not: prices, tiers, invoices.

Polars multiplies half-even at the larger scale of its operands and casts half-even, so a product of a
quantity and a price is never written with ``*`` outside this module. Every function here is exact and rounds
at most once, half away from zero, as OpenMeter does.

Supported range, beyond which a value is refused, never wrapped and never rounded twice:

======================  ===========================================================
quantity                below 10^16 units, to nine places (16 after conversion)
unit price              below 10^14, to twelve places
cost                    below 10^19, to eighteen places
divisor                 below 10^13, to sixteen places
======================  ===========================================================

Polars itself raises ``ComputeError`` where a result passes 38 digits; rating asks :func:`may_exceed_cost`
first, so that its error can name the charge.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

import polars as pl

from focus_assets.errors import FocusAssetsError

METERED_QUANTITY: Final = pl.Decimal(38, 9)
"""A quantity as metered; exact to nine decimal places."""

PRICING_QUANTITY: Final = pl.Decimal(38, 16)
"""A quantity after unit conversion or proration."""

UNIT_PRICE: Final = pl.Decimal(38, 12)
"""A price of one pricing unit, in the pricing currency."""

COST: Final = pl.Decimal(38, 18)
"""An exact, unrounded cost."""

SOURCE_VALUE: Final = pl.Decimal(38, 19)
"""A value as a source returned it, before it is rounded to :data:`METERED_QUANTITY`."""

UTC_INSTANT: Final = pl.Datetime("us", "UTC")

EXACT: Final = Context(prec=76)
"""Products of any two of these decimals lose no digit in it."""

QUANTITY_LIMIT: Final = Decimal(10) ** 16
"""Quantities are smaller than this, in either direction."""

_COST_LIMIT: Final = Decimal(10) ** 20
_WHOLE: Final = pl.Decimal(38, 0)
_FINE: Final = pl.Decimal(38, 28)
_FINEST: Final = pl.Decimal(38, 30)
_EXACT_PLACES: Final = 6  # and the twelve of a unit price make the eighteen of a cost

_CURRENCIES_BY_DIGITS: Final = {
    0: "BIF CLP DJF GNF HUF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF",
    5: "MGA MRU",
}
_MINOR_UNIT_DIGITS: Final = {
    code: digits for digits, codes in _CURRENCIES_BY_DIGITS.items() for code in codes.split()
}


class UnknownCurrency(FocusAssetsError):
    """A currency that has no smallest unit to round to."""


def currency_digits(code: str) -> int:
    """Digits after the point of a currency's smallest unit, as OpenMeter rounds invoices: 2 unless listed.

    The table is GOBL's, which OpenMeter uses; HUF, MGA and MRU differ from ISO 4217 there.
    """
    return _MINOR_UNIT_DIGITS.get(code, 2)


def round_half_away(value: pl.Expr, digits: int) -> pl.Expr:
    """``value`` rounded to ``digits`` places, ties away from zero; the type stays."""
    return value.round(digits, mode="half_away_from_zero")


def minor_unit(code: str | None, custom_digits: int | None = None) -> Decimal:
    """The smallest amount of a currency: 0.01 of USD; of a custom currency what its own digits (0 to 12) say.

    Raises:
        UnknownCurrency: ``code`` is no three-letter code and no digits of its own are given.
    """
    if custom_digits is not None:
        if not 0 <= custom_digits <= 12:
            raise UnknownCurrency(
                f"currency {code!r} has {custom_digits} digits after the point; 0 to 12 are allowed"
            )
        return Decimal(1).scaleb(-custom_digits)
    if code is None or len(code) != 3 or not (code.isascii() and code.isalpha() and code.isupper()):
        raise UnknownCurrency(f"{code!r} is no currency; write an ISO 4217 code such as USD")
    return Decimal(1).scaleb(-currency_digits(code))


def round_to(value: pl.Expr, unit: pl.Expr) -> pl.Expr:
    """``value`` as the nearest multiple of ``unit``, ties away from zero.

    Both have the same decimal type; ``unit`` is positive and may differ from row to row.
    """
    size = value.abs()
    rest = size % unit
    rounded = size - rest + pl.when(rest + rest >= unit).then(unit).otherwise(unit - unit)
    return pl.when(value < 0).then(-rounded).otherwise(rounded)


def round_amount(amount: Decimal, unit: Decimal) -> Decimal:
    """As :func:`round_to`, of one amount."""
    whole = EXACT.divide(amount, unit).quantize(Decimal(1), ROUND_HALF_UP, EXACT)
    return EXACT.multiply(whole, unit)


def floor_to(value: pl.Expr, unit: pl.Expr) -> pl.Expr:
    """``value`` as the next multiple of ``unit`` towards minus infinity; types as :func:`round_to`."""
    rest = value.abs() % unit
    down = value - pl.when(value < 0).then(unit - rest).otherwise(rest)
    return pl.when(rest == 0).then(value).otherwise(down)


def ceil_to(value: pl.Expr, unit: pl.Expr) -> pl.Expr:
    """``value`` as the next multiple of ``unit`` towards plus infinity; types as :func:`round_to`."""
    return -floor_to(-value, unit)


def multiply_to(quantity: pl.Expr, factor: pl.Expr, unit: pl.Expr) -> pl.Expr:
    """``quantity × factor`` as :data:`COST`, the nearest multiple of ``unit`` (COST, 10^-17 or more).

    Rounded once: what is cut off below 18 places decides no tie. Operands as :func:`multiply`.
    """
    coarse, rest = _product_parts(quantity, factor)
    return round_to(coarse + rest.truncate(18).cast(COST), unit)


def multiply(quantity: pl.Expr, unit_price: pl.Expr) -> pl.Expr:
    """``quantity × unit_price`` as :data:`COST`: exact, rounded once to 18 places, half away from zero.

    Takes :data:`PRICING_QUANTITY` (or :data:`METERED_QUANTITY`) and :data:`UNIT_PRICE`, either of which may
    be negative or null. The exact product has 28 places, too many for one Decimal(38): what the quantity has
    up to its sixth place is exact at 18 places; the rest, below 10^-6, leaves room for all 28, and since both
    parts have one sign, rounding the second rounds the sum.
    """
    coarse, rest = _product_parts(quantity, unit_price)
    return coarse + round_half_away(rest, 18).cast(COST)


def share_of(cost: pl.Expr, share: pl.Expr) -> pl.Expr:
    """``share`` (UNIT_PRICE, 0 to 1) of ``cost``, as :data:`COST`: rounded once to 18 places, half away from zero."""
    coarse = cost.truncate(_EXACT_PLACES)
    rest = (cost - coarse).cast(_FINEST) * share
    return coarse * share + round_half_away(rest, 18).cast(COST)


def convert(cost: pl.Expr, rate: pl.Expr) -> pl.Expr:
    """``cost`` (COST) in another currency at ``rate`` (UNIT_PRICE, money for one): once rounded, to 18 places."""
    return share_of(cost, rate)


def _product_parts(quantity: pl.Expr, unit_price: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    quantity, unit_price = quantity.cast(PRICING_QUANTITY), unit_price.cast(UNIT_PRICE)
    coarse = quantity.truncate(_EXACT_PLACES)
    return coarse.cast(COST) * unit_price, (quantity - coarse).cast(_FINE) * unit_price


def may_exceed_cost(quantity: pl.Expr, unit_price: pl.Expr) -> pl.Expr:
    """Whether the product might not fit :data:`COST`: never below 10^19, always from 10^20 on.

    Takes operands within their own ranges; raises nothing within them.
    """
    return _rounded_up(quantity) * _rounded_up(unit_price) >= pl.lit(_COST_LIMIT, _WHOLE)


def _rounded_up(value: pl.Expr) -> pl.Expr:
    whole = value.abs().truncate(0)
    return whole.cast(_WHOLE) + (value.abs() > whole).cast(pl.Int8).cast(_WHOLE)


def divide(dividend: pl.Expr, divisor: pl.Expr) -> pl.Expr:
    """``dividend ÷ divisor`` as :data:`PRICING_QUANTITY`, rounded once to 16 places, half away from zero.

    Takes decimals of up to 16 places; a divisor of zero raises ``ComputeError``. Long division in two steps
    of eight digits, because a remainder with 16 more digits would not fit (OpenMeter: alpacadecimal ``Div``).
    """
    dividend, divisor = dividend.cast(PRICING_QUANTITY), divisor.cast(PRICING_QUANTITY)
    size, by = dividend.abs(), divisor.abs()
    eight_digits = pl.lit(Decimal(10) ** 8, _WHOLE)
    rest = (size % by) * eight_digits
    last = (rest % by) * eight_digits
    remainder = last % by
    quotient = (
        size // by
        + (rest // by) * pl.lit(Decimal("1e-8"), PRICING_QUANTITY)
        + (last // by) * pl.lit(Decimal("1e-16"), PRICING_QUANTITY)
        + pl.when(remainder + remainder >= by)
        .then(pl.lit(Decimal("1e-16"), PRICING_QUANTITY))
        .otherwise(pl.lit(Decimal(0), PRICING_QUANTITY))
    )
    return quotient * dividend.sign().cast(_WHOLE) * divisor.sign().cast(_WHOLE)
