"""The settings of an installation: where usage comes from, where results lie, to whom they are delivered.

What belongs here: the parts of :class:`Settings` and their own rules. What does not: meters, customers and
prices (``catalog.models``), the shape of ``focus.yaml`` (``file``), how a file is read (``loading``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from focus_assets.catalog.key_values import KeyValues
from focus_assets.catalog.models import Day, DimensionSetting, Entry, Instant
from focus_assets.catalog.snapshot import Catalog
from focus_assets.errors import FocusAssetsError
from focus_assets.lake.urls import lacks_slashes
from focus_assets.settings.billing import BillingSettings
from focus_assets.settings.destinations import Destination
from focus_assets.settings.s3 import S3Settings

CONFIG_VARIABLE: Final = "FOCUS_ASSETS_CONFIG"
"""The environment variable that names the configuration file."""

CONFIG_FILE: Final = "focus.yaml"
"""The configuration file that is looked for in the working directory."""


class ConfigurationError(FocusAssetsError):
    """A configuration that cannot be used; the message names file, line, key path and what is allowed."""


class NoConfiguration(FocusAssetsError):
    """No configuration file was named and none lies in the working directory."""


def resolve_url(url: str, folder: Path) -> str:
    """``url`` itself where it has a scheme, else the absolute path of a folder, counted from ``folder``."""
    if "://" in url or lacks_slashes(url):
        return url.rstrip("/")
    return str((folder / Path(url).expanduser()).resolve())


class CloudEventsSettings(Entry):
    """A folder of CloudEvents files."""

    url: Annotated[str, Field(min_length=1)] = "data/events"
    """Folder of the files, or s3://, gs:// or az://bucket/prefix; relative to the configuration file."""
    window: Literal["minute", "hour", "day"] = "hour"
    """Length of a usage window."""
    lookback_days: Annotated[int, Field(ge=0, le=3660)] = 32
    """Days in which an event with the same source and id is a duplicate."""
    s3: S3Settings = S3Settings()
    """How the bucket is reached, for an s3:// URL."""

    @property
    def options(self) -> dict[str, str]:
        """Object store options of :attr:`url`."""
        return self.s3.options


class MeterDetails(Entry):
    """What OpenMeter does not know of a meter, and what its FOCUS rows say."""

    name: Annotated[str, Field(min_length=1)] = ""
    """Display name; becomes SkuMeter. OpenMeter's where absent."""
    unit: Annotated[str, Field(min_length=1)] = "Units"
    """What one unit is called; becomes ConsumedUnit."""
    sku_dimensions: tuple[str, ...] = ()
    """Dimensions that change what is bought; they become part of SkuId."""
    tag_dimensions: tuple[str, ...] | None = None
    """Dimensions that become Tags; all of the meter's where absent."""
    dimensions: Mapping[str, DimensionSetting] = {}
    """FOCUS columns of this meter's rows: a text, null, or {dimension: KEY}."""
    tags: KeyValues = {}
    """Fixed tags of this meter's rows, where neither event nor customer has the key; null: no such tag."""
    sku_price_details: KeyValues = {}
    """Properties in SkuPriceDetails of this meter's prices: FOCUS's own, or keys that begin with x_; null: none."""


class OpenMeterSettings(Entry):
    """An OpenMeter server. Its token, where it needs one, is OPENMETER_TOKEN in the environment."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+")]
    """Address of the server, such as http://localhost:8888 or https://us.api.konghq.com/v3."""
    window: Literal["minute", "hour", "day"] = "hour"
    """Length of a usage window."""
    catalog: Literal["openmeter", "file"] = "openmeter"
    """Whether meters, customers and prices are the server's, or stand in this file."""
    invoices: Literal["openmeter", "own"] = "openmeter"
    """Whose invoices rows name: the server's, or those of billing periods that close by billing.close_after_days."""
    customer_id_is_subject: bool = False
    """Whether usage of a customer's id is that customer's too; OpenMeter itself attributes keys only."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests at a time; OpenMeter has 5 connections to its database unless told otherwise."""
    timeout_seconds: Annotated[int, Field(ge=91, le=3600)] = 100
    """How long an answer may take; OpenMeter itself gives up after 90 seconds."""
    meters: Mapping[str, MeterDetails] = {}
    """By meter slug, what OpenMeter does not know: units and FOCUS columns."""
    fees: Mapping[str, Mapping[str, str | None]] = {}
    """By key of a flat fee's rate card, the FOCUS columns of its rows; the defaults decide the others."""


