"""The catalog of days that have one already: what is OpenMeter's stays, what is the configuration's does not."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import yaml

from focus_assets.catalog.snapshot import Catalog
from focus_assets.lake import Lake
from focus_assets.settings import Settings
from focus_assets.usage_source import catalog_snapshots
from focus_assets_tests.billing.weeks import configuration

DAY = dt.date(2026, 8, 5)
GRANT: dict[str, Any] = {"key": "gift", "customer": "ann", "amount": "5"}


def settings_of(root: Path, *credits: dict[str, Any]) -> Settings:
    """An installation whose catalog is OpenMeter's, and its invoices are not; nothing listens there."""
    path = root / "focus.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "start_date": "2026-08-01",
                "defaults": configuration()["defaults"],
                "source": {"openmeter": {"url": "http://127.0.0.1:9", "invoices": "own"}},
                "credits": list(credits),
            }
        )
    )
    return Settings.load(path)


def kept(root: Path, *credits: dict[str, Any]) -> Catalog:
    """The snapshot of a day that has one, computed again with the credits of the configuration."""
    lake = Lake.open(str(root / "lake"))
    lake.write("catalog", DAY, Catalog.model_validate(configuration()).on(DAY).to_frame())
    [output] = catalog_snapshots(settings_of(root, *credits), lake, [DAY])
    return Catalog.from_frame(output.frame)


def test_credit_that_is_written_down_late_reaches_days_that_keep_their_catalog(tmp_path: Path) -> None:
    grants = [
        {**GRANT, "effective_at": "2026-08-03T00:00:00Z"},
        {**GRANT, "key": "later", "effective_at": "2026-08-06T00:00:00Z"},
    ]
    assert [grant.key for grant in kept(tmp_path, *grants).credits] == ["gift"]


def test_all_else_of_a_kept_catalog_is_what_it_was(tmp_path: Path) -> None:
    before = Catalog.model_validate(configuration()).on(DAY)
    assert kept(tmp_path).to_frame().collect().equals(before.to_frame().collect())
