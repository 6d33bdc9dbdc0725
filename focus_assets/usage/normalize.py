"""Raw usage → normalized usage: one vocabulary for every source.

What belongs here: exact quantities, units, absent dimension values and the customer of each subject. What does
not: charges and prices (``usage.totals``, ``rating``) and anything a source does (``openmeter``, ``cloudevents``).
"""

from __future__ import annotations

import json

import polars as pl

from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import NORMALIZED_USAGE
from focus_assets.decimals import METERED_QUANTITY, round_half_away

_ABSENT = ("", "null")
"""How a missing path and a JSON null arrive from OpenMeter (``JSON_VALUE``): neither is a value."""


def normalized_usage(raw: pl.LazyFrame, catalog: Catalog) -> pl.LazyFrame:
    """Attribute raw usage to customers and bring it to one unit, one scale and one spelling.

    Takes ``raw_usage`` rows and the snapshot of their day; returns ``normalized_usage`` rows, one for each raw
    row. Quantities are rounded half away from zero to nine places. Subjects of no customer stay, with
    ``customer`` null.
    """
    units = pl.LazyFrame(
        [(meter.slug, meter.unit) for meter in catalog.meters],
        schema={"meter": pl.String, "unit": pl.String},
        orient="row",
    )
    owners = pl.LazyFrame(
        sorted(catalog.customer_of_subject.items()),
        schema={"subject": pl.String, "customer": pl.String},
        orient="row",
    )
    # The same few texts recur on every row, so each is parsed once and joined back.
    spellings = (
        raw.select("dimensions")
        .unique()
        .with_columns(
            pl.col("dimensions")
            .map_elements(_without_absent_values, return_dtype=pl.String)
            .alias("normalized_dimensions")
        )
    )
    return (
        raw.join(units, on="meter", how="left")
        .join(owners, on="subject", how="left")
        .join(spellings, on="dimensions", how="left")
        .with_columns(
            dimensions=pl.col("normalized_dimensions"),
            quantity=round_half_away(pl.col("value"), 9).cast(METERED_QUANTITY),
        )
        .select(NORMALIZED_USAGE.schema.names())
        .sort(NORMALIZED_USAGE.order)
    )


def _without_absent_values(dimensions: str) -> str:
    values = {key: None if value in _ABSENT else value for key, value in json.loads(dimensions).items()}
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
