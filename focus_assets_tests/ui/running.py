"""The sample company's UI as a person starts it: the demo, then ``focus-assets ui`` on a free port.

What belongs here: starting, asking over GraphQL, ending. What does not: what is shown (``pages``).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

START_SECONDS = 180
COMMAND = (sys.executable, "-c", "from focus_assets.cli import main; main()")
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"

T = TypeVar("T")


@dataclass(frozen=True)
class Ui:
    """A UI that answers, on the data in ``data``."""

    url: str
    data: Path
    process: subprocess.Popen[bytes]
    log: Path

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """One GraphQL request, as the page sends them."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"content-type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            found: dict[str, Any] = json.load(answer)
        assert "errors" not in found, found["errors"]
        return dict(found["data"])

    def backfill(self, id: str) -> dict[str, Any]:
        """Status and runs of a backfill."""
        return dict(
            self.ask(
                "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {"
                " status partitionNames error { message } runs(limit: 50) { id status startTime endTime } } } }",
                id=id,
            )["partitionBackfillOrError"]
        )

    def ticks(self, sensor: str) -> list[dict[str, Any]]:
        """The newest ticks of a sensor, newest first."""
        found = self.ask(
            "query ($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor { sensorState {"
            " status ticks(limit: 10) { status skipReason runIds timestamp } } } } }",
            s={
                "repositoryLocationName": "focus_assets",
                "repositoryName": "__repository__",
                "sensorName": sensor,
            },
        )["sensorOrError"]["sensorState"]
        assert found["status"] == "RUNNING"
        return list(found["ticks"])


def demo(data: Path, *options: str) -> None:
    """``focus-assets demo`` on the sample company in ``data``."""
    done = subprocess.run(
        [*COMMAND, "demo", "--data", str(data), *options],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def ui(data: Path) -> Iterator[Ui]:
    """The UI on the lake of a demo; ended as Ctrl-C ends it, with all of its processes."""
    port = free_port()
    log = data / "ui.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*COMMAND, "ui", "--port", str(port), "--config", str(data / "focus.yaml")],
            env=environment(),
            cwd=data,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = Ui(f"http://127.0.0.1:{port}", data, process, log)
    try:
        wait_until(lambda: _loaded(started), START_SECONDS, f"the UI to load; {log} says what it does")
        yield started
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def wait_until(found: Callable[[], T], seconds: float, what: str) -> T:
    """The first answer that holds, asked for every other second."""
    deadline = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(1)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    """This environment without what would point the commands elsewhere."""
    return {
        key: value
        for key, value in os.environ.items()
        if key not in ("DAGSTER_HOME", "FOCUS_ASSETS_CONFIG", "PYTHONWARNINGS")
    }


def _loaded(started: Ui) -> bool:
    assert started.process.poll() is None, started.log.read_text()
    try:
        nodes = started.ask("{ assetNodes { assetKey { path } } }")["assetNodes"]
    except (OSError, urllib.error.URLError):
        return False
    return bool(nodes)
