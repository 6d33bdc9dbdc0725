"""``focus-assets deliver``: billing months to destinations, now."""

from __future__ import annotations

from pathlib import Path

import click

from focus_assets.commands.options import config_option


@click.command("deliver")
@click.option(
    "--destination", "names", multiple=True, help="Name of a destination; all of them unless given."
)
@click.option("--from", "first", required=True, help="First billing month, such as 2026-07.")
@click.option(
    "--to", "last", help="Last billing month, inclusive; the newest that the lake holds where left out."
)
@config_option
def command(names: tuple[str, ...], first: str, last: str | None, config: Path | None) -> None:
    """Deliver billing months to destinations, whatever their frequency, as the lake now holds them.

    What a destination already has is not put again. For a destination that was added later: its months from FROM on.
    The same gates hold as for every delivery; a month that they refuse is refused here.
    """
    from focus_assets.commands.whole_chain import deliver_and_tell
    from focus_assets.settings import settings_or_sample

    deliver_and_tell(settings_or_sample(config), names, first, last)
