"""From what a catalog says about a line to the tables that rating takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

import polars as pl

from focus_assets.catalog.periods import Period
from focus_assets.catalog.prices import (
    AnyPrice,
    DynamicPrice,
    FlatPrice,
    PackagePrice,
    TieredPrice,
    UnitPrice,
)
from focus_assets.catalog.rate_card_terms import Discounts, UnitConfig
from focus_assets.rating.detailed_lines.tables import CREDITS, LINES, TIERS
from focus_assets.rating.detailed_lines.unit_config import rounding_unit

_ZERO: Final = Decimal(0)
_NO_DISCOUNTS: Final = Discounts()


@dataclass(frozen=True)
class Line:
    """A line to rate: ``period`` of ``full_period``, its price and terms, and its usage in metered units.

    ``before`` and ``quantity``: metered in the full period before the line, and within it. ``previously_billed``:
    gross amounts of the full period's earlier lines. ``minor_unit``: see :func:`focus_assets.decimals.minor_unit`.
    """

    line_id: str
    price: AnyPrice
    minor_unit: Decimal
    period: Period
    full_period: Period
    quantity: Decimal
    before: Decimal = _ZERO
    previously_billed: Decimal = _ZERO
    discounts: Discounts = _NO_DISCOUNTS
    unit_config: UnitConfig | None = None
    credits: tuple[Decimal, ...] = ()
    ignores_minimum: bool = False
    ignores_credits: bool = False

    @classmethod
    def to_date(
        cls,
        line_id: str,
        price: AnyPrice,
        minor_unit: Decimal,
        *,
        run: Period,
        charge: Period,
        quantity: Decimal,
        discounts: Discounts = _NO_DISCOUNTS,
        unit_config: UnitConfig | None = None,
    ) -> Self:
        """A run of a charge that books differences: one whole line of the quantity since the charge began.

        Credits are paid out elsewhere, and a minimum is only known to be missed when the charge has ended.
        """
        whole = Period(charge.start, run.end)
        return cls(
            line_id=line_id,
            price=price,
            minor_unit=minor_unit,
            period=whole,
            full_period=whole,
            quantity=quantity,
            discounts=discounts,
            unit_config=unit_config,
            ignores_minimum=run.end < charge.end,
            ignores_credits=True,
        )


@dataclass(frozen=True)
class LineTables:
    """LINES, TIERS and CREDITS of some lines."""

    lines: pl.LazyFrame
    tiers: pl.LazyFrame
    credits: pl.LazyFrame


def line_tables(lines: Sequence[Line]) -> LineTables:
    """The tables of ``lines``, whose ids are unique."""
    return LineTables(
        lines=pl.LazyFrame([_row(line) for line in lines], schema=LINES),
        tiers=pl.LazyFrame([row for line in lines for row in _tiers(line)], schema=TIERS, orient="row"),
        credits=pl.LazyFrame(
            [(line.line_id, index, amount) for line in lines for index, amount in enumerate(line.credits)],
            schema=CREDITS,
            orient="row",
        ),
    )


def _row(line: Line) -> dict[str, Any]:
    price, discounts, config = line.price, line.discounts, line.unit_config
    found: dict[str, Any] = dict.fromkeys(LINES.names())
    found |= {
        "line_id": line.line_id,
        "price": price.mode if isinstance(price, TieredPrice) else price.type,
        "minor_unit": line.minor_unit,
        "period_from": line.period.start,
        "period_to": line.period.end,
        "full_period_from": line.full_period.start,
        "full_period_to": line.full_period.end,
        "before": line.before,
        "quantity": line.quantity,
        "previously_billed": line.previously_billed,
        "ignores_minimum": line.ignores_minimum,
        "ignores_credits": line.ignores_credits,
        "free_units": discounts.usage,
        "free_units_id": discounts.usage_correlation_id,
        "percentage_id": discounts.percentage_correlation_id,
    }
    if discounts.percentage is not None:
        found["percentage"] = discounts.percentage / 100
    if config is not None:
        found |= {
            "operation": config.operation,
            "conversion_factor": config.conversion_factor,
            "rounding": config.rounding,
            "rounding_unit": rounding_unit(config),
        }
    match price:
        case FlatPrice():
            found |= {"payment_term": price.payment_term, "amount": price.amount}
        case UnitPrice() | PackagePrice():
            found["amount"] = price.amount
        case DynamicPrice():
            found["amount"] = price.multiplier
        case _:
            pass
    if isinstance(price, PackagePrice):
        found["package_size"] = price.quantity_per_package
    if isinstance(price, UnitPrice | TieredPrice | PackagePrice | DynamicPrice):
        found |= {"minimum_amount": price.minimum_amount, "maximum_amount": price.maximum_amount}
    return found


def _tiers(line: Line) -> Iterator[tuple[Any, ...]]:
    if isinstance(line.price, TieredPrice):
        start = _ZERO
        for number, tier in enumerate(line.price.tiers, 1):
            yield line.line_id, number, start, tier.up_to_amount, tier.unit_price, tier.flat_price
            start = tier.up_to_amount or start
