"""``focus-assets schema``."""

from __future__ import annotations

import json

import click


@click.command("schema")
@click.option("--manifest", is_flag=True, help="That of a delivery's manifest instead.")
def command(manifest: bool) -> None:
    """Print the JSON Schema of focus.yaml (draft 2020-12).

    Editors complete and check focus.yaml with it. With --manifest, that of the manifest of a delivery, for readers in
    any language.
    """
    if manifest:
        from focus_assets.delivery.manifest import json_schema
    else:
        from focus_assets.settings.file import json_schema

    click.echo(json.dumps(json_schema(), indent=2, sort_keys=False))
