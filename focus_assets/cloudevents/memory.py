"""How much of DuckDB's memory the events of a run may take.

What belongs here: the share, and giving it back. What does not: the limit itself, which is its owner's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

from duckdb import DuckDBPyConnection

_SHARE: Final = 3
"""Events take one part of so many. They are read two or three times; that they come from disk costs next to nothing."""

_LEAST_BYTES: Final = 512 * 2**20
_UNITS: Final = {unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)}


@contextmanager
def limited(connection: DuckDBPyConnection, limit: int | None) -> Iterator[None]:
    """Hold DuckDB to ``limit`` bytes, and then to what it was held to before; None changes nothing.

    DuckDB tells a limit to one digit after the point, rounded down: that is what it has afterwards.
    """
    before = memory_limit(connection)
    if limit is None or before is None:
        yield
        return
    connection.execute(f"SET memory_limit = '{limit} bytes'")
    try:
        yield
    finally:
        connection.execute(f"SET memory_limit = '{before} bytes'")


def part_of(limit: int | None) -> int | None:
    """The part of a limit that events may take, in bytes."""
    return None if limit is None else min(limit, max(limit // _SHARE, _LEAST_BYTES))


def memory_limit(connection: DuckDBPyConnection) -> int | None:
    """The limit in force, in bytes; None where there is practically none."""
    number, _, unit = (
        connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0].partition(" ")
    )
    # The least limit that is written so: what is rounded down again and again would sink.
    return math.ceil(Decimal(number) * 1024) * _UNITS[unit] // 1024 if unit in _UNITS else None
