"""Runs whose process is gone but which the instance still believes to be running.

A killed run stays STARTED for ever and would hold back the export sensor and the runs queued behind it. Runs that
this package starts in its own process carry its process id as a tag; a run whose process no longer exists, or is
another by now, is dead. Runs that the UI starts carry the socket of their code server, which ends with them.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

PROCESS_TAG = "focus_assets/process"
SERVER_TAG = ".dagster/grpc_info"
"""Set by Dagster's default run launcher: host with port, or the socket, of the code server that runs the run."""

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
    return [run for run in runs if _is_dead(run)]


def runs_in(home: Path) -> list[str]:
    """The ids of such runs in the instance whose ``dagster.yaml`` lies in ``home``."""
    with DagsterInstance.from_config(str(home)) as instance:
        return [run.run_id for run in find(instance)]


def mark_failed(instance: DagsterInstance) -> list[str]:
    """Report each orphan as failed; returns their run ids."""
    orphans = find(instance)
    for run in orphans:
        instance.report_run_failed(
            run, "The process of this run ended without a word; another run took over."
        )
    return [run.run_id for run in orphans]


def _is_dead(run: DagsterRun) -> bool:
    if PROCESS_TAG in run.tags:
        host, pid, _ = run.tags[PROCESS_TAG].rsplit(":", 2)
        return host == socket.gethostname() and _name(int(pid)) != run.tags[PROCESS_TAG]
    # A server with a port may be on another machine; nothing is said about its runs.
    server = json.loads(run.tags.get(SERVER_TAG, "{}")).get("socket")
    return server is not None and not _listens(server)


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _name(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{_started(pid)}"


def _started(pid: int) -> str:
    """When the process began, in clock ticks: process ids are used again. Empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""
