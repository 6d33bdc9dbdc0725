"""``focus-assets ui``: the Dagster UI with its daemon, ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import click

from focus_assets.commands.options import config_option

_PATIENCE_SECONDS = 20


@click.command("ui")
@click.option("--port", type=int, default=3000, show_default=True, help="Port on this machine.")
@config_option
def command(port: int, config: Path | None) -> None:
    """Start the Dagster UI and its daemon on the lake. Ctrl-C ends all of its processes.

    DAGSTER_HOME is set to the instance beside the lake unless it is set already.
    """
    from focus_assets.orchestration.instance import home_of
    from focus_assets.settings import settings_or_sample
    from focus_assets.settings.models import CONFIG_VARIABLE

    settings = settings_or_sample(config)
    environment = {**os.environ, "DAGSTER_HOME": str(home_of(settings)), "PYTHONWARNINGS": "ignore"}
    if settings.config_path is not None and settings.config_path.exists():
        environment[CONFIG_VARIABLE] = str(settings.config_path)
    click.echo(f"Dagster UI: http://127.0.0.1:{port}  (Ctrl-C to end)")
    arguments = [
        "dev",
        "-m",
        "focus_assets.definitions",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "--log-level",
        "warning",
    ]
    # A session of its own: Dagster's code servers survive a parent that is killed alone.
    process = subprocess.Popen(
        [sys.executable, "-m", "dagster", *arguments], env=environment, start_new_session=True
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: _ask_to_end(process))
    code = process.wait()
    _end_group(process.pid)
    sys.exit(0 if code in (0, -signal.SIGINT, -signal.SIGTERM) else code)


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(_PATIENCE_SECONDS)
    except ProcessLookupError:
        return
    except subprocess.TimeoutExpired:
        _end_group(process.pid)


def _end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
