"""``focus-assets restatements``: what changed in days that had been delivered."""

from __future__ import annotations

from pathlib import Path

import click

from focus_assets.commands.options import config_option, form_option

_SHOWN = (
    "charge_date",
    "customer",
    "SkuId",
    "quantity_change",
    "unit",
    "billed_cost_change",
    "currency",
    "billing_month",
    "corrected_invoice",
    "since",
    "reason",
)


@click.command("restatements")
@click.option("--customer", help="Key of one customer; all of them unless given.")
@click.option("--month", help="One billing month, such as 2026-08; all of them unless given.")
@form_option("How they are printed; csv and json have every column.")
@config_option
def command(customer: str | None, month: str | None, form: str, config: Path | None) -> None:
    """Show what changed in days that had been delivered: for whom, by how much, since when and why.

    In SQL it is the view restatements.
    """
    import polars as pl

    from focus_assets.commands.printing import as_form
    from focus_assets.delivery.restatements import restatements
    from focus_assets.settings import settings_or_sample
    from focus_assets.settings.access import open_lake

    frame = restatements(open_lake(settings_or_sample(config)))
    for column, wanted in (("customer", customer), ("billing_month", month)):
        if wanted is not None:
            frame = frame.filter(pl.col(column) == wanted)
    if form == "table":
        if frame.is_empty():
            click.echo("Nothing that was delivered has changed since.")
            return
        frame = frame.select(_SHOWN)
    click.echo(as_form(form, frame.columns, frame.rows()), nl=False)
