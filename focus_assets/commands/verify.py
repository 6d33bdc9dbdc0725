"""``focus-assets verify``: whether a delivery is what its manifests say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from focus_assets.delivery import Manifest

BROKEN = 1
"""Exit code where a delivery is not what its manifest says."""


@click.command("verify")
@click.argument("url")
@click.option(
    "--public-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Ed25519 public key in PEM: each manifest has to be signed by it.",
)
def command(url: str, public_key: Path | None) -> None:
    """Check every delivery below URL: digests, rows and totals of every file against its manifest.

    URL is a destination's folder or bucket prefix, or that of one manifest.json. Neither Dagster nor the lake is
    needed: a recipient can run this. Credentials come from the environment. Exits 1 if anything differs.
    """
    from focus_assets.delivery.verify import verify

    broken, key = 0, None
    if public_key is not None:
        from focus_assets.delivery.signature import PublicKey

        key = PublicKey.from_pem(public_key.read_bytes(), str(public_key))
    for found in verify(url if "://" in url else str(Path(url).absolute()), public_key=key):
        mark = (
            click.style("wrong", fg="red", bold=True) if found.problems else click.style("ok   ", fg="green")
        )
        files = (
            f"{len(found.manifest.files)} files, {found.manifest.totals.rows:,} rows"
            if found.manifest
            else ""
        )
        click.echo(f"{mark}  {found.manifest_url}  {files}{_signed(found.manifest, key is not None)}")
        for problem in found.problems:
            click.echo(f"       {problem}")
        broken += bool(found.problems)
    if broken:
        sys.exit(BROKEN)


def _signed(manifest: Manifest | None, asked: bool) -> str:
    """What the line of a manifest says of its signature, which is only as good as the key that checked it."""
    if manifest is None or manifest.signature is None:
        return ""
    return f"  signed by {manifest.signature.key_id}{'' if asked else ', not checked: give --public-key'}"
