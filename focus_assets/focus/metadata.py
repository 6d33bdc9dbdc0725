"""FOCUS metadata: what is delivered beside the data so that a reader knows its shape and how complete it is.

What belongs here: the metadata objects as plain dictionaries of JSON values, computed from what is given. What does
not: where they are written, and the clock: every instant is an argument.
Source: FOCUS metadata, Schema (1.0 to 1.4), Data Generator (1.0 on), Dataset Instance and Recency (1.3 on).
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import polars as pl

from focus_assets.focus.columns import COST_AND_USAGE, DATASETS, ValueType, column
from focus_assets.focus.schema import version_schema

_SCHEMAS: Final = uuid.UUID("6f0c2f2e-5d0b-5c1b-9d1f-0d9c6f3a7a11")
_INSTANCES: Final = uuid.UUID("0c6f5a8e-7f59-5f0e-8f4a-5d2b9b8f1c22")

_DATASET_NAMES: Final = {
    "cost-and-usage": "CostAndUsage",
    "billing-period": "BillingPeriod",
    "invoice-detail": "InvoiceDetail",
    "contract-commitment": "ContractCommitment",
    "price-list": "x_PriceList",
}
"""What FOCUS calls the datasets; a price list is none of its own."""


@dataclass(frozen=True)
class TimeSector:
    """A stretch of time, start inclusive and end exclusive, whether its charges are complete, and when they changed."""

    start: dt.datetime
    end: dt.datetime
    complete: bool
    last_updated: dt.datetime


def schema_object(
    version: str,
    *,
    created: dt.datetime,
    generator_version: str,
    dataset: str = COST_AND_USAGE,
    tag_prefixes: Sequence[str] = (),
    own_columns: Mapping[str, pl.DataType] | None = None,
    columns: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The Schema object of a dataset as one version shows it.

    Args:
        created: when this schema came into use; it does not change the SchemaId.
        generator_version: the version of the software that wrote the data.
        tag_prefixes: what the provider's own tags begin with.
        own_columns: further columns that the files have; all of them of a dataset that is not FOCUS's.
        columns: the columns that the files have, where they do not have all of the version.

    Returns:
        SchemaId, FocusVersion, CreationDate, DataGeneratorVersion and ColumnDefinition in the order of the files.
        SchemaId is a UUID made of everything but CreationDate: equal metadata has equal ids, other metadata others.
    """
    registered = version_schema(version, dataset) if dataset in DATASETS else {}
    shape = {**registered, **(own_columns or {})}
    if columns is not None:
        shape = {name: dtype for name, dtype in shape.items() if name in set(columns)}
    described: dict[str, Any] = {
        "FocusVersion": version,
        "DataGeneratorVersion": generator_version,
        "ColumnDefinition": [
            _definition(name, dtype, version, dataset, tag_prefixes, name not in (own_columns or {}))
            for name, dtype in shape.items()
        ],
    }
    identity = json.dumps({"dataset": dataset, **described}, sort_keys=True)
    return {
        "SchemaId": str(uuid.uuid5(_SCHEMAS, identity)),
        "CreationDate": instant(created),
        **described,
    }


def data_generator(name: str) -> dict[str, str]:
    """The Data Generator object: who made the data."""
    return {"DataGenerator": name}


def dataset_instance(name: str, dataset: str = COST_AND_USAGE) -> dict[str, str]:
    """The Dataset Instance object (1.3 on) of a delivery called ``name``; its id is made of name and dataset."""
    return {
        "DatasetInstanceId": str(uuid.uuid5(_INSTANCES, f"{dataset}/{name}")),
        "DatasetInstanceName": name,
        "FocusDataset": _DATASET_NAMES[dataset],
    }


def recency(instance: Mapping[str, str], sectors: Sequence[TimeSector]) -> dict[str, Any]:
    """The Recency object (1.3 on) of a dataset instance: complete where all of its sectors are.

    Raises:
        ValueError: no sector, an empty one, or two that overlap.
    """
    ordered = sorted(sectors, key=lambda sector: sector.start)
    if not ordered:
        raise ValueError("recency needs one time sector at least")
    if any(sector.start >= sector.end for sector in ordered):
        raise ValueError("a time sector starts before it ends")
    if any(later.start < earlier.end for earlier, later in pairwise(ordered)):
        raise ValueError("time sectors do not overlap")
    return {
        "DatasetInstanceId": instance["DatasetInstanceId"],
        "DatasetInstanceLastUpdated": instant(max(sector.last_updated for sector in ordered)),
        "DatasetInstanceComplete": all(sector.complete for sector in ordered),
        "TimeSectors": [
            {
                "TimeSectorStart": instant(sector.start),
                "TimeSectorEnd": instant(sector.end),
                "TimeSectorComplete": sector.complete,
                "TimeSectorLastUpdated": instant(sector.last_updated),
            }
            for sector in ordered
        ],
    }


def day_sectors(days: Mapping[dt.date, tuple[bool, dt.datetime]]) -> list[TimeSector]:
    """A time sector for each UTC day: whether it is complete, and when it was last written."""
    return [
        TimeSector(_midnight(day), _midnight(day + dt.timedelta(days=1)), complete, updated)
        for day, (complete, updated) in sorted(days.items())
    ]


def _definition(
    name: str, dtype: pl.DataType, version: str, dataset: str, tag_prefixes: Sequence[str], registered: bool
) -> dict[str, Any]:
    said: dict[str, Any] = {"ColumnName": name}
    if registered:
        entry = column(name, dataset)
        # JSON became a type of its own in 1.3.
        is_json = entry.type is ValueType.JSON
        said["DataType"] = "String" if is_json and version < "1.3" else str(entry.type)
        if entry.deprecated is not None and version >= entry.deprecated:
            said["Deprecated"] = True
    else:
        kinds = {pl.Decimal: "Decimal", pl.Datetime: "Date/Time"}
        said["DataType"] = kinds.get(type(dtype), "String")
    if isinstance(dtype, pl.Decimal):
        said |= {"NumericPrecision": dtype.precision, "NumberScale": dtype.scale}
    if isinstance(dtype, pl.String):
        said["StringEncoding"] = "UTF-8"
    if name == "Tags" and tag_prefixes:
        said["ProviderTagPrefixes"] = list(tag_prefixes)
    return said


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def instant(moment: dt.datetime) -> str:
    """An instant as metadata writes it."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
