"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file. Default: $FOCUS_ASSETS_CONFIG, else ./focus.yaml, else the sample company's.",
)
