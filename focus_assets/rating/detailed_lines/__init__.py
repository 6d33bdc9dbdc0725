"""The detailed lines of an invoice: what OpenMeter bills for a line, rounded, with discounts and credits.

What belongs here: OpenMeter's rating of a line as frames to frames, step by step. What does not: the exact daily
rows of FOCUS (the kernel beside this package), where invoices come from, and FOCUS.
"""

from focus_assets.rating.detailed_lines.booking import book_difference
from focus_assets.rating.detailed_lines.pipeline import detailed_lines
from focus_assets.rating.detailed_lines.tables import CREDITS, DETAILED_LINES, LINES, TIERS, LineNotRated
from focus_assets.rating.detailed_lines.terms import Line, line_tables

__all__ = [
    "CREDITS",
    "DETAILED_LINES",
    "LINES",
    "TIERS",
    "Line",
    "LineNotRated",
    "book_difference",
    "detailed_lines",
    "line_tables",
]
