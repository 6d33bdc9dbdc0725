"""The data that flows: every dataset of the usage chain with its grain, columns, types and order.

What belongs here: names, types and one-line descriptions that the lake, the assets and the UI share.
What does not: FOCUS columns (``focus/``) and how rows are computed.

All instants are UTC, all ranges half open, all quantities decimals in the meter's own unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import polars as pl

from focus_assets.decimals import METERED_QUANTITY, SOURCE_VALUE, UTC_INSTANT


@dataclass(frozen=True)
class Column:
    """One column: its name, Polars type and meaning."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    description: str
    nullable: bool = False


@dataclass(frozen=True)
class Dataset:
    """A table of the lake, partitioned by ``charge_date``.

    ``order`` is the sort key that makes equal content equal bytes; where rows may be alike in all else, quantities
    end it.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    order: tuple[str, ...]

    @property
    def schema(self) -> pl.Schema:
        """Column names and types, in file order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    def empty(self) -> pl.LazyFrame:
        """A frame with this dataset's schema and no rows."""
        return pl.LazyFrame(schema=self.schema)

    def in_order(self, rows: pl.DataFrame) -> pl.DataFrame:
        """``rows`` sorted by ``order``, nulls first; for orders of texts and instants of which many are alike.

        Every row's key is put into one whole number, which takes a tenth of what comparing the texts themselves does.
        """
        # Rows of many answers in as many pieces take ten times as long to put in order.
        rows = rows.rechunk()
        places = [_places(rows[name]) for name in self.order]
        if math.prod(distinct for _, distinct in places) >= _WHOLE_NUMBERS:
            return rows.sort(self.order, nulls_last=False)
        key = pl.repeat(0, rows.height, dtype=pl.UInt64, eager=True)
        for place, distinct in places:
            if distinct > 1:
                key = key * distinct + place.cast(pl.UInt64)
        return rows[key.arg_sort()]


_WHOLE_NUMBERS: Final = 2**63


def _places(column: pl.Series) -> tuple[pl.Series, int]:
    """Where each value stands among the distinct values in their order, null first; and how many these are."""
    distinct = column.unique().sort(nulls_last=False)
    if column.dtype == pl.String:
        known = distinct.drop_nulls()
        place = column.cast(pl.Enum(known)).to_physical().cast(pl.UInt64)
        return (place + 1).fill_null(0) if len(known) < len(distinct) else place, len(distinct)
    return distinct.search_sorted(column), len(distinct)


_CHARGE_DATE: Final = Column("charge_date", pl.Date, "UTC day the usage belongs to")
_METER: Final = Column("meter", pl.String, "Meter slug")

CATALOG: Final = Dataset(
    name="catalog",
    grain="a meter, customer, feature, plan, subscription, credit, currency, invoice or default, as it stood that day",
    columns=(
        Column(
            "kind",
            pl.String,
            "settings, meter, feature, customer, plan, subscription, credit, custom_currency; OpenMeter: unit_cost, "
            "llm_price, currency, invoice",
        ),
        Column("key", pl.String, "The entry's key, unique within its kind"),
        Column("document", pl.String, "The entry as canonical JSON, in OpenMeter's vocabulary"),
    ),
    order=("kind", "key"),
)

RAW_USAGE: Final = Dataset(
    name="raw_usage",
    grain="what the source returned for one request: a window, or a quantity to date",
    columns=(
        _CHARGE_DATE,
        _METER,
        Column(
            "kind",
            pl.String,
            "window; to_date for meters that do not add up over time; opening on the first day",
        ),
        Column("request", pl.String, "The request that returned the row, as canonical JSON"),
        Column("window_from", UTC_INSTANT, "Start of the window, inclusive"),
        Column("window_to", UTC_INSTANT, "End of the window, exclusive"),
        Column("subject", pl.String, "Subject key; null on to_date rows", nullable=True),
        Column(
            "charge_id", pl.String, "Charge whose quantity to date this is; null on windows", nullable=True
        ),
        Column("dimensions", pl.String, "Group-by values as a JSON object of texts, exactly as returned"),
        Column("value", SOURCE_VALUE, "Metered value, as returned"),
    ),
    order=("meter", "kind", "window_from", "window_to", "subject", "charge_id", "dimensions"),
)

QUARANTINED_EVENTS: Final = Dataset(
    name="quarantined_events",
    grain="an event that could not be metered, with the reason",
    columns=(
        _CHARGE_DATE,
        Column("file", pl.String, "Path of the file below the events folder"),
        Column("line", pl.Int64, "Line in the file, or position in a batch, from 1"),
        Column("reason", pl.String, "Why the event was refused, and what is allowed"),
        Column("event", pl.String, "The first 1,000 characters of the event as read", nullable=True),
    ),
    order=("file", "line", "reason"),
)

