"""What the rows need of their events' dimensions, read out of the JSON text.

What belongs here: from ``dimensions`` to texts. What does not: which column a text ends up in.

A day repeats few combinations of dimensions very often, and decoding JSON costs eight times a look-up
(measured: 1.0 s against 0.12 s for a million rows of 1,000 combinations). So each batch that streams by
decodes its distinct texts and joins them back; nothing is scanned twice and nothing but a batch is held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl

from focus_assets.catalog.models import Meter
from focus_assets.focus.sku import sku_suffix
from focus_assets.focus.tags import tag_members

SUBJECT: Final = "subject"
"""The dimension that a usage line has whatever the meter groups by."""

METER: Final = "_meter"


def event_values(meters: Sequence[Meter], wanted: Sequence[str], prefix: str | None) -> pl.Expr:
    """A struct of texts for each row of a frame with ``_meter``, ``dimensions`` and ``subject``.

    ``sku``: the suffix of SkuId, never null. ``before``, ``after``: members of Tags around ``prefix``. And
    each of the ``wanted`` dimensions by name; null where the event has none.
    """
    skus = {meter.slug: sorted(set(meter.sku_dimensions)) for meter in meters}
    tagged = {meter.slug: sorted(tag_dimensions(meter)) for meter in meters}
    used = sorted({*wanted, *(n for names in (*skus.values(), *tagged.values()) for n in names)})
    own = {name: [meter.slug for meter in meters if name in meter.group_by] for name in used}

    def value(name: str) -> pl.Expr:
        found = pl.col("_decoded").struct.field(name)
        return found if name != SUBJECT else _either(found, own[name])

    def of_meters(names: Mapping[str, list[str]], name: str) -> pl.Expr:
        having = [slug for slug, some in names.items() if name in some]
        return pl.when(pl.col(METER).is_in(having)).then(value(name))

    tag_names = sorted({name for names in tagged.values() for name in names})
    outputs = {
        "sku": sku_suffix((n, of_meters(skus, n)) for n in used if any(n in s for s in skus.values())),
        "before": tag_members((n, of_meters(tagged, n)) for n in tag_names if n < (prefix or "")),
        "after": tag_members((n, of_meters(tagged, n)) for n in tag_names if not n < (prefix or "")),
        **{_field(name): value(name) for name in wanted},
    }
    keys = [METER, "dimensions", *([SUBJECT] if SUBJECT in used else [])]
    dtype = pl.Struct(dict.fromkeys(outputs, pl.String))
    return pl.struct(keys).map_batches(_decoder(used, outputs), return_dtype=dtype, is_elementwise=True)


def field_of(name: str) -> pl.Expr:
    """The value of one of the wanted dimensions; ``_event`` holds :func:`event_values`."""
    return pl.col("_event").struct.field(_field(name))


def tag_dimensions(meter: Meter) -> tuple[str, ...]:
    """The dimensions that become tags: those the meter names, else all it groups by."""
    return tuple(meter.group_by) if meter.tag_dimensions is None else meter.tag_dimensions


def _field(name: str) -> str:
    return f"dimension:{name}"


def _either(decoded: pl.Expr, grouping: list[str]) -> pl.Expr:
    """A group_by key that is itself called subject hides the line's subject."""
    return pl.when(pl.col(METER).is_in(grouping)).then(decoded).otherwise(pl.col(SUBJECT))


def _decoder(names: Sequence[str], outputs: Mapping[str, pl.Expr]) -> Callable[[pl.Series], pl.Series]:
    # A struct without fields cannot be decoded into.
    decoded = pl.Struct(dict.fromkeys(names or ["_"], pl.String))

    def of_batch(batch: pl.Series) -> pl.Series:
        rows = batch.struct.unnest()
        values = (
            rows.unique()
            .with_columns(pl.col("dimensions").str.json_decode(decoded).alias("_decoded"))
            .select(
                *rows.columns,
                pl.struct(*(made.alias(name) for name, made in outputs.items())).alias("_event"),
            )
        )
        joined = rows.join(values, on=rows.columns, how="left", nulls_equal=True, maintain_order="left")
        return joined.get_column("_event")

    return of_batch
