"""Where the logs of real usage lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE_THE_PROJECT = Path(__file__).parents[3] / "shared" / "data"


def log(name: str) -> Path:
    """The path of the log called ``name``; skips the test, saying where it looked, where there is none."""
    folder = Path(os.environ.get("FOCUS_ASSETS_REAL_USAGE") or _BESIDE_THE_PROJECT)
    path = folder / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {os.path.relpath(folder)}; name its folder in FOCUS_ASSETS_REAL_USAGE")
    return path
