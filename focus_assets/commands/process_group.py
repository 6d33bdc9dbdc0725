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
    for number in _ENDINGS:
        # nohup ignores SIGHUP, and means it. SIGINT is ignored in what a script starts in the background, and
        # Dagster, which would inherit that, ends by no other signal.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    process = subprocess.Popen(command, env=environment, cwd=folder, start_new_session=True)
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GUARD, str(process.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait()
    except KeyboardInterrupt:
        for number in _ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        _signal_group(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_SECONDS)
        return 0
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        guard.kill()
        guard.wait()


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Raised rather than handled here: Popen.wait cannot be called again from inside a handler that interrupts it.
    raise KeyboardInterrupt


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
