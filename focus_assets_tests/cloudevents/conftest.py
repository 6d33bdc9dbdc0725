"""A DuckDB connection for the tests of this folder, small as a user's may be and in a zone that is not UTC."""

from collections.abc import Iterator

import duckdb
import pytest


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"memory_limit": "512MB", "threads": 2}) as opened:
        opened.execute("SET TimeZone = 'America/New_York'")
        yield opened