class SourceSettings(Entry):
    """Where usage comes from: event files, or an OpenMeter server."""

    cloudevents: CloudEventsSettings = CloudEventsSettings()
    """CloudEvents files; not read where openmeter is set."""
    openmeter: OpenMeterSettings | None = None
    """An OpenMeter server."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.openmeter is not None and "cloudevents" in self.model_fields_set:
            raise ValueError("names two sources; leave cloudevents or openmeter out")
        return self

    @property
    def has_catalog(self) -> bool:
        """Whether the source says what is metered and at what price, and not the configuration."""
        return self.openmeter is not None and self.openmeter.catalog == "openmeter"

    @property
    def has_invoices(self) -> bool:
        """Whether invoices are the source's: those of a server are for the subscriptions of its own catalog."""
        return self.has_catalog and self.openmeter is not None and self.openmeter.invoices == "openmeter"


class LakeSettings(Entry):
    """Where the datasets lie."""

    url: Annotated[str, Field(min_length=1)] = "data/lake"
    """Folder, or s3://, gs:// or az://bucket/prefix; relative to the configuration file."""
    s3: S3Settings = S3Settings()
    """How the bucket is reached, for an s3:// URL."""

    @property
    def options(self) -> dict[str, str]:
        """Object store options of :attr:`url`."""
        return self.s3.options


class DuckDBSettings(Entry):
    """Limits of the engine that meters events; its own defaults are 80 % of the memory and all cores."""

    memory_limit: Annotated[str, Field(pattern=r"^[0-9]+(?:\.[0-9]+)? ?(?:[KMGT]i?B)$")] = "2GB"
    """Memory it may use before it spills to disk, such as 512MB or 2GB."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    """Threads it may use."""
    temp_directory: str | None = None
    """Folder it spills to; a temporary one where absent."""


class Settings(BaseModel):
    """Everything an installation is told: the catalog, the source, the lake and the destinations.

    URLs without a scheme and paths are absolute. Secrets are not part of it; they come from the environment.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config_path: Path | None = None
    start_date: Day
    as_of: Instant | None = None
    opening: Literal["refuse", "zero"] = "refuse"
    catalog: Catalog
    source: SourceSettings = SourceSettings()
    lake: LakeSettings = LakeSettings()
    duckdb: DuckDBSettings = DuckDBSettings()
    sql_path: Path = Path("data/focus.duckdb")
    days_per_run: Annotated[int, Field(ge=1)] = 31
    billing: BillingSettings = BillingSettings()
    destinations: tuple[Destination, ...] = ()
    destination_assets: Annotated[int, Field(ge=0)] = 300

    @staticmethod
    def load(path: Path | None = None) -> Settings:
        """Read the configuration: ``path``, else $FOCUS_ASSETS_CONFIG, else ./focus.yaml.

        Raises :class:`NoConfiguration` where there is none of the three and :class:`ConfigurationError`, with
        every problem at once, where the file cannot be used.
        """
        from focus_assets.settings.loading import find_file, load_file

        return load_file(find_file(path))

    def now(self) -> dt.datetime:
        """The instant that counts as now: ``as_of``, else the clock. Nothing else reads the clock."""
        return self.as_of or dt.datetime.now(dt.UTC)

    @property
    def dagster_home(self) -> Path:
        """Folder of the local Dagster instance where DAGSTER_HOME is not set: beside the SQL views."""
        return self.sql_path.parent / "dagster"

    @property
    def close_after_days(self) -> int | None:
        """Days after its end at which a billing period closes by itself; ``None`` where invoices decide, or never."""
        return None if self.source.has_invoices else self.billing.close_after_days

    @property
    def late_usage(self) -> Literal["rebilled", "not_billed"]:
        """What becomes of changes in closed periods; OpenMeter never bills usage that came after its invoice."""
        if self.billing.late_usage is not None:
            return self.billing.late_usage
        return "rebilled" if self.source.openmeter is None else "not_billed"

    def destination(self, name: str) -> Destination:
        """The destination called ``name``; raises :class:`ConfigurationError` listing the known ones."""
        for destination in self.destinations:
            if destination.name == name:
                return destination
        known = ", ".join(d.name for d in self.destinations) or "none"
        raise ConfigurationError(f"unknown destination {name!r}; known destinations: {known}")
