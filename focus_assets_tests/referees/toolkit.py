"""focus-data-toolkit's checks of the four datasets of FOCUS 1.4, in an environment of its own.

It reads the workbook of 1.4 independently of this project and checks each dataset and all of them together. It is no
official validator: there is none for 1.4 yet. ``FOCUS_DATA_TOOLKIT`` names a prepared environment.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from focus_assets.focus.columns import (
    BILLING_PERIOD,
    CONTRACT_COMMITMENT,
    COST_AND_USAGE,
    INVOICE_DETAIL,
)
from focus_assets_tests.referees.environments import environment

PACKAGES = ("focus-data-toolkit==0.14.1",)
RUNNER = Path(__file__).with_name("run_toolkit.py")
NAMES = {
    COST_AND_USAGE: "Cost and Usage",
    BILLING_PERIOD: "Billing Period",
    INVOICE_DETAIL: "Invoice Detail",
    CONTRACT_COMMITMENT: "Contract Commitment",
}


@dataclass(frozen=True)
class Verdict:
    """What was looked at; and how often each finding was made: dataset (or ``bundle``), rule, and column or message."""

    datasets: frozenset[str]
    checks: tuple[str, ...]
    found: Mapping[tuple[str, str, str], int]


@dataclass(frozen=True)
class Toolkit:
    """An environment that has the toolkit."""

    root: Path

    def judge(self, datasets: Mapping[str, pl.DataFrame], work: Path) -> Verdict:
        """What the toolkit says of FOCUS 1.4 datasets, by our name of them, alone and together."""
        for dataset, rows in datasets.items():
            instants = pl.col(pl.Datetime).dt.to_string("%Y-%m-%dT%H:%M:%SZ")
            rows.with_columns(instants).write_csv(work / f"{NAMES[dataset]}.csv")
        command = [self.root / "bin" / "python", RUNNER, work]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        said = [line for line in done.stdout.splitlines() if line.startswith("VERDICT ")]
        if not said:
            raise RuntimeError(f"the toolkit crashed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        verdict = json.loads(said[-1].removeprefix("VERDICT "))
        found = {(dataset, rule, what): count for dataset, rule, what, count in verdict["found"]}
        return Verdict(frozenset(verdict["datasets"]), tuple(verdict["checks"]), found)


def installed() -> Toolkit:
    """The toolkit, installed now if it is not yet; raises ``Unavailable`` where it cannot be."""
    return Toolkit(environment("FOCUS_DATA_TOOLKIT", PACKAGES))
