"""Lakes as sequences of computations left them, so that tests that begin alike are computed once.

What belongs here: keeping and giving such lakes within this process. What does not: what is computed (``weeks``).
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from functools import cached_property
from pathlib import Path

Files = dict[str, tuple[int, int]]
"""Size and time of every file, by its path in the lake."""


def files(root: Path) -> Files:
    """What lies in a lake."""
    found = (file for file in root.rglob("*") if file.is_file())
    return {
        str(file.relative_to(root)): (stat.st_size, stat.st_mtime_ns)
        for file in found
        for stat in [file.stat()]
    }


def after(state: str, computation: str) -> str:
    """The name of the lake that a computation makes of the lake ``state``."""
    return hashlib.sha256(f"{state}\n{computation}".encode()).hexdigest()


class ComputedLakes:
    """By name, for as long as this process runs."""

    def __init__(self) -> None:
        self._kept: set[str] = set()

    def keep(self, name: str, root: Path) -> None:
        """Remember the lake at ``root`` as it is."""
        shutil.copytree(root, self._folder(name))
        self._kept.add(name)

    def give(self, name: str, root: Path) -> bool:
        """Make the lake at ``root`` the one kept as ``name``; False if there is none."""
        if name not in self._kept:
            return False
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self._folder(name), root)
        return True

    def _folder(self, name: str) -> Path:
        return Path(self._root.name) / name

    @cached_property
    def _root(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="computed-lakes-")
