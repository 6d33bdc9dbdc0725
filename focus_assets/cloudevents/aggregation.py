"""The seven aggregations: events to one exact value.

Rules (OpenMeter ``openmeter/streaming/clickhouse/meter_query.go``): COUNT counts every event, also without
data. SUM, AVG, MIN, MAX and LATEST skip what is not a finite number; where nothing is left there is no row.
UNIQUE_COUNT counts distinct texts, null skipped, absent counting as one value.

Numbers are rounded to 19 decimal places, half away from zero, event by event; sums are exact from there and
an average is rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa

from focus_assets.catalog.models import Aggregation, Meter
from focus_assets.cloudevents.envelope import Properties
from focus_assets.cloudevents.errors import MeteredValueTooLarge
from focus_assets.cloudevents.ingest import Events
from focus_assets.cloudevents.memory import limited
from focus_assets.cloudevents.query import property_column
from focus_assets.decimals import SOURCE_VALUE

_QUANTUM: Final = Decimal(1).scaleb(-19)
_LIMIT: Final = Decimal(10) ** 19
_EXACT: Final = Context(prec=76, rounding=ROUND_HALF_UP)


def aggregate(properties: Properties, meter: Meter) -> str:
    """SQL over the alias ``e``: the column ``value`` and, for averages, ``numbers``."""
    aggregation = meter.aggregation
    if aggregation is Aggregation.COUNT:
        return "count(*) AS value"
    path = meter.value_property or "$"
    if aggregation is Aggregation.UNIQUE_COUNT:
        text = property_column(properties.texts, meter, path, "value_property")
        return f"count(DISTINCT nullif({text}, 'null')) AS value"
    number = property_column(properties.numbers, meter, path, "value_property")
    if aggregation is Aggregation.LATEST:
        # OpenMeter leaves ties within a second open; here the last in (file, line) order wins.
        order = "epoch(e.occurred)::HUGEINT * 18446744073709551616 + e.seq"
        return f"arg_max({number}, {order}) FILTER (WHERE {number} IS NOT NULL) AS value"
    if aggregation is Aggregation.AVG:
        return f"sum({number}) AS value, count({number}) AS numbers"
    return f"{aggregation.value.lower()}({number}) AS value"


def aggregated(events: Events, meter: Meter, statement: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
    """The rows of a statement around :func:`aggregate` that have a value, ``value`` as Decimal(38, 19).

    Raises MeteredValueTooLarge.
    """
    try:
        found = pl.DataFrame(_answer(events, statement, parameters))
    except duckdb.OutOfRangeException as error:
        raise _too_large(meter) from error
    found = found.filter(pl.col("value").is_not_null())
    # DuckDB's sums run to 128 bits, somewhat beyond 38 digits.
    if found.select((pl.col("value").abs() >= _LIMIT).any()).item():
        raise _too_large(meter)
    if meter.aggregation is Aggregation.AVG:
        means = [_mean(total, numbers) for total, numbers in found.select("value", "numbers").iter_rows()]
        return found.with_columns(pl.Series("value", means, SOURCE_VALUE)).drop("numbers")
    return found.with_columns(pl.col("value").cast(SOURCE_VALUE))


def _answer(events: Events, statement: str, parameters: Mapping[str, Any]) -> pa.Table:
    """What is asked, within the part of memory that events have; what does not fit there may take all there is."""
    try:
        return events.connection.sql(statement, params=dict(parameters)).to_arrow_table()
    except duckdb.OutOfMemoryException:
        with limited(events.connection, events.memory):
            return events.connection.sql(statement, params=dict(parameters)).to_arrow_table()


def _mean(total: Decimal, numbers: int) -> Decimal:
    return _EXACT.divide(total, Decimal(numbers)).quantize(_QUANTUM, context=_EXACT)


def _too_large(meter: Meter) -> MeteredValueTooLarge:
    return MeteredValueTooLarge(
        f"meter {meter.slug!r}: a {meter.aggregation} has more than 19 digits before the decimal point, "
        "the most a metered value may have. Meter in a larger unit. Nothing was written."
    )
