"""``focus-assets deliveries``: the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from focus_assets.commands.options import config_option, form_option

_SHOWN = (
    "destination",
    "billing_month",
    "dataset",
    "sequence",
    "result",
    "focus_version",
    "rows",
    "billed_cost",
    "files",
    "bytes",
    "delivered_at",
    "manifest_url",
)


@click.command("deliveries")
@click.option("--destination", help="Name of one destination; all of them unless given.")
@click.option("--month", help="One billing month, such as 2026-08; all of them unless given.")
@click.option("--latest", is_flag=True, help="Only the newest delivery of each month to each destination.")
@form_option("How they are printed; csv and json have every column, digests too.")
@config_option
def command(destination: str | None, month: str | None, latest: bool, form: str, config: Path | None) -> None:
    """Show every delivery: what was delivered to whom when, with rows, totals and manifest.

    Sums are by currency. In SQL they are the view deliveries.
    """
    import polars as pl

    from focus_assets.commands.printing import as_form
    from focus_assets.delivery.ledger import entries, latest_deliveries
    from focus_assets.settings import settings_or_sample
    from focus_assets.settings.access import open_lake

    lake = open_lake(settings_or_sample(config))
    frame = latest_deliveries(lake) if latest else entries(lake)
    for column, wanted in (("destination", destination), ("billing_month", month)):
        if wanted is not None:
            frame = frame.filter(pl.col(column) == wanted)
    if form == "table":
        frame = frame.select(_SHOWN)
    click.echo(as_form(form, frame.columns, frame.rows()), nl=False)
