"""The rating kernel: usage, openings, slices and prices in; rated lines out.

What belongs here: pure functions over Polars LazyFrames that are tied together by ``charge_id`` alone, so
that any engine that partitions by charge can run them. What does not: where usage comes from, and FOCUS.
"""

from focus_assets.rating.charge_limits import LIMITS, limit_table
from focus_assets.rating.conversions import conversion_table
from focus_assets.rating.fees import fee_lines
from focus_assets.rating.kernel import rate
from focus_assets.rating.lines import CONVERSIONS, OPENINGS, RATED_LINES, SEGMENTS, SLICES, USAGE
from focus_assets.rating.segments import price_table
from focus_assets.rating.slices import slice_table
from focus_assets.rating.spans import ChargeNotRated
from focus_assets.rating.splits import SPLITS
from focus_assets.rating.unbilled import UNBILLED

__all__ = [
    "CONVERSIONS",
    "LIMITS",
    "OPENINGS",
    "RATED_LINES",
    "SEGMENTS",
    "SLICES",
    "SPLITS",
    "UNBILLED",
    "USAGE",
    "ChargeNotRated",
    "conversion_table",
    "fee_lines",
    "limit_table",
    "price_table",
    "rate",
    "slice_table",
]
