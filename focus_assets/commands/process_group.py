"""Running a command so that it and everything it starts end together, however this process ends.

What belongs here: processes and signals. What does not: which command (``ui``).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final

_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE_SECONDS: Final = 20
_GUARD: Final = "import os, signal, sys; sys.stdin.read(); os.killpg(int(sys.argv[1]), signal.SIGKILL)"
"""Reads a pipe that nobody writes to: it ends when the process that holds its other end is gone."""


def run_together(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path | None = None
) -> int:
    """Run ``command`` in a session of its own until it ends or this process is asked to; its exit code.

    SIGINT, SIGTERM and SIGHUP (the terminal went) are passed on as SIGINT to all its processes; those that
    have not ended within 20 s, or outlive the command itself, are killed. If this process is killed, a guard
    kills them: Dagster's servers survive a parent that is killed and keep the port. Returns 0 when asked to end.
    """
    ending = _Ending()
    process = subprocess.Popen(command, env=environment, cwd=folder, start_new_session=True)
    try:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD, str(process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return ending.wait_for(process)
        finally:
            _signal_group(process.pid, signal.SIGKILL)
            guard.kill()
            guard.wait()
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


class _Ending:
    """Signals that ask for an end; one that comes before there is anything to end is kept until there is."""

    def __init__(self) -> None:
        self._asked = self._interruptible = False
        for number in _ENDINGS:
            # nohup ignores SIGHUP, and means it. SIGINT is ignored in what a script starts in the background, and
            # Dagster, which would inherit that, ends by no other signal.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._ask)

    def wait_for(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code of ``process``; 0 where it was asked to end, patiently, meanwhile."""
        try:
            self._interruptible = True
            if not self._asked:
                return process.wait()
        except _AskedToEnd:
            pass
        self._interruptible = False
        _signal_group(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_SECONDS)
        return 0

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if self._interruptible:
            self._interruptible = False
            # Raised rather than handled here: Popen.wait cannot be called again from a handler that interrupts it.
            raise _AskedToEnd


class _AskedToEnd(BaseException):
    """Leaves a wait at once; nothing else may catch it."""


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
