"""Runs whose process is gone but which the instance still believes to be running.

A killed run stays STARTED for ever and would hold back the export sensor. Runs that this package starts in its
own process carry its process id as a tag; a run whose process no longer exists, or is another by now, is dead.
"""

from __future__ import annotations

import socket
from pathlib import Path

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

PROCESS_TAG = "focus_assets/process"
_UNFINISHED = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def process_tags() -> dict[str, str]:
    """Tags that say which process a run lives in."""
    import os

    return {PROCESS_TAG: _name(os.getpid())}


def find(instance: DagsterInstance) -> list[DagsterRun]:
    """Unfinished runs of this machine whose process is gone."""
    runs = instance.get_runs(RunsFilter(statuses=_UNFINISHED))
    return [run for run in runs if _is_dead(run.tags.get(PROCESS_TAG))]


def mark_failed(instance: DagsterInstance) -> list[str]:
    """Report each orphan as failed; returns their run ids."""
    orphans = find(instance)
    for run in orphans:
        instance.report_run_failed(
            run, "The process of this run ended without a word; another run took over."
        )
    return [run.run_id for run in orphans]


def _is_dead(tag: str | None) -> bool:
    if tag is None:
        return False
    host, pid, _ = tag.rsplit(":", 2)
    return host == socket.gethostname() and _name(int(pid)) != tag


def _name(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{_started(pid)}"


def _started(pid: int) -> str:
    """When the process began, in clock ticks: process ids are used again. Empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""
