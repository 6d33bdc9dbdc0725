from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MAKE_A_FOLDER = """
import sys
from focus_assets.lake.copies import temporary_folder

print(temporary_folder(), flush=True)
sys.stdin.readline()
"""


def start(folder: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE_A_FOLDER],
        env={"TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_copies_are_removed_at_the_end_and_those_of_killed_processes_by_the_next(tmp_path: Path) -> None:
    living, kept = start(tmp_path)
    killed, left_over = start(tmp_path)
    killed.kill()
    killed.communicate()
    assert left_over.exists()
    ending, own = start(tmp_path)
    assert own.exists()
    assert not left_over.exists()
    assert kept.exists()
    for process in (ending, living):
        process.communicate("\n")
    assert list(tmp_path.iterdir()) == []
