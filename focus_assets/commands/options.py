"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file. Default: $FOCUS_ASSETS_CONFIG, else ./focus.yaml, else the sample company's.",
)


def form_option(says: str) -> Callable[[Any], Any]:
    """The option ``--format`` of commands that print rows: ``form`` is what ``commands.printing.as_form`` takes."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["table", "csv", "json"]),
        default="table",
        show_default=True,
        help=says,
    )
