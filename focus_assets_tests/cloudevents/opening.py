"""Opening event files in tests: settings, a small DuckDB, events written to a folder."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb


@dataclass(frozen=True)
class Settings:
    """What the source reads of ``focus.yaml``."""

    url: str
    window: str = "hour"
    lookback_days: int = 32


@contextmanager
def small_duckdb() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"memory_limit": "512MB", "threads": 2})
    try:
        yield connection
    finally:
        connection.close()


def event(id: str = "e1", **changes: Any) -> dict[str, Any]:
    """A valid event; ``changes`` replace attributes, and remove those that are ``...``."""
    whole = {
        "specversion": "1.0",
        "id": id,
        "source": "test",
        "type": "request",
        "subject": "acme",
        "time": "2026-08-15T10:30:00Z",
        "data": {"tokens": 1},
    } | changes
    return {key: value for key, value in whole.items() if value is not ...}


def write_lines(path: Path, events: Iterable[Mapping[str, Any] | str]) -> Path:
    """An NDJSON file; a text is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [e if isinstance(e, str) else json.dumps(e) for e in events]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)