EVENT_KEYS: Final = Dataset(
    name="event_keys",
    grain="a source and id that came that day; the same on a later day is a duplicate",
    columns=(
        _CHARGE_DATE,
        Column(
            "bucket", pl.Int32, "A part of the keys, by the end of the id; a look-back reads some at a time"
        ),
        Column("source", pl.String, "The event's source"),
        Column("id", pl.String, "The event's id"),
    ),
    order=("bucket", "id", "source"),
)

NORMALIZED_USAGE: Final = Dataset(
    name="normalized_usage",
    grain="meter × window × subject × dimensions, or meter × charge to date",
    columns=(
        _CHARGE_DATE,
        _METER,
        Column(
            "kind",
            pl.String,
            "window; to_date for meters that do not add up over time; opening on the first day",
        ),
        Column("window_from", UTC_INSTANT, "Start of the window, inclusive"),
        Column("window_to", UTC_INSTANT, "End of the window, exclusive"),
        Column("subject", pl.String, "Subject key; null on to_date rows", nullable=True),
        Column("customer", pl.String, "Key of the customer the subject belonged to that day", nullable=True),
        Column(
            "charge_id", pl.String, "Charge whose quantity to date this is; null on windows", nullable=True
        ),
        Column("dimensions", pl.String, "Group-by values as canonical JSON; absent values are null"),
        Column("quantity", METERED_QUANTITY, "Quantity in the meter's unit"),
        Column("unit", pl.String, "The meter's unit"),
    ),
    order=("meter", "kind", "window_from", "window_to", "subject", "charge_id", "dimensions", "quantity"),
)

BUYERS: Final = pl.List(
    pl.Struct(
        {
            "slice_from": UTC_INSTANT,
            "subject": pl.String(),
            "dimensions": pl.String(),
            "quantity": METERED_QUANTITY,
        }
    )
)

USAGE_TOTALS: Final = Dataset(
    name="usage_totals",
    grain="charge × day",
    columns=(
        _CHARGE_DATE,
        Column("charge_id", pl.String, "One version of a subscription item in one rating period"),
        Column("customer", pl.String, "Customer key"),
        Column("subscription", pl.String, "Subscription key"),
        Column("feature", pl.String, "Feature key"),
        _METER,
        Column("charge_from", UTC_INSTANT, "Start of the charge, inclusive"),
        Column("charge_to", UTC_INSTANT, "End of the charge, exclusive"),
        Column(
            "quantity",
            METERED_QUANTITY,
            "The day's quantity; null where the meter does not add up over time",
            nullable=True,
        ),
        Column(
            "quantity_to_date",
            METERED_QUANTITY,
            "Quantity from the charge's start to the day's end; null where the meter adds up",
            nullable=True,
        ),
        Column(
            "opening_quantity",
            METERED_QUANTITY,
            "On the first day: what a charge that began earlier had used by then, where the source knows it",
            nullable=True,
        ),
        Column(
            "usage_by_buyer",
            BUYERS,
            "The day's quantity by slice, subject and dimensions, where volume tiers may price it anew; otherwise null",
            nullable=True,
        ),
        Column("unit", pl.String, "The meter's unit"),
    ),
    order=("charge_id",),
)

UNBILLED_USAGE: Final = Dataset(
    name="unbilled_usage",
    grain="a normalized window that no charge rates, with the reason",
    columns=(
        _CHARGE_DATE,
        _METER,
        Column("window_from", UTC_INSTANT, "Start of the window, inclusive"),
        Column("window_to", UTC_INSTANT, "End of the window, exclusive"),
        Column("subject", pl.String, "Subject key", nullable=True),
        Column("customer", pl.String, "Customer key, where the subject has one", nullable=True),
        Column("dimensions", pl.String, "Group-by values as canonical JSON; absent values are null"),
        Column("quantity", METERED_QUANTITY, "Quantity in the meter's unit"),
        Column("unit", pl.String, "The meter's unit"),
        Column("reason", pl.String, "subject_without_customer or outside_every_rate_card"),
    ),
    order=("meter", "window_from", "window_to", "subject", "dimensions", "quantity"),
)

USAGE_DATASETS: Final = (
    CATALOG,
    RAW_USAGE,
    QUARANTINED_EVENTS,
    EVENT_KEYS,
    NORMALIZED_USAGE,
    USAGE_TOTALS,
    UNBILLED_USAGE,
)
