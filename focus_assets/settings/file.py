"""The shape of ``focus.yaml``, and what has to agree within it.

What belongs here: the file's top level keys, how they become :class:`~focus_assets.settings.models.Settings`.
What does not: the parts (``models``, ``catalog.models``) and the reading of text (``loading``).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from focus_assets.catalog.credits import CreditGrant
from focus_assets.catalog.custom_currencies import CustomCurrency
from focus_assets.catalog.key_values import vendors_keys
from focus_assets.catalog.models import Customer, Day, Entry, Feature, Instant, Meter, Plan, Subscription
from focus_assets.catalog.snapshot import Catalog, CatalogProblem, FocusDefaults
from focus_assets.lake.errors import StoreError
from focus_assets.lake.urls import meeting, place_of
from focus_assets.settings.billing import BillingSettings
from focus_assets.settings.destinations import Destination
from focus_assets.settings.models import (
    DuckDBSettings,
    LakeSettings,
    Settings,
    SourceSettings,
    resolve_url,
)

JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class SqlSettings(Entry):
    """The DuckDB file of views for people."""

    path: Annotated[str, Field(min_length=1)] = "data/focus.duckdb"
    """Where the file is put; relative to the configuration file."""


class FocusFile(Entry):
    """Configuration of focus-assets. Times are UTC, periods half open, secrets in the environment only."""

    start_date: Day
    """First day of the chain; nothing before it is metered."""
    as_of: Instant | None = None
    """The instant that counts as now, on no day to come; the clock where absent."""
    opening: Literal["refuse", "zero"] = "refuse"
    """Rating periods and credits begun before start_date: refuse them, or count their usage from zero and take credits
    as they stand, with their whole amount."""
    defaults: FocusDefaults
    """What every FOCUS row says unless something nearer says otherwise."""
    meters: tuple[Meter, ...] = ()
    """What is metered."""
    features: tuple[Feature, ...] = ()
    """What customers buy."""
    customers: tuple[Customer, ...] = ()
    """Who buys it, and whose usage is theirs."""
    plans: tuple[Plan, ...] = ()
    """Published prices."""
    subscriptions: tuple[Subscription, ...] = ()
    """Who is subscribed to which prices from when."""
    credits: tuple[CreditGrant, ...] = ()
    """What customers were given or have bought in advance, and draw down."""
    custom_currencies: tuple[CustomCurrency, ...] = ()
    """Currencies of one's own that prices and credits are in."""
    source: SourceSettings = SourceSettings()
    """Where usage comes from."""
    lake: LakeSettings = LakeSettings()
    """Where the datasets lie."""
    duckdb: DuckDBSettings = DuckDBSettings()
    """Limits of the engine that meters events."""
    sql: SqlSettings = SqlSettings()
    """The DuckDB file of views."""
    days_per_run: Annotated[int, Field(ge=1, le=366)] = 31
    """Days that one run of a backfill covers."""
    billing: BillingSettings = BillingSettings()
    """When billing periods close, and what invoices say."""
    destinations: tuple[Destination, ...] = ()
    """Who receives FOCUS files."""
    destination_assets: Annotated[int, Field(ge=0, le=5_000)] = 300
    """Destinations up to which each is an asset of its own; of more, one asset stands for all."""
    local_destinations: bool | None = None
    """Whether destinations may be folders of this machine; null: where the lake is one too."""

    @property
    def catalog(self) -> Catalog:
        """Meters, features, customers, plans and subscriptions as one catalog, unchecked."""
        return Catalog(
            defaults=self.defaults,
            meters=self.meters,
            features=self.features,
            customers=self.customers,
            plans=self.plans,
            subscriptions=self.subscriptions,
            credits=self.credits,
            custom_currencies=self.custom_currencies,
        )

    def problems(self, folder: Path) -> Iterator[tuple[str, str]]:
        """Everything that contradicts itself, as (key path, sentence)."""
        if self.as_of is not None and self.as_of.date() > dt.datetime.now(dt.UTC).date():
            # Dagster knows no days after yesterday.
            yield "as_of", f"{self.as_of:%FT%TZ} is on a day to come; set one that is not, or leave it out"
        try:
            # Whose credits those are is known when OpenMeter's catalog is read.
            known = {"credits": ()} if self.source.has_catalog else {}
            self.catalog.model_copy(update=known).check_references()
        except CatalogProblem as problem:
            yield from problem.problems
        if self.source.has_catalog:
            for name in ("meters", "features", "customers", "plans", "subscriptions"):
                if getattr(self, name):
                    yield name, "is OpenMeter's; leave it out, or set source.openmeter.catalog to file"
        for slug, details in self.source.openmeter.meters.items() if self.source.openmeter else ():
            for what in vendors_keys(details.tags, self.defaults.vendor_tag_prefix):
                yield f"source.openmeter.meters.{slug}.tags", what
        yield from self._credits_of_old()
        yield from self._destination_problems(folder)

    def _credits_of_old(self) -> Iterator[tuple[str, str]]:
        """Credit that could be used before the first day, and still can: what was used of it by then is in no day."""
        if self.opening == "zero":
            return
        midnight = dt.datetime.combine(self.start_date, dt.time(), dt.UTC)
        for i, grant in enumerate(self.credits):
            if grant.effective_at < midnight and (grant.end is None or grant.end > midnight):
                yield (
                    f"credits[{i}].effective_at",
                    f"{grant.effective_at:%FT%TZ} lies before start_date {self.start_date}, and what was used of "
                    "the credit by then is not known. Either make amount what was left on start_date and set opening: "
                    f"zero, or make effective_at {self.start_date} or later",
                )

    def _destination_problems(self, folder: Path) -> Iterator[tuple[str, str]]:
        # Dagster writes both - and _ as _ in the names of an asset's outputs.
        names = Counter(d.name.replace("-", "_") for d in self.destinations)
        met = self._meetings(folder)
        lake = resolve_url(self.lake.url, folder)
        known = {customer.key for customer in self.customers}
        may_be_local = _is_local(lake) if self.local_destinations is None else self.local_destinations
        for i, destination in enumerate(self.destinations):
            if names[destination.name.replace("-", "_")] > 1:
                yield (
                    f"destinations[{i}].name",
                    f"{destination.name!r} stands more than once (- and _ count as the same); "
                    "give each its own name",
                )
            url = resolve_url(destination.url, folder)
            if i in met:
                yield f"destinations[{i}].url", met[i]
            for problem in vendors_keys(destination.tags, self.defaults.vendor_tag_prefix, removable=True):
                yield f"destinations[{i}].tags", problem
            if _is_local(url) and not may_be_local:
                yield (
                    f"destinations[{i}].url",
                    f"{destination.url!r} is a folder of the machine that delivers; give a bucket such as "
                    "s3://bucket/prefix, or set local_destinations: true where a folder is meant",
                )
            for key in destination.customers if isinstance(destination.customers, tuple) else ():
                if key not in known and not self.source.has_catalog:
                    keys = ", ".join(sorted(known)[:20]) or "none"
                    yield f"destinations[{i}].customers", f"unknown customer {key!r}; known customers: {keys}"

    def _meetings(self, folder: Path) -> dict[int, str]:
        """What is wrong with the URLs that lie in the lake, around it or in another's, by number of the destination."""
        places: dict[str, tuple[str, ...]] = {}
        for i, destination in enumerate(self.destinations):
            # What is no URL at all is refused by whoever opens it.
            with suppress(StoreError):
                places[str(i)] = place_of(resolve_url(destination.url, folder))
        found = {}
        for name, owner in meeting(places):
            other = self.destinations[int(owner)]
            found[int(name)] = (
                f"is also the URL of destination {other.name!r}; give each its own prefix"
                if places[name] == places[owner]
                else f"lies in {other.url!r} of destination {other.name!r}, whose readers could read these rows; "
                "give each a prefix beside the other's"
            )
        with suppress(StoreError):
            lake = place_of(resolve_url(self.lake.url, folder))
            for name, place in places.items():
                if place[: len(lake)] == lake:
                    found[int(name)] = "lies within the lake; deliveries need a place of their own"
                elif lake[: len(place)] == place:
                    found[int(name)] = (
                        f"holds the lake, {self.lake.url!r}, with the rows of all; deliveries need a place of their own"
                    )
        return found

    def to_settings(self, folder: Path, config_path: Path | None = None) -> Settings:
        """Settings with every relative place counted from ``folder``."""

        def place(entry: Any) -> dict[str, str]:
            return {"url": resolve_url(entry.url, folder)}

        temp = self.duckdb.temp_directory
        return Settings(
            config_path=config_path,
            start_date=self.start_date,
            as_of=self.as_of,
            opening=self.opening,
            catalog=self.catalog,
            source=self.source
            if self.source.openmeter is not None
            else SourceSettings(
                cloudevents=self.source.cloudevents.model_copy(update=place(self.source.cloudevents))
            ),
            lake=self.lake.model_copy(update=place(self.lake)),
            duckdb=self.duckdb.model_copy(
                update={"temp_directory": resolve_url(temp, folder) if temp is not None else None}
            ),
            sql_path=Path(resolve_url(self.sql.path, folder)),
            days_per_run=self.days_per_run,
            billing=self.billing,
            destinations=tuple(d.model_copy(update=place(d)) for d in self.destinations),
            destination_assets=self.destination_assets,
        )


def _is_local(url: str) -> bool:
    return "://" not in url or url.startswith("file:")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of ``focus.yaml``, draft 2020-12, with snake_case keys."""
    schema = FocusFile.model_json_schema(by_alias=False)
    return {"$schema": JSON_SCHEMA_DIALECT, **schema, "title": "focus.yaml"}
