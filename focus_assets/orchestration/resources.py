"""Resources: the lake as Dagster configures it, and the connection that meters events.

S3 credentials come from the environment or from dagster-aws (``orchestration.s3``), never from run config.
"""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource
from pydantic import PrivateAttr

from focus_assets.lake import Lake
from focus_assets.settings import Settings
from focus_assets.sql import create_views


class LakeResource(dg.ConfigurableResource[Lake]):
    """Where the usage chain is kept: a folder, or an S3, GCS or Azure prefix."""

    url: str
    options: dict[str, str] = {}
    views_path: str | None = None
    lease_wait_seconds: int = 600

    _lake: Lake | None = PrivateAttr(default=None)

    def open(self) -> Lake:
        """The lake; opened once for each process."""
        if self._lake is None:
            self._lake = Lake.open(
                self.url, options=self.store_options(), credential_provider=self.credential_provider()
            )
        return self._lake

    def store_options(self) -> Mapping[str, str]:
        """Options of the object store that are no secrets."""
        return self.options

    def credential_provider(self) -> Any:
        """What signs requests; ``None`` leaves it to the environment."""
        return None

    def lease_wait(self) -> dt.timedelta:
        """How long a run waits for another writer to finish."""
        return dt.timedelta(seconds=self.lease_wait_seconds)

    def refresh_views(self) -> None:
        """Replace the DuckDB file whose views read this lake, if one is configured."""
        if self.views_path is not None:
            create_views(Path(self.views_path), self.open())


def lake_resource(settings: Settings) -> LakeResource:
    """The lake of the settings; dagster-aws is imported only for a lake on S3, for it costs seconds."""
    views = str(settings.sql_path) if settings.sql_path else None
    if settings.lake.url.startswith("s3://"):
        from focus_assets.orchestration.s3 import s3_lake_resource

        return s3_lake_resource(settings, views)
    return LakeResource(url=settings.lake.url, views_path=views)


def duckdb_resource(settings: Settings) -> DuckDBResource:
    """The in-memory DuckDB that meters events, with its limits stated: the defaults take the whole machine."""
    config: dict[str, Any] = {
        "memory_limit": settings.duckdb.memory_limit,
        "threads": settings.duckdb.threads,
    }
    if settings.duckdb.temp_directory is not None:
        config["temp_directory"] = str(settings.duckdb.temp_directory)
    return DuckDBResource(database=":memory:", connection_config=config)
