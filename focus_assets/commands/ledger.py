"""``focus-assets ledger rebuild``: the ledger made again from what lies at the destinations."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from focus_assets.commands.options import config_option

_LEASE_WAIT = dt.timedelta(seconds=2)


@click.group("ledger")
def command() -> None:
    """Mend the record of deliveries."""


@command.command("rebuild")
@click.option(
    "--destination", "names", multiple=True, help="Name of a destination; all of them unless given."
)
@config_option
def rebuild(names: tuple[str, ...], config: Path | None) -> None:
    """Enter into the ledger every manifest that lies at a destination and is not its newest entry.

    For a lake that was lost or restored from before: deliveries are then known again, and what stands is not put
    twice. Manifests are only read. A destination that cannot be read is named; the others are entered.
    """
    from focus_assets.delivery.ledger import rebuild as entered
    from focus_assets.delivery.ledger import remembering
    from focus_assets.errors import FocusAssetsError
    from focus_assets.settings import ConfigurationError, settings_or_sample
    from focus_assets.settings.access import open_lake, open_place

    settings = settings_or_sample(config)
    known = {destination.name: destination for destination in settings.destinations}
    if unknown := sorted(set(names) - set(known)):
        raise ConfigurationError(
            f"unknown destination {', '.join(unknown)}; known destinations: {', '.join(sorted(known)) or 'none'}"
        )
    lake, failed = open_lake(settings), []
    with lake.writer("focus-assets ledger rebuild", wait=_LEASE_WAIT), remembering(lake):
        for name in sorted(set(names)) or sorted(known):
            try:
                found = entered(lake, open_place(known[name]), name)
            except FocusAssetsError as error:
                failed.append(f"{name}: {error}")
                continue
            click.echo(f"{name}: {len(found)} manifests, all entered")
    if failed:
        raise FocusAssetsError("\n".join(failed))
