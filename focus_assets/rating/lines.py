"""The tables that rating takes and returns: names, types and what a null means."""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.decimals import COST, METERED_QUANTITY, PRICING_QUANTITY, UNIT_PRICE, UTC_INSTANT

USAGE_COMPONENT: Final = "usage"
FREE_COMPONENT: Final = "free"
MINIMUM_COMPONENT: Final = "minimum_spend"
TIER_FEE_COMPONENT: Final = "tier_fee"
FLAT_FEE_COMPONENT: Final = "flat_fee"
CREDIT_COMPONENT: Final = "credit"
CREDIT_PURCHASE_COMPONENT: Final = "credit_purchase"
CREDIT_EXPIRY_COMPONENT: Final = "credit_expiry"
NO_DIMENSIONS: Final = "{}"

USAGE: Final = pl.Schema(
    {
        "charge_id": pl.String(),
        "slice_from": UTC_INSTANT,
        "slice_to": UTC_INSTANT,
        "window_from": UTC_INSTANT,
        "subject": pl.String(),
        "dimensions": pl.String(),
        "quantity": METERED_QUANTITY,
    }
)
"""A metered window (or an increment to date) of a slice of a charge. ``subject`` is null across subjects."""

OPENINGS: Final = pl.Schema({"charge_id": pl.String(), "quantity": METERED_QUANTITY})
"""What a charge had used before the first slice that is rated; a missing charge had used nothing."""

SLICES: Final = pl.Schema(
    {"charge_id": pl.String(), "slice_from": UTC_INSTANT, "slice_to": UTC_INSTANT, "begins": pl.Boolean()}
)
"""A slice to be rated; ``begins``: the charge itself begins with it."""

SEGMENTS: Final = pl.Schema(
    {
        "charge_id": pl.String(),
        "component": pl.String(),
        "tier": pl.Int32(),
        "segment_from": METERED_QUANTITY,
        "segment_to": METERED_QUANTITY,
        "contracted_unit_price": UNIT_PRICE,
        "list_unit_price": UNIT_PRICE,
        "refuses_negative": pl.Boolean(),
    }
)
"""A range (segment_from, segment_to] of the quantity to date with one contracted and one list price.

``segment_to`` null: open. ``tier``: the segment's number from 1; null where both prices are unit prices. A
price is null where the tier has none (it then costs nothing). Of a ``tier_fee`` the range is the tier that
owes it.
"""

RATED_LINES: Final = pl.Schema(
    {
        "charge_id": pl.String(),
        "slice_from": UTC_INSTANT,
        "slice_to": UTC_INSTANT,
        "component": pl.String(),
        "tier": pl.Int32(),
        "subject": pl.String(),
        "dimensions": pl.String(),
        "consumed_quantity": METERED_QUANTITY,
        "pricing_quantity": PRICING_QUANTITY,
        "list_unit_price": UNIT_PRICE,
        "contracted_unit_price": UNIT_PRICE,
        "list_cost": COST,
        "contracted_cost": COST,
        "billed_cost": COST,
        "effective_cost": COST,
    }
)
"""One line per charge × slice × component × tier × subject × dimensions.

``consumed_quantity`` is in the meter's unit and null on fees; costs are exact, in the charge's currency.
"""

LINE_KEY: Final = ("charge_id", "slice_from", "component", "tier", "subject", "dimensions")
"""What identifies a line, and the order of lines (nulls first)."""
