"""The sample company's FOCUS rows, computed by the command that people run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl

from focus_assets.billing.datasets import BILLING_PERIODS, FOCUS_DATASET
from focus_assets.billing.periods import by_issuer
from focus_assets.focus.columns import BILLING_PERIOD, COST_AND_USAGE
from focus_assets.focus.project import project

DAYS = 3


def focus_rows(folder: Path) -> pl.LazyFrame:
    """Rows of the first days, in the stored shape."""
    _computed(folder, "--days", str(DAYS))
    return _rows(folder, "focus_cost_and_usage")


def four_datasets(folder: Path) -> dict[str, pl.DataFrame]:
    """The four datasets of FOCUS 1.4 with all that the sample company has, by their names in ``focus.columns``."""
    _computed(folder)
    periods = by_issuer(_rows(folder, BILLING_PERIODS.name)).lazy()
    found = {COST_AND_USAGE: _rows(folder, "focus_cost_and_usage"), BILLING_PERIOD: periods}
    found |= {
        of_focus: _rows(folder, name) for name, of_focus in FOCUS_DATASET.items() if of_focus not in found
    }
    return {dataset: project(rows, "1.4", dataset).collect() for dataset, rows in found.items()}


def _computed(folder: Path, *options: str) -> None:
    code = "from focus_assets.cli import main; main()"
    command = [sys.executable, "-c", code, "demo", "--data", str(folder), *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def _rows(folder: Path, dataset: str) -> pl.LazyFrame:
    return pl.scan_parquet(sorted(folder.glob(f"lake/{dataset}/*/part-0.parquet")))
