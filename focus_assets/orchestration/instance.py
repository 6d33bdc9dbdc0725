"""The Dagster instance of this machine: a folder with ``dagster.yaml`` and SQLite beside the lake.

What belongs here: finding or making it. What does not: what runs on it.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef

from focus_assets.orchestration.event_log import BATCHES, kept_open
from focus_assets.settings import Settings


def prepare_home(folder: Path) -> Path:
    """Make ``folder`` a DAGSTER_HOME, with this package's ``dagster.yaml`` unless it has one; returns its path."""
    home = folder.absolute()
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        text = (
            resources.files("focus_assets.orchestration").joinpath("dagster.yaml").read_text(encoding="utf-8")
        )
        aside = home / ".dagster.yaml.new"
        aside.write_text(text, encoding="utf-8")
        aside.replace(config)
    return home


def home_of(settings: Settings) -> Path:
    """``$DAGSTER_HOME``, or the folder of the settings where that is not set; made ready to use."""
    named = os.environ.get("DAGSTER_HOME")
    return prepare_home(Path(named) if named else settings.dagster_home)


def local_instance(settings: Settings) -> DagsterInstance:
    """The instance in :func:`home_of` the settings, with its event log kept open and written in batches."""
    for name, value in BATCHES.items():
        os.environ.setdefault(name, value)
    return DagsterInstance.from_ref(kept_open(InstanceRef.from_dir(str(home_of(settings)))))
