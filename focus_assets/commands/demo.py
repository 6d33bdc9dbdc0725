"""``focus-assets demo``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from focus_assets.errors import FocusAssetsError


class IncompleteOptions(FocusAssetsError):
    """Events without the configuration that says what they mean."""


@click.command("demo")
@click.option(
    "--events",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of your own CloudEvents files; needs --config.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file for --events; the sample company's unless given.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default=True,
    help="Folder for events, lake, bucket and Dagster's own files.",
)
def command(events: Path | None, config: Path | None, data: Path) -> None:
    """Run the whole chain, checks and deliveries included, on this machine.

    Without options on the sample company's usage: two months of events, made on the spot.
    """
    if events is not None and config is None:
        raise IncompleteOptions(
            "--events needs --config: the meters, customers and prices that say what the events mean. "
            "Write a starter with `focus-assets init`."
        )
    import_module("focus_assets.demo.run").run(events=events, config=config, data=data)
