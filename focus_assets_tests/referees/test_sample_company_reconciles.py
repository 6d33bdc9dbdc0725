"""The sample company's closed periods add up: each line of each invoice is what its charge rated at once comes to."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

pytestmark = pytest.mark.referee


def test_its_closed_periods_reconcile_with_zero_difference(company: Path) -> None:
    code = "from focus_assets.cli import main; main()"
    command = ["reconcile", "--period", "2026-08", "--lines", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--config", str(company / "focus.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    lines = json.loads(done.stdout)
    assert len(lines) > 20
    assert {Decimal(line["difference"]) for line in lines} == {Decimal(0)}
    assert {line["finding"] for line in lines} == {None}
