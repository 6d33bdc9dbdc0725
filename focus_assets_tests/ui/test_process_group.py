"""A command and all it starts end together: asked to, with the terminal, and when the one who started it is killed."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

# A child that outlives its parent unless somebody sees to it, as Dagster's code servers do.
_FAMILY = """
import os, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(120)"
child = subprocess.Popen([sys.executable, "-c", deaf])
open(sys.argv[1], "w").write(f"{os.getpid()} {child.pid}")
time.sleep(float(sys.argv[2]))
"""
# Tests may run with SIGHUP ignored, as under nohup; that would be inherited, and rightly obeyed.
_WRAPPER = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from focus_assets.commands.process_group import run_together
sys.exit(run_together([sys.executable, "-c", sys.argv[1], *sys.argv[2:]], environment=dict(os.environ)))
"""


def _start(note: Path, seconds: int = 120, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _WRAPPER, _FAMILY, str(note), str(seconds)], **options)  # type: ignore[call-overload,no-any-return]


def _family(note: Path) -> list[int]:
    _wait(lambda: note.exists() and len(note.read_text().split()) == 2)
    return [int(pid) for pid in note.read_text().split()]


def _wait(holds: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_end_it_ends_everything(number: signal.Signals, tmp_path: Path) -> None:
    wrapper = _start(tmp_path / "note")
    family = _family(tmp_path / "note")

    wrapper.send_signal(number)

    assert wrapper.wait(40) == 0
    assert all(_gone(pid) for pid in family)


def test_everything_ends_with_its_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    wrapper = _start(
        tmp_path / "note",
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(theirs)
    family = _family(tmp_path / "note")

    os.close(ours)

    assert wrapper.wait(40) == 0
    assert all(_gone(pid) for pid in family)


def test_a_killed_starter_leaves_nothing_behind(tmp_path: Path) -> None:
    wrapper = _start(tmp_path / "note")
    family = _family(tmp_path / "note")

    wrapper.kill()

    assert wrapper.wait(40) == -signal.SIGKILL
    _wait(lambda: all(_gone(pid) for pid in family))


def test_a_command_that_ends_takes_its_children_along_and_keeps_its_code(tmp_path: Path) -> None:
    wrapper = _start(tmp_path / "note", seconds=0)
    family = _family(tmp_path / "note")

    assert wrapper.wait(40) == 0
    _wait(lambda: all(_gone(pid) for pid in family))


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", "from focus_assets.cli import main; main()", "ui", "--port", str(port)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    assert done.returncode != 0
    assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())


def _take_terminal() -> None:
    """Make the terminal on standard input the controlling one of a new session, so that its end is told by SIGHUP."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
