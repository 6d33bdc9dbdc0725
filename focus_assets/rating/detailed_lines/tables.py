"""The tables that rating an invoice's lines takes and returns: names, types and what a null means."""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.decimals import COST, PRICING_QUANTITY, UNIT_PRICE, UTC_INSTANT
from focus_assets.errors import FocusAssetsError

LINES: Final = pl.Schema(
    {
        "line_id": pl.String(),
        "price": pl.String(),
        "payment_term": pl.String(),
        "amount": UNIT_PRICE,
        "package_size": PRICING_QUANTITY,
        "minimum_amount": COST,
        "maximum_amount": COST,
        "percentage": UNIT_PRICE,
        "percentage_id": pl.String(),
        "free_units": PRICING_QUANTITY,
        "free_units_id": pl.String(),
        "operation": pl.String(),
        "conversion_factor": UNIT_PRICE,
        "rounding": pl.String(),
        "rounding_unit": PRICING_QUANTITY,
        "minor_unit": COST,
        "period_from": UTC_INSTANT,
        "period_to": UTC_INSTANT,
        "full_period_from": UTC_INSTANT,
        "full_period_to": UTC_INSTANT,
        "before": PRICING_QUANTITY,
        "quantity": PRICING_QUANTITY,
        "previously_billed": COST,
        "ignores_minimum": pl.Boolean(),
        "ignores_credits": pl.Boolean(),
    }
)
"""A line of an invoice to be rated: its price, discounts and conversion, and its usage.

``price``: free, flat, unit, graduated, volume, package or dynamic. ``amount``: the flat fee, or the price of a
unit or package, or the multiplier. ``percentage``: the share taken off, 0.15 of 15 %. ``minor_unit``: the
currency's smallest amount. ``before`` and ``quantity``: metered units of the full period before the line and
within it. ``previously_billed``: gross amounts of the earlier lines of a split period. Null where not agreed.
"""

TIERS: Final = pl.Schema(
    {
        "line_id": pl.String(),
        "tier": pl.Int32(),
        "tier_from": PRICING_QUANTITY,
        "tier_to": PRICING_QUANTITY,
        "unit_price": UNIT_PRICE,
        "flat_price": UNIT_PRICE,
    }
)
"""A tier of a line's price: (tier_from, tier_to], numbered from 1; ``tier_to`` null: open."""

CREDITS: Final = pl.Schema({"line_id": pl.String(), "credit_index": pl.Int32(), "amount": COST})
"""Credits to be used up by a line, in order from 0."""

DISCOUNT: Final = pl.Struct({"reason": pl.String(), "ref": pl.String(), "amount": COST})

CREDIT_APPLIED: Final = pl.Struct({"credit_index": pl.Int32(), "amount": COST})

TOTALS: Final = ("amount", "charges_total", "discounts_total", "credits_total", "total")

DETAILED_LINES: Final = pl.Schema(
    {
        "line_id": pl.String(),
        "index": pl.Int32(),
        "ref": pl.String(),
        "tier": pl.Int32(),
        "category": pl.String(),
        "payment_term": pl.String(),
        "period_from": UTC_INSTANT,
        "period_to": UTC_INSTANT,
        "quantity": PRICING_QUANTITY,
        "per_unit_amount": UNIT_PRICE,
        "amount_discounts": pl.List(DISCOUNT),
        "credits_applied": pl.List(CREDIT_APPLIED),
        **dict.fromkeys(TOTALS, COST),
    }
)
"""A detailed line, as an invoice shows it: every total rounded to the currency's smallest amount.

``index``: position within the line, from 0. ``ref``: what OpenMeter calls the component. ``category``: regular,
or commitment for what a minimum adds, whose gross is in ``charges_total`` and not in ``amount``.
"""

PRICED: Final = pl.Schema(
    {
        "line_id": pl.String(),
        "position": pl.Int32(),
        "ref": pl.String(),
        "tier": pl.Int32(),
        "payment_term": pl.String(),
        "quantity": PRICING_QUANTITY,
        "per_unit_amount": UNIT_PRICE,
    }
)
"""What a price makes of a line: components in the order of ``position``."""

LINE_MAXIMUM_SPEND: Final = "line_maximum_spend"
MIN_SPEND: Final = "min-spend"


class LineNotRated(FocusAssetsError):
    """A line that its price, conversion or credits do not allow."""


def refuse(lines: pl.LazyFrame, where: pl.Expr, what: str) -> pl.LazyFrame:
    """``lines`` unchanged; collecting raises :class:`LineNotRated` naming the first line for which ``where``."""

    def checked(frame: pl.DataFrame) -> pl.DataFrame:
        bad = frame.filter(where)
        if not bad.is_empty():
            others = f" ({bad.height} such lines)" if bad.height > 1 else ""
            raise LineNotRated(f"line {min(bad['line_id'].to_list())} {what}{others}. No line was rated.")
        return frame

    return lines.map_batches(checked, predicate_pushdown=False, projection_pushdown=False)
