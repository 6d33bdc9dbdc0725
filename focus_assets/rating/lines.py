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

EARLIER_USAGE: Final = pl.Schema(
    {name: dtype for name, dtype in USAGE.items() if name not in ("slice_to", "window_from")}
)
"""What each buyer used in each slice before the first that is rated, of charges with volume tiers."""

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
        "prices_negative": pl.Boolean(),
        "method": pl.String(),
        "metered_from": METERED_QUANTITY,
        "metered_to": METERED_QUANTITY,
        "applies_from": METERED_QUANTITY,
        "applies_to": METERED_QUANTITY,
        "published_at": METERED_QUANTITY,
        "gross_unit_price": UNIT_PRICE,
    }
)
"""A range (segment_from, segment_to] of the quantity to date with one contracted and one list price.

``segment_to`` null: open. ``tier``: the segment's number from 1; null where both prices are unit prices. A
price is null where the tier has none (it then costs nothing). Of a ``tier_fee`` the range is the tier that
owes it. Ranges are in priced units (packages, converted units); ``metered_from`` and ``metered_to`` say the same in
metered ones. The segment prices only while the whole quantity to date is in (applies_from, applies_to]; null: no
bound. ``method``: see below; one for all segments of a charge. ``published_at``: where the published price is
looked up. ``gross_unit_price``: the contracted one before any percentage.
"""

MARGINAL: Final = "marginal"
"""Each metered unit is priced by the segment it falls in."""

CONVERTED: Final = "converted"
"""The same of units that metered ones are converted to, by day: packages opened, say."""

BY_TOTAL: Final = "by_total"
"""Which segments price depends on the whole quantity to date, so that usage is priced anew when it changes."""

CONVERSIONS: Final = pl.Schema(
    {
        "charge_id": pl.String(),
        "operation": pl.String(),
        "conversion_factor": UNIT_PRICE,
        "rounding": pl.String(),
        "rounding_unit": PRICING_QUANTITY,
        "free_units": METERED_QUANTITY,
        "quantity_limit": METERED_QUANTITY,
    }
)
"""How metered units of a charge become priced ones: multiply, divide, or package.

``rounding``: none, ceiling, floor or half_up to ``rounding_unit``. ``free_units``: metered units before those that
fill packages. Metered quantities of ``quantity_limit`` and more are outside the supported range.
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
