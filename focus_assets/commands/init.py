"""``focus-assets init``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from focus_assets.errors import FocusAssetsError


class FileExists(FocusAssetsError):
    """``init`` never overwrites a configuration."""


@click.command("init")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default=Path("focus.yaml"))
def command(path: Path) -> None:
    """Write a commented starter configuration to PATH (focus.yaml)."""
    text = files("focus_assets.commands").joinpath("starter.yaml").read_text(encoding="utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise FileExists(
            f"{path} exists already and was left as it is; name another file: focus-assets init OTHER.yaml"
        ) from None
    except OSError as error:
        raise FileExists(f"{path} cannot be written: {error.strerror}; nothing was written") from None
    click.echo(f"Wrote {path}. Edit it, put CloudEvents files into data/events beside it, then run:")
    click.echo("  focus-assets doctor")
