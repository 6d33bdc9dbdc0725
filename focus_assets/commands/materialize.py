"""``focus-assets materialize``: a range of days, in this process."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from focus_assets.commands.options import config_option

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("materialize")
@click.option("--from", "first", type=_DAY, required=True, help="First day, such as 2026-08-01.")
@click.option("--to", "last", type=_DAY, help="Last day, inclusive; the first where left out.")
@config_option
def command(first: dt.datetime, last: dt.datetime | None, config: Path | None) -> None:
    """Run the usage chain for days you name, with every check, and deliver what changed.

    The days run whether they are up to date or not. The Dagster UI does the same with a backfill.
    """
    from focus_assets.commands.whole_chain import run_and_tell
    from focus_assets.settings import settings_or_sample

    run_and_tell(
        lambda: settings_or_sample(config),
        shown=config,
        only=(first.date(), (last or first).date()),
    )
