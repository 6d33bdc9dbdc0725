"""The official focus-validator 2.2.1 in an environment of its own, outside this project's.

It needs Python 3.12 or later and pins older Polars, DuckDB and NumPy, so the two never share an environment.
``FOCUS_VALIDATOR`` names a prepared one.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from focus_assets_tests.referees.environments import environment

# Without the second pin pip takes a pyarrow that needs a NumPy the validator does not allow.
PACKAGES = ("focus-validator==2.2.1", "pyarrow<26")
MODEL = "1.2.0.1"
"""The only rule model that the package brings; those of 1.3 and 1.4 are separate downloads."""

RUNNER = Path(__file__).with_name("run_validator.py")


@dataclass(frozen=True)
class Verdict:
    """Rules that passed, by number, and rules that failed, by id; rules that were skipped are in neither."""

    passed: int
    failed: frozenset[str]


@dataclass(frozen=True)
class Validator:
    """An environment that has the validator."""

    root: Path

    def judge(self, file: Path, criteria: str, work: Path) -> Verdict:
        """What the validator says of a Parquet file of FOCUS 1.2 with those applicability criteria granted."""
        [packages] = self.root.glob("lib/python3.*/site-packages")
        done = subprocess.run(
            [self.root / "bin" / "python", RUNNER, file, work / "verdicts.xml", MODEL, criteria],
            cwd=packages,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        said = [line for line in done.stdout.splitlines() if line.startswith("VERDICT ")]
        if not said:
            raise RuntimeError(f"the validator crashed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        verdict = json.loads(said[-1].removeprefix("VERDICT "))
        return Verdict(verdict["passed"], frozenset(verdict["failed"]))


def installed() -> Validator:
    """The validator, installed now if it is not yet.

    Raises:
        Unavailable: no Python that fits, or the packages cannot be had.
    """
    return Validator(environment("FOCUS_VALIDATOR", PACKAGES))
