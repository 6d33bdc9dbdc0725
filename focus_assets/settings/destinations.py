"""Destinations: who receives FOCUS files, of whom, where, in which shape and how often.

What belongs here: the keys of a destination and what has to agree within one. What does not: what FOCUS says about
columns and values (``focus``), and what a place of files looks like (``delivery.layout``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from focus_assets.catalog.key_values import KeyValues
from focus_assets.catalog.models import SLUG, Entry
from focus_assets.settings.s3 import S3Settings

FocusVersion = Literal["1.0", "1.1", "1.2", "1.3", "1.4"]
LayoutName = Literal["hive", "aws", "finops-hubs"]
DatasetName = Literal[
    "cost-and-usage", "billing-period", "invoice-detail", "contract-commitment", "price-list"
]

_COMPRESSIONS: Final[Mapping[str, tuple[str, ...]]] = {"parquet": ("zstd", "snappy"), "csv": ("gzip",)}
_WEEK: Final = 168
_SINCE: Final[Mapping[str, str]] = {
    "billing-period": "1.4",
    "invoice-detail": "1.4",
    "contract-commitment": "1.3",
}
"""The FOCUS version from which there is a dataset."""
_THIS_MACHINE: Final = ("127.0.0.1", "localhost", "::1")


class CustomersByLabel(Entry):
    """Customers that have all of these labels on the last day that a month has in Cost and Usage."""

    labels: Annotated[Mapping[str, str], Field(min_length=1)]
    """Labels and the values they must have."""


def _scope_kind(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "(keys)"
    return "(labels)" if isinstance(value, Mapping | CustomersByLabel) else "(all)"


Customers = Annotated[
    Annotated[Literal["all"], Tag("(all)")]
    | Annotated[tuple[str, ...], Tag("(keys)")]
    | Annotated[CustomersByLabel, Tag("(labels)")],
    Discriminator(_scope_kind),
]


class Notice(Entry):
    """Where a signed notice of each delivery is sent, as a CloudEvent by Standard Webhooks."""

    url: Annotated[str, Field(min_length=1)]
    """An https:// address; http:// for this machine alone."""
    signed_with: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name of the environment variable that holds the secret, whsec_ and base64."""

    @field_validator("url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        place = urlsplit(value)
        if place.scheme == "https" and place.hostname:
            return value
        if place.scheme == "http" and place.hostname in _THIS_MACHINE:
            return value
        raise ValueError("is no https:// address; http:// is for 127.0.0.1, localhost and ::1 alone")


class Destination(Entry):
    """Someone who receives FOCUS files: a place, whose customers, in which version and shape, how often."""

    name: Annotated[str, Field(pattern=SLUG, max_length=64)]
    """Names the export asset focus_export/NAME."""
    url: Annotated[str, Field(min_length=1)]
    """Folder, or s3://, gs:// or az://bucket/prefix; relative to the configuration file."""
    customers: Customers = "all"
    """Whose rows are delivered: all, a list of customer keys, or the customers that have labels."""
    focus_version: FocusVersion = "1.2"
    """FOCUS version of the files."""
    datasets: tuple[DatasetName, ...] = ("cost-and-usage",)
    """What is delivered: cost-and-usage, and beside it the other datasets of FOCUS and the price list."""
    columns: tuple[str, ...] = ()
    """Columns of the files, beside the mandatory ones; all of the version where absent."""
    partial: bool = False
    """Leave mandatory columns out too that columns does not name: the files are no FOCUS dataset then."""
    format: Literal["parquet", "csv"] = "parquet"
    """File format."""
    compression: Literal["zstd", "snappy", "gzip"] | None = None
    """zstd or snappy for Parquet, gzip for CSV; the first of these where absent."""
    layout: LayoutName = "hive"
    """Where files lie: Hive folders, as AWS Data Exports has them, or as FinOps hubs ingests them."""
    mode: Literal["overwrite", "new_version"] = "overwrite"
    """Whether a changed month replaces the one before, or both are kept."""
    keep_hours: Annotated[int, Field(ge=0, le=87600)] | None = None
    """Hours after which files that no manifest refers to any more are removed; 168, finops-hubs 0, where absent."""
    frequency: Literal["each_change", "daily", "period_close"] = "each_change"
    """Deliver after each change, once a day, or when the billing periods of its customers in a month are closed."""
    hour: Annotated[int, Field(ge=0, le=23)] = 6
    """UTC hour from which a daily delivery is due."""
    history: Literal["all", "open"] = "all"
    """Months from before the first delivery: all that the lake holds, or those that are still open."""
    dimensions: Mapping[str, str | None] = {}
    """FOCUS columns of the rows delivered here, before all other settings: a text or null."""
    tags: KeyValues = {}
    """Tags of the rows delivered here, key by key before all other settings; null takes a tag away."""
    notice: Notice | None = None
    """Who is told of each delivery, once its manifest is in place."""
    s3: S3Settings = S3Settings()
    """How the bucket is reached, for an s3:// URL."""

    @property
    def options(self) -> dict[str, str]:
        """Object store options of :attr:`url`."""
        return self.s3.options

    @property
    def packed(self) -> str:
        """The compression of the files."""
        return self.compression or _COMPRESSIONS[self.format][0]

    @property
    def grace(self) -> dt.timedelta:
        """How long files stay that no manifest refers to any more."""
        default = 0 if self.layout == "finops-hubs" else _WEEK
        return dt.timedelta(hours=default if self.keep_hours is None else self.keep_hours)

    @field_validator("customers")
    @classmethod
    def _names_someone(cls, value: Customers) -> Customers:
        if not value:
            raise ValueError("names no customer; write all, or a list of customer keys")
        if isinstance(value, tuple) and len(set(value)) != len(value):
            raise ValueError("names a customer twice")
        return value

    @field_validator("columns")
    @classmethod
    def _names_columns_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names a column twice")
        return value

    @field_validator("datasets")
    @classmethod
    def _names_datasets_once(cls, value: tuple[DatasetName, ...]) -> tuple[DatasetName, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names a dataset twice")
        if "cost-and-usage" not in value:
            raise ValueError("leaves cost-and-usage out, which the other datasets refer to; add it")
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        for name in self.datasets:
            if self.focus_version < _SINCE.get(name, ""):
                raise ValueError(
                    f"has dataset {name} in FOCUS {self.focus_version}; it is there from {_SINCE[name]} on: set "
                    "focus_version, or leave the dataset out"
                )
        if self.compression is not None and self.compression not in _COMPRESSIONS[self.format]:
            allowed = " or ".join(_COMPRESSIONS[self.format])
            raise ValueError(f"has compression {self.compression} for {self.format}; allowed: {allowed}")
        if self.partial and not self.columns:
            raise ValueError("is partial without columns; list the columns, or leave partial out")
        if self.mode == "new_version" and self.layout == "finops-hubs":
            raise ValueError(
                "keeps versions in layout finops-hubs, where a hub replaces whole folders; overwrite there"
            )
        if "hour" in self.model_fields_set and self.frequency != "daily":
            raise ValueError("has an hour without frequency: daily; set it, or leave hour out")
        return self
