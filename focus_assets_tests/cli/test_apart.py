"""A program that goes on in a process of its own, seen from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no process is made for it here")

BEGIN = "import os, signal, sys, time\nfrom focus_assets.commands.apart import go_on_apart\ngo_on_apart()\n"


def started(code: str, before: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", before + BEGIN + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_ends_as_its_second_process_does_and_says_what_that_says_but_for_the_noise_of_libraries() -> None:
    program = started("print('answer')\nos.write(2, b'noise')\nprint('remark', file=sys.stderr)\nsys.exit(3)")
    assert program.communicate() == ("answer\n", "remark\n")
    assert program.returncode == 3


def test_a_defect_keeps_its_traceback() -> None:
    program = started("1 / 0")
    assert "ZeroDivisionError" in program.communicate()[1]
    assert program.returncode == 1


SLOW_AFTER_THE_FORK = """
import os, time
fork = os.fork
def slow():
    child = fork()
    time.sleep(1 if child else 0)
    return child
os.fork = slow
"""


@pytest.mark.parametrize("before", ["", SLOW_AFTER_THE_FORK], ids=["while it waits", "before it waits"])
def test_who_ends_it_ends_both_processes(before: str) -> None:
    program = started("print(os.getpid(), flush=True)\ntime.sleep(60)", before)
    assert program.stdout is not None
    second = int(program.stdout.readline())
    assert second != program.pid
    program.send_signal(signal.SIGTERM)
    program.communicate(timeout=30)
    assert program.returncode == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


def test_a_process_that_has_polars_goes_on_itself() -> None:
    code = "import os, polars\nfrom focus_assets.commands.apart import go_on_apart\npid = os.getpid()\ngo_on_apart()\n"
    code += "assert os.getpid() == pid"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
