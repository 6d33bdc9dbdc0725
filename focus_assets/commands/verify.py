"""``focus-assets verify``: whether a delivery is what its manifests say."""

from __future__ import annotations

import sys
from pathlib import Path

import click

BROKEN = 1
"""Exit code where a delivery is not what its manifest says."""


@click.command("verify")
@click.argument("url")
def command(url: str) -> None:
    """Check every delivery below URL: digests, rows and totals of every file against its manifest.

    URL is a destination's folder or bucket prefix, or that of one manifest.json. Neither Dagster nor the lake is
    needed: a recipient can run this. Credentials come from the environment. Exits 1 if anything differs.
    """
    from focus_assets.delivery.verify import verify

    broken = 0
    for found in verify(url if "://" in url else str(Path(url).absolute())):
        mark = (
            click.style("wrong", fg="red", bold=True) if found.problems else click.style("ok   ", fg="green")
        )
        files = (
            f"{len(found.manifest.files)} files, {found.manifest.totals.rows:,} rows"
            if found.manifest
            else ""
        )
        click.echo(f"{mark}  {found.manifest_url}  {files}")
        for problem in found.problems:
            click.echo(f"       {problem}")
        broken += bool(found.problems)
    if broken:
        sys.exit(BROKEN)
