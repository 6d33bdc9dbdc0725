"""Environments of referees: each has one of its own, outside this project's.

A variable of the process names a prepared environment; otherwise one is made below ``~/.cache/focus-assets`` with the
first Python 3.12 or 3.13 that is found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path


class Unavailable(Exception):
    """A referee cannot be run on this machine; the message says why."""


def environment(variable: str, packages: Sequence[str]) -> Path:
    """The environment that has ``packages``, made now if it is not there; it is called after the first of them.

    Raises:
        Unavailable: no Python that fits, or the packages cannot be had.
    """
    if named := os.environ.get(variable):
        return Path(named)
    root = Path.home() / ".cache" / "focus-assets" / packages[0].replace("==", "-")
    if (root / "complete").exists():
        return root
    python = next(_pythons(), None)
    if python is None:
        raise Unavailable(f"no Python 3.12 or 3.13 was found; {packages[0]} gets one")
    shutil.rmtree(root, ignore_errors=True)
    for command in (
        [python, "-m", "venv", root],
        [root / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        if done.returncode:
            raise Unavailable(f"{' '.join(packages)} could not be installed: {done.stderr.strip()[-300:]}")
    (root / "complete").touch()
    return root


def _pythons() -> Iterator[Path]:
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in ("3.12", "3.13"):
        yield from sorted(versions.glob(f"{minor}.*/bin/python"), reverse=True)
        found = shutil.which(f"python{minor}")
        # A shim of pyenv exists for versions that are not selected, and then only says so.
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            yield Path(found)
