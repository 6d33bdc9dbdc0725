"""The small demo as a process that can be killed, and what it leaves behind.

What belongs here: starting, watching and ending it, and reading its folder. What does not: what must hold
afterwards (``test_killed_demo``).
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, EventRecordsFilter

from focus_assets.cli import main
from focus_assets.cloudevents.file_days import MEMORY
from focus_assets.delivery.newest import PATH as NEWEST
from focus_assets.demo.events import LATE

DAYS = 4
LAST_DAY = f"2026-08-{DAYS:02}"
FINISHED = {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}
NO_DATA = {".put.lock", MEMORY, Path(NEWEST).name}
"""A lock file that a run makes only where it finds something to replace, empty; what is remembered of event files and
their times, from which nothing is computed that could not be read again; and the copy of the ledger's newest entries,
in whose place the note of a killed process stands for a quarter of an hour."""

_SERVER = get_context("forkserver")
# What the demo imports, some of it while it works: imported once, it saves each process five CPU seconds. Polars has
# not been asked for anything when the server forks, so none of its threads is missing in the fork.
_SERVER.set_forkserver_preload(
    [
        "focus_assets.commands.demo",
        "focus_assets.commands.whole_chain",
        "focus_assets.definitions",
        "focus_assets.demo.late",
        "focus_assets.orchestration.in_process",
        "focus_assets.orchestration.instance",
        "alembic.command",
        "sqlalchemy.dialects.sqlite",
    ]
)

_POLL = 0.001
_PATIENCE = 300


OF_THE_RUN = ("run_id", "started_at", "finished_at")
"""What an entry of the ledger says of the run that delivered."""


@dataclass(frozen=True)
class Phase:
    """A part of the demo's run; it begins when ``marker`` (one of several) is there, below the data folder."""

    name: str
    markers: tuple[str, ...]


PHASES = (
    Phase("starting", (".",)),
    Phase("events", (".events.new", "events")),
    Phase("chain", ("lake/catalog",)),
    Phase("checks", (f"lake/focus_cost_and_usage/charge_date={LAST_DAY}/_record.json",)),
    Phase("delivery", ("bucket",)),
    Phase("late events", (f"events/{LATE}",)),
    Phase("ending", ("lake/_ledger/finance/2026-08/000002.json",)),
)


@dataclass(frozen=True)
class Ended:
    """A run that is over: its exit code (negative: the signal that ended it) and what it printed."""

    code: int
    output: str


