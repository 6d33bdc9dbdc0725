"""``focus-assets ui``: the Dagster UI with its daemon, ended together."""

from __future__ import annotations

import os
import socket
import sys
from importlib import resources
from pathlib import Path

import click

from focus_assets.commands.options import config_option
from focus_assets.errors import FocusAssetsError

_HOST = "127.0.0.1"


class PortTaken(FocusAssetsError):
    """Something else listens where the UI would."""


@click.command("ui")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port on this machine."
)
@config_option
def command(port: int, config: Path | None) -> None:
    """Start the Dagster UI and its daemon on the lake. Ctrl-C ends all of its processes.

    DAGSTER_HOME is set to the instance beside the lake unless it is set already.
    """
    _require_free(port)
    from focus_assets.commands.process_group import run_together
    from focus_assets.orchestration import orphans
    from focus_assets.orchestration.instance import local_instance
    from focus_assets.settings import settings_or_sample
    from focus_assets.settings.models import CONFIG_VARIABLE

    settings = settings_or_sample(config)
    with local_instance(settings) as instance:
        home = Path(instance.root_directory)
        # A run that died with an earlier UI would hold the lake's place in the queue until it times out.
        ended = orphans.mark_failed(instance)
    if ended:
        click.echo(f"Marked {len(ended)} run(s) as failed whose process had ended.")
    environment = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONWARNINGS": "ignore"}
    folder = None
    if settings.config_path is not None and settings.config_path.exists():
        environment[CONFIG_VARIABLE] = str(settings.config_path.absolute())
        # In a checkout Dagster would find the dagster.yaml there and warn that it goes by another one.
        folder = home
    workspace = resources.files("focus_assets.orchestration").joinpath("workspace.yaml")
    arguments = ["dev", "-w", str(workspace), "-h", _HOST, "-p", str(port), "--log-level", "warning"]
    click.echo(f"Dagster UI: http://{_HOST}:{port}  (Ctrl-C to end)")
    sys.exit(
        run_together([sys.executable, "-m", "dagster", *arguments], environment=environment, folder=folder)
    )


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise PortTaken(
                f"port {port} on {_HOST} cannot be used: {error.strerror}. Is another UI running? "
                "End it, or choose another with --port. Nothing was started."
            ) from error
