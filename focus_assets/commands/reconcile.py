"""``focus-assets reconcile``: invoices beside what their charges come to when they are rated at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from focus_assets.commands.options import config_option, form_option

if TYPE_CHECKING:
    import polars as pl

DIFFERS: Final = 1
"""Exit code where an invoice is not what it should be."""


@click.command("reconcile")
@click.option("--period", required=True, help="Month in which the billing periods begin, such as 2026-10.")
@form_option("How the outcome is printed.")
@click.option("--lines", is_flag=True, help="Show every line of every invoice, not only wrong ones.")
@config_option
def command(period: str, form: str, lines: bool, config: Path | None) -> None:
    """Compare the invoices of closed billing periods with their charges, line by line.

    The reference is rating each charge at once from its metered quantity; the rows were rated day by day. Where
    invoices are OpenMeter's it is what they say, each line and the total. Periods that are open have no invoice yet
    and are only counted, and usage that came too late to be billed is told. Exits 1 where a line differs by more than
    half of the currency's smallest amount.
    """
    import polars as pl

    from focus_assets.billing.reconcile import by_invoice
    from focus_assets.billing_stages import reconciled_month
    from focus_assets.commands.printing import as_form
    from focus_assets.delivery.months import parse_month
    from focus_assets.settings import settings_or_sample
    from focus_assets.settings.access import open_lake

    found, still_open = reconciled_month(open_lake(settings_or_sample(config)), parse_month(period))
    wrong = found.filter(pl.col("finding").is_not_null())
    shown = found if lines else by_invoice(found)
    if shown.height or form != "table":
        click.echo(as_form(form, shown.columns, shown.rows()), nl=False)
    if form != "table":
        sys.exit(DIFFERS if wrong.height else 0)
    if wrong.height and not lines:
        click.echo("\nLines that differ:")
        click.echo(as_form(form, wrong.columns, wrong.rows()), nl=False)
    late = found.filter(pl.col("note").is_not_null())
    if late.height and not lines:
        click.echo("\nUsage that OpenMeter does not bill:")
        named = late.select("InvoiceId", "InvoiceDetailId", "note")
        click.echo(as_form(form, named.columns, named.rows()), nl=False)
    click.echo(_said(period, found, wrong, still_open))
    sys.exit(DIFFERS if wrong.height else 0)


def _said(period: str, found: pl.DataFrame, wrong: pl.DataFrame, still_open: int) -> str:
    waiting = f" {still_open} billing period(s) are still open." if still_open else ""
    if found.is_empty():
        return f"No invoice of {period} yet.{waiting}"
    invoices = found["InvoiceId"].n_unique()
    if wrong.height:
        return f"{wrong.height} of {found.height} lines of {invoices} invoice(s) of {period} differ.{waiting}"
    return f"{invoices} invoice(s) of {period}, {found.height} lines: no difference.{waiting}"
