"""First step: metered units become billed ones.

What lies before the line and what is in it are converted and rounded apart, never their sum. Source: OpenMeter
``billing/rating/service/mutator/unitconfig.go``, ``productcatalog/unitconfig.go``.
"""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from focus_assets.catalog.rate_card_terms import UnitConfig
from focus_assets.decimals import (
    COST,
    PRICING_QUANTITY,
    UNIT_PRICE,
    ceil_to,
    divide,
    floor_to,
    multiply_to,
    round_to,
)
from focus_assets.rating.detailed_lines.tables import refuse

_LAST_PLACE = Decimal("1e-16")
_WITH_UNITS = ("unit", "graduated", "volume")


def rounding_unit(config: UnitConfig) -> Decimal | None:
    """What billed quantities are multiples of; None where they are not rounded."""
    return None if config.rounding == "none" else Decimal(1).scaleb(-min(config.precision, 16))


def converted(quantity: pl.Expr) -> pl.Expr:
    """``quantity`` in billed units, not rounded but to the 16 places of PRICING_QUANTITY.

    Needs ``operation`` (null: no conversion) and ``conversion_factor``.
    """
    operation, factor = pl.col("operation"), pl.col("conversion_factor")
    one = pl.lit(1, UNIT_PRICE)
    product = multiply_to(quantity, factor.fill_null(one), pl.lit(_LAST_PLACE, COST)).cast(PRICING_QUANTITY)
    return (
        pl.when(operation == "multiply")
        .then(product)
        .when(operation == "divide")
        .then(divide(quantity, factor.fill_null(one)))
        .otherwise(quantity)
    )


def rounded(quantity: pl.Expr) -> pl.Expr:
    """A billed quantity as its rule rounds it; needs ``rounding`` and ``rounding_unit`` (both nullable)."""
    rounding = pl.col("rounding")
    unit = pl.col("rounding_unit").fill_null(pl.lit(_LAST_PLACE, PRICING_QUANTITY))
    return (
        pl.when(rounding == "ceiling")
        .then(ceil_to(quantity, unit))
        .when(rounding == "floor")
        .then(floor_to(quantity, unit))
        .when(rounding == "half_up")
        .then(round_to(quantity, unit))
        .otherwise(quantity)
    )


def with_billed_units(lines: pl.LazyFrame, *, enabled: bool) -> pl.LazyFrame:
    """``before`` and ``quantity`` in billed units; ``enabled``: whether the deployment knows conversion at all.

    Flat and free prices use no quantity and pass. A conversion beside a price other than unit or tiered is
    refused, and every conversion where it is not enabled.
    """
    uses = pl.col("operation").is_not_null() & ~pl.col("price").is_in(["flat", "free"])
    if enabled:
        wrong = uses & ~pl.col("price").is_in(_WITH_UNITS)
        lines = refuse(lines, wrong, "has a unit_config, which only unit and tiered prices can have")
    else:
        wrong = uses
        lines = refuse(lines, wrong, "has a unit_config, but unit_config is not enabled")
    # One step after the other: an expression within an expression is written out at each of its uses.
    for step in (converted, rounded):
        lines = lines.with_columns(step(pl.col(name)).alias(name) for name in ("before", "quantity"))
    return lines
