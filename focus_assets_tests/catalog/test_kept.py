"""Snapshots that are remembered are those that the lake holds now."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from focus_assets.catalog.kept import catalog_in
from focus_assets.catalog.snapshot import Catalog
from focus_assets.lake import CorruptPartition, Lake, MissingPartitions
from focus_assets_tests.billing.weeks import configuration

FIRST, SECOND = dt.date(2026, 8, 1), dt.date(2026, 8, 2)


def catalog(provider: str) -> Catalog:
    own = configuration()
    return Catalog.model_validate({**own, "defaults": {**own["defaults"], "provider_name": provider}})


def written(lake: Lake, day: dt.date, provider: str) -> None:
    lake.write("catalog", day, catalog(provider).to_frame())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(str(tmp_path / "lake"))


def test_days_of_one_snapshot_share_what_was_read(lake: Lake) -> None:
    for day in (FIRST, SECOND):
        written(lake, day, "Vendor")
    assert catalog_in(lake, FIRST).to_frame().collect().equals(catalog("Vendor").to_frame().collect())
    assert catalog_in(lake, SECOND) is catalog_in(lake, FIRST)


def test_a_snapshot_that_was_written_again_is_the_new_one(lake: Lake) -> None:
    written(lake, FIRST, "Old Vendor")
    assert catalog_in(lake, FIRST).defaults.provider_name == "Old Vendor"
    written(lake, FIRST, "New Vendor")
    assert catalog_in(lake, FIRST).defaults.provider_name == "New Vendor"


def test_a_file_that_was_damaged_since_it_was_read_is_found(lake: Lake, tmp_path: Path) -> None:
    written(lake, FIRST, "Vendor")
    catalog_in(lake, FIRST)
    [file] = (tmp_path / "lake" / "catalog").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(CorruptPartition, match="catalog"):
        catalog_in(lake, FIRST)


def test_a_file_that_a_writer_replaces_meanwhile_is_not_remembered_as_the_one_before(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(lake, FIRST, "Vendor Before")
    written(lake, SECOND, "Vendor Before")
    files = lake.files

    def replaced_first(dataset: str, days: list[dt.date]) -> list[Path]:
        written(lake, FIRST, "Vendor Meanwhile")
        return files(dataset, days)

    with monkeypatch.context() as patch:
        patch.setattr(lake, "files", replaced_first)
        assert catalog_in(lake, FIRST).defaults.provider_name == "Vendor Meanwhile"
    assert catalog_in(lake, SECOND).defaults.provider_name == "Vendor Before"


def test_a_day_without_a_snapshot_is_missing(lake: Lake) -> None:
    with pytest.raises(MissingPartitions, match="2026-08-01"):
        catalog_in(lake, FIRST)
