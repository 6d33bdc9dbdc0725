"""The DuckDB file of views beside the lake: built aside, put in place whole.

What belongs here: the file. What does not: the views (``views``) and questions (``query``).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import duckdb

from focus_assets.errors import FocusAssetsError
from focus_assets.lake import Lake
from focus_assets.sql.ledger_view import LEDGER_GLOB, LedgerView
from focus_assets.sql.views import View, identifier, literal_glob, text, views

_ABOUT: Final = "focus_assets"
"""A schema of the file that says which views it was built with; the views are in the default schema."""


class ViewFileProblem(FocusAssetsError):
    """The DuckDB file of views could not be written."""


def create_views(path: Path, lake: Lake) -> bool:
    """Put a DuckDB file at ``path`` with a view for each dataset and FOCUS version of a local lake.

    The views hold absolute globs, so days that are written later are seen. Returns whether the file was
    replaced: one that holds these views already is left untouched. A lake in a bucket gets no file, because
    DuckDB reads buckets only with an extension that it would have to download; ``query`` reads those. Call it as
    the lake's writer: two processes at once would build in one place.

    Raises:
        ViewFileProblem: the file cannot be written; the old one is still there.
    """
    root = lake.store.local_root
    if root is None:
        return False
    statements = _statements(root)
    # The same place every time: what a killed process left there goes with the next run.
    folder = path.with_name(f".{path.name}.new")
    shutil.rmtree(folder, ignore_errors=True)
    if _holds(path, statements):
        return False
    try:
        folder.mkdir(parents=True)
        aside = folder / path.name
        _build(aside, statements)
        aside.replace(path)
    except (OSError, duckdb.IOException) as error:
        raise ViewFileProblem(
            f"{path}: the SQL views could not be written: {error}. The datasets are complete; make the "
            "folder writable, or set sql.path in focus.yaml, and run again."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return True


def dataset_glob(root: Path, dataset: str) -> list[str]:
    """The glob of a dataset's files, or of the ledger's, below a local lake; none where it has no file yet."""
    pattern = LEDGER_GLOB if dataset == LedgerView.dataset else f"{dataset}/charge_date=*/part-0.parquet"
    if next(root.glob(pattern), None) is None:
        return []
    return [f"{literal_glob(root.resolve().as_posix())}/{pattern}"]


def all_views() -> list[View | LedgerView]:
    """Every view, sorted by name."""
    return sorted((*views(), LedgerView()), key=lambda view: view.name)


def _statements(root: Path) -> list[str]:
    found: list[str] = []
    for view in all_views():
        found += [view.sql(dataset_glob(root, view.dataset)), _comment(view)]
    return found


def _comment(view: View | LedgerView) -> str:
    return f"COMMENT ON VIEW {identifier(view.name)} IS {text(view.comment)}"


def _build(aside: Path, statements: list[str]) -> None:
    # One transaction and one thread: the statements are many and small.
    connection = duckdb.connect(str(aside), config={"threads": 1})
    try:
        connection.execute("BEGIN")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"CREATE SCHEMA {_ABOUT}")
        connection.execute(f"CREATE TABLE {_ABOUT}.views (statement VARCHAR)")
        connection.executemany(f"INSERT INTO {_ABOUT}.views VALUES (?)", [[s] for s in statements])  # noqa: S608
        connection.execute("COMMIT")
        connection.execute("CHECKPOINT")
    finally:
        connection.close()
    with aside.open("rb") as file:
        os.fsync(file.fileno())


def _holds(path: Path, statements: list[str]) -> bool:
    if not path.is_file():
        return False
    try:
        connection = duckdb.connect(str(path), read_only=True)
        try:
            rows = connection.execute(
                f"SELECT statement FROM {_ABOUT}.views ORDER BY rowid"  # noqa: S608
            ).fetchall()
        finally:
            connection.close()
    except duckdb.Error:
        # Another version's file, something else, or open elsewhere for writing: replaced either way.
        return False
    return [row[0] for row in rows] == statements
