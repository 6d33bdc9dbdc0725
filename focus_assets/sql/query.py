"""Questions to the lake in SQL, for one answer each.

What belongs here: running a statement over the views. What does not: how an answer is printed (``commands``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from focus_assets.errors import FocusAssetsError
from focus_assets.lake import Lake
from focus_assets.settings import DuckDBSettings, Settings
from focus_assets.settings.access import open_lake
from focus_assets.sql.ledger_view import LedgerView
from focus_assets.sql.view_file import all_views, dataset_glob

_Config = dict[str, str | bool | int | float | list[str]]


class SqlProblem(FocusAssetsError):
    """A statement that DuckDB cannot run."""


@dataclass(frozen=True)
class Answer:
    """Column names and rows of an answer; decimals are ``Decimal``, instants aware and UTC."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def query(settings: Settings, sql: str) -> Answer:
    """Run one statement over the views of the lake as it is now.

    The views live in memory, so the DuckDB file is neither needed nor opened. Of a lake in a bucket the
    datasets that the statement names are downloaded first, and proven against their digests.

    Raises:
        SqlProblem: not one statement, or one that DuckDB refuses.
    """
    connection = duckdb.connect(":memory:", config=_config(settings.duckdb))
    copies = TemporaryDirectory(prefix="focus-assets-sql-")
    try:
        connection.execute("SET TimeZone = 'UTC'")
        if len(connection.extract_statements(sql)) != 1:
            raise SqlProblem("expected one SQL statement, such as: select * from focus_1_2 limit 10")
        _open_views(connection, open_lake(settings), sql, Path(copies.name))
        found = connection.execute(sql)
        columns = tuple(str(column[0]) for column in found.description or ())
        return Answer(columns, found.fetchall())
    except duckdb.CatalogException as error:
        names = ", ".join(view.name for view in all_views())
        raise SqlProblem(f"{error}\nViews: {names}") from error
    except duckdb.Error as error:
        raise SqlProblem(str(error)) from error
    finally:
        connection.close()
        copies.cleanup()


def _open_views(connection: duckdb.DuckDBPyConnection, lake: Lake, sql: str, folder: Path) -> None:
    root = lake.store.local_root
    if root is None:
        root = folder
        wanted = connection.get_table_names(sql)
        for dataset in sorted({view.dataset for view in all_views() if view.name in wanted}):
            _lay_out(lake, dataset, folder)
    for view in all_views():
        connection.execute(view.sql(dataset_glob(root, view.dataset)))


def _lay_out(lake: Lake, dataset: str, folder: Path) -> None:
    """Link proven copies of a dataset's files where a local lake would have them: the path says the day."""
    if dataset == LedgerView.dataset:
        for info in lake.store.list(f"{dataset}/"):
            (folder / info.path).parent.mkdir(parents=True, exist_ok=True)
            lake.store.download(info.path, folder / info.path)
        return
    days = lake.days(dataset)
    for day, copy in zip(days, lake.files(dataset, days) if days else [], strict=True):
        link = folder / lake.path(dataset, day)
        link.parent.mkdir(parents=True)
        link.symlink_to(copy)


def _config(duckdb_settings: DuckDBSettings) -> _Config:
    config: _Config = {"memory_limit": duckdb_settings.memory_limit, "threads": str(duckdb_settings.threads)}
    if duckdb_settings.temp_directory is not None:
        config["temp_directory"] = duckdb_settings.temp_directory
    return config
