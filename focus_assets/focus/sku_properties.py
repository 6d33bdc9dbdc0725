"""Properties of SKU prices that a configuration states: which names and values SkuPriceDetails may hold.

What belongs here: FOCUS's list of names, and what is wrong with a stated property. What does not: properties that are
made of the price (``sku``) and the rule over rows (``rules.key_values``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    # Checking a file needs the names alone, and no catalog.
    from focus_assets.catalog.key_values import Value
    from focus_assets.catalog.snapshot import Catalog

_NUMERIC: Final = (
    "CoreCount",
    "DiskMaxIops",
    "DiskSpace",
    "GpuCount",
    "MemorySize",
    "NetworkMaxIops",
    "NetworkMaxThroughput",
)
_TEXTS: Final = (
    "DiskType",
    "InstanceSeries",
    "InstanceType",
    "OperatingSystem",
    "Redundancy",
    "StorageClass",
)

SKU_PRICE_PROPERTIES: Final = tuple(sorted((*_NUMERIC, *_TEXTS)))
"""Properties of SkuPriceDetails that FOCUS 1.2 to 1.4 define; every other begins with ``x_``."""

MADE_OF_THE_PRICE: Final = ("x_PackageSize", "x_PriceModel", "x_Tier", "x_TierFrom")
"""Properties that are never stated, because they are those of the price itself."""


def property_problems(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """What is wrong with stated properties, as (column, sentence with the key path)."""
    places = [("defaults", catalog.defaults.sku_price_details)]
    places += [(f"meters[{meter.slug}]", meter.sku_price_details) for meter in catalog.meters]
    for place, stated in places:
        for name, value in stated.items():
            sentence = _sentence(name, value)
            if sentence:
                yield "SkuPriceDetails", f"{place}.sku_price_details.{name}: {sentence}"


def _sentence(name: str, value: Value) -> str | None:
    if name in MADE_OF_THE_PRICE:
        return "is made of the price itself, as the price list has it; choose another name"
    if name not in SKU_PRICE_PROPERTIES:
        if name.startswith("x_") and len(name) > len("x_"):
            return None
        near = difflib.get_close_matches(name, SKU_PRICE_PROPERTIES, n=3)
        listed = f"nearest: {', '.join(near)}" if near else f"those are {', '.join(SKU_PRICE_PROPERTIES)}"
        return f"is no property of FOCUS; {listed}; a name of your own begins with x_"
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _NUMERIC and not is_number:
        return f"found {value!r}; FOCUS wants a number"
    if name in _TEXTS and not isinstance(value, str):
        return f"found {value!r}; FOCUS wants a text (put it in quotes)"
    return None
