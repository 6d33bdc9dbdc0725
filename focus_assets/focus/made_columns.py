"""What decides the columns that are put together and not set one by one: tags, and what is bought at which price.

What belongs here: which settings they are made of, meter by meter. What does not: making them (``tags``, ``sku``), and
columns that one setting decides (``dimensions``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from focus_assets.catalog.models import Meter
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.dimensions import Answer, Layer, Resolution
from focus_assets.focus.event_values import tag_dimensions
from focus_assets.focus.tags import vendor_prefix

MADE: Final = ("SkuId", "SkuPriceDetails", "SkuPriceId", "Tags")
"""Columns that are put together."""


def with_made_columns(resolution: Resolution, catalog: Catalog) -> Resolution:
    """The answers, and beside them what Tags and the ids of SKUs are made of, for each meter that is sold."""
    sold = {feature.meter for feature in catalog.features}
    made = [a for meter in catalog.meters if meter.slug in sold for a in _made(catalog, meter)]
    return replace(resolution, answers={**resolution.answers, **{(a.meter, a.column): a for a in made}})


def _made(catalog: Catalog, meter: Meter) -> Iterator[Answer]:
    yield _sku(catalog, meter)
    yield _built_in(meter, "SkuPriceId", "plan/rate card/component:tier")
    yield _built_in(meter, "SkuPriceDetails", "model and tier of the price")
    yield _tags(catalog, meter)


def _sku(catalog: Catalog, meter: Meter) -> Answer:
    own = sorted(meter.sku_dimensions)
    behind = "".join(f"/{name}=…" for name in own)
    keys = ", ".join(feature.key + behind for feature in catalog.features if feature.meter == meter.slug)
    if not own:
        return Answer(meter.slug, "SkuId", Layer.DERIVED, "not set; the feature's key", text=keys)
    place = f"meters[{meter.slug}].sku_dimensions"
    return Answer(meter.slug, "SkuId", Layer.EVENT, place, dimension=", ".join(own), text=keys)


def _built_in(meter: Meter, column: str, text: str) -> Answer:
    return Answer(meter.slug, column, Layer.DERIVED, "not set; built in", text=text)


def _tags(catalog: Catalog, meter: Meter) -> Answer:
    own = sorted(tag_dimensions(meter))
    prefix = vendor_prefix(catalog.defaults.vendor_tag_prefix)
    labels = sorted({label for customer in catalog.customers for label in customer.labels} if prefix else ())
    if not own and not labels:
        return Answer(meter.slug, "Tags")
    setting = "group_by" if meter.tag_dimensions is None else "tag_dimensions"
    places = [f"meters[{meter.slug}].{setting}"] if own else []
    places += ["customers[...].labels"] if labels else []
    return Answer(
        meter.slug,
        "Tags",
        Layer.EVENT if own else Layer.CUSTOMER,
        ", ".join(places),
        dimension=", ".join(own) or None,
        text=", ".join([*own, *(f"{prefix}{label}" for label in labels)]),
    )
