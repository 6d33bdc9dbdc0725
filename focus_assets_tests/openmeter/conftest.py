"""The small company's event files and its server, read once for all tests of this folder."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from focus_assets_tests.openmeter.company import catalog, company, events, from_files, write
from focus_assets_tests.openmeter_server.app import Company


@pytest.fixture(scope="session")
def event_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("events"), events())


@pytest.fixture(scope="session")
def raw_from_files(event_files: Path) -> dict[dt.date, pl.DataFrame]:
    return from_files(event_files, catalog())


@pytest.fixture(scope="session")
def server_company(event_files: Path) -> Iterator[Company]:
    with company(event_files, catalog()) as opened:
        yield opened
