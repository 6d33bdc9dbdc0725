from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from focus_assets.lake import copies

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


@pytest.fixture
def of_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As in a process that has no folder yet; folders are made in the path returned."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(copies, "_kept", [])
    monkeypatch.setattr(copies, "_folder_of_this_process", cache(copies._folder_of_this_process.__wrapped__))
    return tmp_path


@pytest.mark.parametrize("before", ["making the lock's file", "taking the lock"])
def test_a_folder_that_was_removed_before_it_was_locked_is_made_again(
    of_a_new_process: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """Another process looks for folders of the dead just when this one has made its own."""
    module, name = (os, "open") if before == "making the lock's file" else (fcntl, "flock")
    does, met = getattr(module, name), []

    def after_another_process(what: Any, *arguments: Any, **options: Any) -> Any:
        folders = list(of_a_new_process.iterdir())
        if not met and (module is fcntl or str(what).endswith(".alive")):
            met.extend(folders)
            copies.remove_folders_of_the_dead()
        return does(what, *arguments, **options)

    monkeypatch.setattr(module, name, after_another_process)
    found = copies.temporary_folder()
    assert len(met) == 1, "the other process was to meet the folder"
    assert found.is_dir()
    copies.remove_folders_of_the_dead()
    assert list(of_a_new_process.iterdir()) == [found], "it is locked, and nothing else is left"


def test_threads_that_ask_at_the_same_time_get_the_same_folder(of_a_new_process: Path) -> None:
    at_once = Barrier(8)

    def ask(_: int) -> Path:
        at_once.wait(10)
        return copies.temporary_folder()

    with ThreadPoolExecutor(8) as pool:
        [found] = set(pool.map(ask, range(8)))
    assert list(of_a_new_process.iterdir()) == [found]


@pytest.mark.parametrize("left", [(), ("half-removed.parquet",)])
def test_a_folder_without_a_lock_is_of_a_process_that_was_killed(
    of_a_new_process: Path, left: tuple[str, ...]
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="focus-assets-copies-"))
    for name in left:
        (folder / name).touch()
    copies.remove_folders_of_the_dead()
    assert list(of_a_new_process.iterdir()) == []
