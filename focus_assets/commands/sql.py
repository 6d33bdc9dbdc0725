"""``focus-assets sql``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from focus_assets.commands.options import config_option, form_option

if TYPE_CHECKING:
    from focus_assets.settings import Settings


@click.command("sql")
@click.argument("statement")
@form_option("How the answer is printed.")
@config_option
def command(statement: str, form: str, config: Path | None) -> None:
    """Run one SQL STATEMENT over the lake.

    There is a view for each dataset and FOCUS version, such as usage_totals and focus_1_2:

    focus-assets sql "select ServiceName, sum(BilledCost) from focus_1_2 group by 1"
    """
    from focus_assets.commands.printing import as_form
    from focus_assets.settings import settings_or_sample
    from focus_assets.sql import query

    settings = settings_or_sample(config)
    _say_if_there_is_no_lake(settings)
    answer = query(settings, statement)
    click.echo(as_form(form, answer.columns, answer.rows), nl=False)


def _say_if_there_is_no_lake(settings: Settings) -> None:
    """Without a lake every answer is nothing, which reads like a result."""
    if "://" not in settings.lake.url and not Path(settings.lake.url).is_dir():
        click.echo(
            f"focus-assets: there is no lake in {settings.lake.url}, so every view is empty. Go to the folder of your "
            "focus.yaml, name the file with --config, or run `focus-assets demo` first.",
            err=True,
        )
