"""The settings a process runs with when nobody configured anything.

What belongs here: the fall-back to the sample company. What does not: the sample company itself (``demo``).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from focus_assets.settings.models import NoConfiguration, Settings


def settings_or_sample(path: Path | None = None, *, root: Path | None = None) -> Settings:
    """As :meth:`Settings.load`; where nothing is configured, the sample company's with its data in ``root``.

    ``root`` is the working directory unless given. Raises ConfigurationError for a file that cannot be
    used: a broken configuration never turns into the sample.
    """
    try:
        return Settings.load(path)
    except NoConfiguration:
        # By name: the sample stands after everything else in the chain of packages, and needs this package.
        demo = import_module("focus_assets.demo")
        sample: Settings = demo.sample_settings(root or Path.cwd())
        return sample
