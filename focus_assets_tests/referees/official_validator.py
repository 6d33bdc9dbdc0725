"""The official focus-validator 2.2.1 in an environment of its own, outside this project's.

It needs Python 3.12 or later and pins older Polars, DuckDB and NumPy, so the two never share an environment.
``FOCUS_VALIDATOR`` names a prepared environment; otherwise one is made below ``~/.cache/focus-assets`` with the
first Python that fits.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Without the second pin pip takes a pyarrow that needs a NumPy the validator does not allow.
PACKAGES = ("focus-validator==2.2.1", "pyarrow<26")
MODEL = "1.2.0.1"
"""The only rule model that the package brings; those of 1.3 and 1.4 are separate downloads."""

RUNNER = Path(__file__).with_name("run_validator.py")


class Unavailable(Exception):
    """The validator cannot be run on this machine; the message says why."""


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
    if named := os.environ.get("FOCUS_VALIDATOR"):
        return Validator(Path(named))
    root = Path.home() / ".cache" / "focus-assets" / PACKAGES[0].replace("==", "-")
    if (root / "complete").exists():
        return Validator(root)
    python = next(_pythons(), None)
    if python is None:
        raise Unavailable("no Python 3.12 or 3.13 was found; the official validator needs one")
    shutil.rmtree(root, ignore_errors=True)
    for command in (
        [python, "-m", "venv", root],
        [root / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        if done.returncode:
            raise Unavailable(f"{' '.join(PACKAGES)} could not be installed: {done.stderr.strip()[-300:]}")
    (root / "complete").touch()
    return Validator(root)


def _pythons() -> Iterator[Path]:
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in ("3.12", "3.13"):
        yield from sorted(versions.glob(f"{minor}.*/bin/python"), reverse=True)
        found = shutil.which(f"python{minor}")
        # A shim of pyenv exists for versions that are not selected, and then only says so.
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            yield Path(found)
