"""Priced units: how the metered quantity to date becomes the one that prices are for.

What belongs here: ``unit_config`` and packages, as a table and as a step over frames. What does not: prices.
Quantities to date are converted, never a day's own, so that days add up: the conversion of a sum is not the sum of
conversions once they are rounded. Source: OpenMeter ``billing/rating/service/mutator/unitconfig.go``,
``billing/rating/service/rate/package.go``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from functools import partial
from typing import Final

import polars as pl

from focus_assets.catalog.charges import Charge, ChargeSlice
from focus_assets.catalog.prices import PackagePrice
from focus_assets.decimals import COST, PRICING_QUANTITY, QUANTITY_LIMIT, divide, multiply_to
from focus_assets.rating.detailed_lines.prices.package import packages
from focus_assets.rating.detailed_lines.unit_config import rounded, rounding_unit
from focus_assets.rating.lines import CONVERSIONS

PACKAGE: Final = "package"

_EXACT: Final = Context(prec=90, rounding=ROUND_HALF_UP)
_LAST_METERED_PLACE: Final = Decimal("1e-9")
_LAST_PLACE: Final = pl.lit(Decimal("1e-16"), COST)
_ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Conversion:
    """A row of :data:`~focus_assets.rating.lines.CONVERSIONS` of some charge."""

    operation: str
    factor: Decimal
    rounding: str = "none"
    rounding_unit: Decimal | None = None
    free_units: Decimal = _ZERO

    def metered(self, priced: Decimal) -> Decimal:
        """The metered quantity above which the priced one is above ``priced``; to nine places."""
        unit, first = self.rounding_unit, _ZERO
        if self.operation == PACKAGE:
            free = self.priced(self.free_units)
            if priced <= free:
                return min(_EXACT.multiply(priced, self.factor), self.free_units)
            priced, first = priced - free, self.free_units
        elif unit is not None:
            steps = (priced / unit).to_integral_value(ROUND_FLOOR, context=_EXACT)
            beyond = {"ceiling": _ZERO, "half_up": Decimal("0.5"), "floor": Decimal(1)}[self.rounding]
            priced = _EXACT.multiply(steps + beyond, unit)
        exact = (_EXACT.divide if self.operation == "multiply" else _EXACT.multiply)(priced, self.factor)
        return min(exact + first, QUANTITY_LIMIT).quantize(_LAST_METERED_PLACE, context=_EXACT)

    def priced(self, packed: Decimal) -> Decimal:
        """How many packages hold ``packed`` units."""
        full, rest = _EXACT.divmod(packed, self.factor)
        return full + (1 if rest else 0)

    @property
    def quantity_limit(self) -> Decimal:
        """Metered quantities below it are below 10^16 priced units."""
        if self.operation == PACKAGE:
            return min(QUANTITY_LIMIT, _EXACT.multiply(QUANTITY_LIMIT, min(self.factor, Decimal(1))))
        share = self.factor if self.operation == "divide" else _EXACT.divide(Decimal(1), self.factor)
        limit = _EXACT.multiply(QUANTITY_LIMIT, min(share, Decimal(1)))
        return limit.quantize(_LAST_METERED_PLACE, ROUND_FLOOR, context=_EXACT)


def conversion_of(charge: Charge) -> Conversion | None:
    """How a charge's metered units become priced ones; None where they are the same."""
    price, config = charge.rate_card.price, charge.rate_card.unit_config
    if isinstance(price, PackagePrice):
        free = charge.rate_card.discounts.usage or _ZERO
        return Conversion(PACKAGE, price.quantity_per_package, free_units=free)
    if config is None or price.type == "free":
        return None
    return Conversion(config.operation, config.conversion_factor, config.rounding, rounding_unit(config))


def conversion_table(slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """:data:`~focus_assets.rating.lines.CONVERSIONS` of the charges in ``slices`` that have one, sorted."""
    charges = {s.charge.charge_id: s.charge for s in slices}
    found = ((charge_id, conversion_of(charge)) for charge_id, charge in sorted(charges.items()))
    rows = [
        (charge_id, c.operation, c.factor, c.rounding, c.rounding_unit, c.free_units, c.quantity_limit)
        for charge_id, c in found
        if c is not None
    ]
    return pl.LazyFrame(rows, schema=CONVERSIONS, orient="row")


def with_priced(
    frame: pl.LazyFrame, conversions: pl.LazyFrame | None, names: Mapping[str, str]
) -> pl.LazyFrame:
    """``frame`` with each metered quantity to date of ``names`` also in priced units, under the name given there.

    ``frame`` needs ``charge_id``; its order is lost. Where it has ``split_start``, converted units are rounded from
    there on: what came before a part of a split period and what lies within it, each by itself.
    """
    plain = [pl.col(name).cast(PRICING_QUANTITY).alias(priced) for name, priced in names.items()]
    given = frame.with_columns(plain)
    if conversions is None:
        return given
    terms = conversions.drop("quantity_limit")
    # Written into the plan, a division repeats its operands so often that planning outlasts computing.
    return (
        given.join(terms, on="charge_id", how="left")
        .map_batches(
            partial(_converted, names=tuple(names.values())),
            predicate_pushdown=False,
            projection_pushdown=False,
            streamable=True,
        )
        .drop(name for name in terms.collect_schema().names() if name != "charge_id")
    )


def _converted(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Each operation by itself, so that rows pay for none but their own; ``names`` hold metered quantities."""
    parts = []
    for operation in frame["operation"].unique():
        part = frame.filter(pl.col("operation").eq_missing(operation))
        if operation == PACKAGE:
            part = part.with_columns(_packages(pl.col(name)).alias(name) for name in names)
        elif operation is not None:
            part = _in_converted_units(part, operation, names)
        parts.append(part)
    return pl.concat(parts) if parts else frame


def _in_converted_units(frame: pl.DataFrame, operation: str, names: Sequence[str]) -> pl.DataFrame:
    convert = _multiplied if operation == "multiply" else _divided
    if "split_start" in frame.columns and frame["split_start"].is_not_null().any():
        start = pl.col("split_start").fill_null(0).cast(PRICING_QUANTITY)
        frame = frame.with_columns(
            start.alias("_before_split"), *((pl.col(name) - start).alias(name) for name in names)
        )
        names = ("_before_split", *names)
    frame = frame.with_columns(convert(pl.col(name)).alias(name) for name in names)
    if frame["rounding_unit"].is_not_null().any():
        frame = frame.with_columns(rounded(pl.col(name)).alias(name) for name in names)
    if "_before_split" in frame.columns:
        before, *others = names
        frame = frame.with_columns(pl.col(name) + pl.col(before) for name in others).drop(before)
    return frame


def _packages(quantity: pl.Expr) -> pl.Expr:
    """Free units fill packages of their own, at no charge, before the first that is paid for."""
    size, free = (
        pl.col("conversion_factor").cast(PRICING_QUANTITY),
        pl.col("free_units").cast(PRICING_QUANTITY),
    )
    return packages(pl.min_horizontal(quantity, free), size) + packages(
        pl.max_horizontal(quantity - free, pl.lit(0, PRICING_QUANTITY)), size
    )


def _multiplied(quantity: pl.Expr) -> pl.Expr:
    return multiply_to(quantity, pl.col("conversion_factor"), _LAST_PLACE).cast(PRICING_QUANTITY)


def _divided(quantity: pl.Expr) -> pl.Expr:
    return divide(quantity, pl.col("conversion_factor"))
