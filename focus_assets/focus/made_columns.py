"""What decides the columns that are put together and not set one by one: tags, and what is bought at which price.

What belongs here: which settings they are made of, meter by meter. What does not: making them (``tags``, ``sku``), and
columns that one setting decides (``dimensions``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from focus_assets.catalog.key_values import Value, vendor_prefix
from focus_assets.catalog.models import Meter
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.dimensions import Answer, Layer, Resolution
from focus_assets.focus.event_values import tag_dimensions

MADE: Final = ("SkuId", "SkuPriceDetails", "SkuPriceId", "Tags")
"""Columns that are put together."""


@dataclass(frozen=True)
class TagsOfExport:
    """The tags that an export request states, and the key path at which it does."""

    place: str
    tags: Mapping[str, Value]


NO_EXPORT: Final = TagsOfExport("", {})


def with_made_columns(
    resolution: Resolution, catalog: Catalog, export: TagsOfExport = NO_EXPORT
) -> Resolution:
    """The answers, and beside them what Tags and the ids of SKUs are made of, for each meter that is sold.

    What is stated key by key has an answer for each, such as ``Tags.team`` and ``SkuPriceDetails.x_Edition``.
    """
    sold = {feature.meter for feature in catalog.features}
    made = [a for meter in catalog.meters if meter.slug in sold for a in _made(catalog, meter, export)]
    customers = {key: dict(values) for key, values in resolution.customers.items()}
    for customer in catalog.customers:
        own = {f"Tags.{k}": _said(v) for k, v in customer.tags.items() if k not in export.tags}
        if own:
            customers[customer.key] = {**customers.get(customer.key, {}), **own}
    answers = {**resolution.answers, **{(a.meter, a.column): a for a in made}}
    return replace(resolution, answers=answers, customers=customers)


def _made(catalog: Catalog, meter: Meter, export: TagsOfExport) -> Iterator[Answer]:
    yield _sku(catalog, meter)
    yield _built_in(meter, "SkuPriceId", "plan/rate card/component:tier")
    yield _built_in(meter, "SkuPriceDetails", "model and tier of the price")
    yield from _by_key("SkuPriceDetails", meter, _layers(catalog, meter, "sku_price_details"))
    yield _tags(catalog, meter, export)
    layers = [(Layer.EXPORT, export.place, export.tags), *_layers(catalog, meter, "tags")]
    yield from _by_key("Tags", meter, layers, tag_dimensions(meter))


_Stated = tuple[Layer, str, Mapping[str, Value]]


def _layers(catalog: Catalog, meter: Meter, name: str) -> list[_Stated]:
    """What is stated under a name for a meter, nearest first."""
    return [
        (Layer.METER, f"meters[{meter.slug}].{name}", getattr(meter, name)),
        (Layer.DEFAULT, f"defaults.{name}", getattr(catalog.defaults, name)),
    ]


def _by_key(
    column: str, meter: Meter, layers: Sequence[_Stated], from_events: Collection[str] = ()
) -> Iterator[Answer]:
    """What decides each key that some layer states; an event's own value stands before all but an export's."""
    for key in sorted({key for _, _, stated in layers for key in stated}):
        layer, place, stated = next(each for each in layers if key in each[2])
        text = _said(stated[key])
        answer = Answer(
            meter.slug, f"{column}.{key}", layer, f"{place}.{key}", text=text, is_null=text is None
        )
        if key in from_events and layer is not Layer.EXPORT:
            setting = "group_by" if meter.tag_dimensions is None else "tag_dimensions"
            place = f"meters[{meter.slug}].{setting}, {answer.set_at}"
            answer = replace(answer, layer=Layer.EVENT, dimension=key, set_at=place)
        yield answer


def _said(value: Value) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


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


def _tags(catalog: Catalog, meter: Meter, export: TagsOfExport) -> Answer:
    own = sorted(tag_dimensions(meter))
    prefix = vendor_prefix(catalog.defaults.vendor_tag_prefix)
    labels = sorted({label for customer in catalog.customers for label in customer.labels} if prefix else ())
    of_customers = sorted({key for customer in catalog.customers for key in customer.tags})
    setting = "group_by" if meter.tag_dimensions is None else "tag_dimensions"
    sources = [
        (Layer.EXPORT, export.place, sorted(export.tags)),
        (Layer.EVENT, f"meters[{meter.slug}].{setting}", own),
        (Layer.CUSTOMER, "customers[...].labels", [f"{prefix}{label}" for label in labels]),
        (Layer.CUSTOMER, "customers[...].tags", of_customers),
        *((layer, place, sorted(tags)) for layer, place, tags in _layers(catalog, meter, "tags")),
    ]
    used = [source for source in sources if source[2]]
    if not used:
        return Answer(meter.slug, "Tags")
    removed = {key for key, value in export.tags.items() if value is None}
    keys = dict.fromkeys(key for _, _, keys in used for key in keys if key not in removed)
    return Answer(
        meter.slug,
        "Tags",
        used[0][0],
        ", ".join(place for _, place, _ in used),
        dimension=", ".join(own) or None,
        text=", ".join(keys),
    )
