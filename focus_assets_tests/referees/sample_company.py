"""The sample company's FOCUS rows, computed by the command that people run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl

DAYS = 3


def focus_rows(folder: Path) -> pl.LazyFrame:
    """Rows of the first days, in the stored shape."""
    code = "from focus_assets.cli import main; main()"
    command = [sys.executable, "-c", code, "demo", "--data", str(folder), "--days", str(DAYS)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return pl.scan_parquet(sorted(folder.glob("lake/focus_cost_and_usage/*/part-0.parquet")))
