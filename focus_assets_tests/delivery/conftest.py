"""A lake with a few days of two customers, and a destination beside it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from focus_assets.lake import Lake
from focus_assets.settings import Destination
from focus_assets_tests.delivery.focus_rows import days, row, write_day

NOW = dt.datetime(2026, 9, 2, 6, 0, tzinfo=dt.UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """1 to 4 August 2026, two customers each day, on the third nobody used anything."""
    opened = Lake.open(str(tmp_path / "lake"))
    for day in days("2026-08-01", "2026-08-04"):
        write_day(opened, day, [] if day.day == 3 else [row(day, "acme", day.day), row(day, "globex", 7)])
    return opened


@pytest.fixture
def destination(tmp_path: Path) -> Destination:
    """A folder that gets everything."""
    return Destination(name="warehouse", url=str(tmp_path / "bucket"))
