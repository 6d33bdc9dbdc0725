"""Servers that tests start as a process of their own, on loopback.

What belongs here: starting one, waiting until it answers, ending it. What does not: which server, and with what.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    ask: Callable[[], object],
    not_yet: tuple[type[Exception], ...],
) -> Iterator[None]:
    """``command``, from when ``ask`` raises none of ``not_yet`` any more; what it prints goes to ``log``.

    Raises RuntimeError with the log where it ends or does not answer within a minute.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                ask()
                break
            except not_yet as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} did not start: {error}\n{log.read_text()}") from error
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
