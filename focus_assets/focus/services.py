"""ServiceCategory and ServiceSubcategory: the closed lists, and which subcategory is below which category.

What belongs here: the lists. What does not: which service of ours is in which (settings, ``dimensions``).
Source: FOCUS columns ServiceCategory and ServiceSubcategory.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from focus_assets.focus.columns import records

SUBCATEGORY_PARENTS: Final[Mapping[str, str]] = MappingProxyType(
    {record["ServiceSubcategory"]: record["ServiceCategory"] for record in records("services.csv")}
)
"""Each of the 82 subcategories with the one category it belongs to."""

SERVICE_CATEGORIES: Final[tuple[str, ...]] = tuple(dict.fromkeys(SUBCATEGORY_PARENTS.values()))
"""The 19 categories, in alphabetical order, ``Other`` last."""


def subcategories_of(category: str) -> tuple[str, ...]:
    """The subcategories below a category, ``Other (...)`` last; empty for what is no category."""
    return tuple(child for child, parent in SUBCATEGORY_PARENTS.items() if parent == category)