class DemoFolder:
    """A folder in which the demo runs; the path is part of what it writes, so equal runs need the same one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.temporary = root / "tmp"

    def clear(self) -> None:
        """Nothing here any more."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.data.mkdir(parents=True)
        self.temporary.mkdir()

    def hold(self, other: DemoFolder) -> None:
        """The same here as in ``other``, times included."""
        self.clear()
        shutil.copytree(other.data, self.data, dirs_exist_ok=True)

    def start(self) -> ForkServerProcess:
        """The demo in a session, and so a process group, of its own."""
        process = _SERVER.Process(target=_demo, args=(self.root, self.data, self.temporary))
        process.start()
        while process.exitcode is None and os.getpgid(process.pid or 0) != process.pid:
            time.sleep(_POLL)
        return process

    def run(self) -> Ended:
        """The demo, to its end."""
        return self._ended(self.start())

    def run_measured(self) -> tuple[Ended, dict[str, float], float]:
        """The demo to its end, when each phase began, in seconds from the start, and when all was over."""
        began = time.monotonic()
        process = self.start()
        phases: dict[str, float] = {}
        for phase in PHASES:
            self._await(phase, process)
            phases[phase.name] = time.monotonic() - began
        ended = self._ended(process)
        return ended, phases, time.monotonic() - began

    def kill_in(self, phase: Phase, after: float) -> int:
        """Start the demo and kill its whole group ``after`` seconds in ``phase``; returns the exit code."""
        process = self.start()
        self._await(phase, process)
        return self._kill(process, after)

    def kill_after(self, seconds: float) -> int:
        """Start the demo and kill its whole group after a time; returns the exit code."""
        return self._kill(self.start(), seconds)

    def contents(self, *below: str) -> dict[str, str]:
        """The digest of every file below folders of the data folder, but for :data:`NO_DATA`.

        Of entries of the ledger, without which run delivered and when by the clock: no two runs agree on that.
        """
        return {
            str(file.relative_to(self.data)): hashlib.sha256(_repeatable(file)).hexdigest()
            for folder in below
            for file in sorted((self.data / folder).rglob("*"))
            if file.is_file() and file.name not in NO_DATA
        }

    def touched(self, *below: str) -> dict[str, tuple[int, int, int]]:
        """Inode, size and modification time of every file below folders of the data folder."""
        return {
            str(file.relative_to(self.data)): (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            for folder in below
            for file in sorted((self.data / folder).rglob("*"))
            if file.is_file() and file.name not in NO_DATA
            for stat in [file.stat()]
        }

    def unfinished_runs(self) -> list[str]:
        """Runs that Dagster believes to be under way."""
        with DagsterInstance.from_config(str(self.data / "dagster")) as instance:
            return [
                f"{run.job_name}: {run.status}" for run in instance.get_runs() if run.status not in FINISHED
            ]

    def history(self) -> tuple[int, int]:
        """How many runs and materializations Dagster knows of."""
        with DagsterInstance.from_config(str(self.data / "dagster")) as instance:
            written = instance.get_event_records(EventRecordsFilter(DagsterEventType.ASSET_MATERIALIZATION))
            return len(instance.get_runs()), len(written)

    def leftovers(self) -> list[str]:
        """What lies in the folder for temporary files, and names at the top of the data folder that are hidden."""
        found = [str(path.relative_to(self.root)) for path in sorted(self.temporary.rglob("*"))]
        return found + [path.name for path in sorted(self.data.iterdir()) if path.name.startswith(".")]

    def _await(self, phase: Phase, process: ForkServerProcess) -> None:
        while not any((self.data / marker).exists() for marker in phase.markers):
            if process.exitcode is not None:
                raise AssertionError(f"the demo ended before {phase.name}: {self._output()}")
            time.sleep(_POLL)

    def _kill(self, process: ForkServerProcess, after: float) -> int:
        process.join(after)
        if process.exitcode is None:
            _kill_group(process)
        return _code(process)

    def _ended(self, process: ForkServerProcess) -> Ended:
        try:
            return Ended(_code(process), self._output())
        except BaseException:
            _kill_group(process)
            raise

    def _output(self) -> str:
        return (self.root / "output").read_text(errors="replace")


def _demo(root: Path, data: Path, temporary: Path) -> None:
    """The command, as a shell would start it in ``root``, with what it prints appended to a file there."""
    os.setsid()
    os.chdir(root)
    os.environ.update(TMPDIR=str(temporary), COLUMNS="200")
    with (root / "output").open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.argv = ["focus-assets", "demo", "--data", str(data), "--days", str(DAYS), "--customers", "3"]
    try:
        main()
    finally:
        # A forked process ends without them: temporary folders are removed so.
        atexit._run_exitfuncs()


def _kill_group(process: ForkServerProcess) -> None:
    assert process.pid is not None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _code(process: ForkServerProcess) -> int:
    """How it ended."""
    process.join(_PATIENCE)
    assert process.exitcode is not None, f"the demo has not ended in {_PATIENCE} s"
    return process.exitcode


def _repeatable(file: Path) -> bytes:
    if "_ledger" not in file.parts:
        return file.read_bytes()
    entry = json.loads(file.read_bytes())
    assert {"run_id", "started_at", "finished_at"} <= entry.keys()
    return json.dumps({k: v for k, v in entry.items() if k not in OF_THE_RUN}).encode()
