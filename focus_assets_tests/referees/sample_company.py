"""The sample company as people run it: its FOCUS rows, and the datasets of 1.4 as a destination gets them.

``FOCUS_SAMPLE_COMPANY`` names a folder in which ``focus-assets demo`` has run; otherwise it is run, once for all
referees.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import yaml

from focus_assets.delivery.layout import FOLDERS
from focus_assets.focus.columns import DATASETS

_DESTINATION = "referee"


def sample_company(make_folder: Callable[[], Path]) -> Path:
    """The folder of the whole sample company, computed now if the environment names none."""
    if named := os.environ.get("FOCUS_SAMPLE_COMPANY"):
        return Path(named).absolute()
    folder = make_folder()
    _run(folder, "demo", "--data", str(folder))
    return folder


def focus_rows(company: Path) -> pl.LazyFrame:
    """Its rows of Cost and Usage, in the stored shape."""
    return pl.scan_parquet(sorted(company.glob("lake/focus_cost_and_usage/*/part-0.parquet")))


def delivered_datasets(company: Path, work: Path) -> dict[str, pl.DataFrame]:
    """The four datasets of FOCUS 1.4, by their names in ``focus.columns``, as CSV of all customers has them: as text.

    They are delivered from a copy of the lake, which learns of it.
    """
    configured = yaml.safe_load((company / "focus.yaml").read_text(encoding="utf-8"))
    configured["destinations"] = [
        {
            "name": _DESTINATION,
            "url": "bucket",
            "focus_version": "1.4",
            "format": "csv",
            "datasets": list(DATASETS),
        }
    ]
    (work / "focus.yaml").write_text(yaml.safe_dump(configured), encoding="utf-8")
    shutil.copytree(company / "lake", work / "lake")
    (work / "events").symlink_to(company / "events")
    _run(work, "deliver", "--config", "focus.yaml", "--destination", _DESTINATION, "--from", "2026-08")
    return {dataset: _delivered(work / "bucket", dataset) for dataset in DATASETS}


def _delivered(bucket: Path, dataset: str) -> pl.DataFrame:
    folder = bucket / dataset if dataset in FOLDERS.values() else bucket
    files = sorted(folder.glob("billing_period=*/*.csv.gz"))
    return pl.concat(pl.read_csv(file, infer_schema=False) for file in files)


def _run(folder: Path, *arguments: str) -> None:
    code = "from focus_assets.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
