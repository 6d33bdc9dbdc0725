"""``focus-assets schema``."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of focus.yaml (draft 2020-12).

    Editors complete and check focus.yaml with it.
    """
    from focus_assets.settings.file import json_schema

    click.echo(json.dumps(json_schema(), indent=2, sort_keys=False))
