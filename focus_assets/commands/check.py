"""``focus-assets check``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

import click

VIOLATED: Final = 1
"""Exit code where a rule is violated. Input that cannot be used is 2, as every error of a command is."""


@click.command("check")
@click.argument("file", nargs=-1, required=True)
@click.option("--focus-version", help="FOCUS version to hold the file to. Default: told from its columns.")
@click.option("--dataset", default="cost-and-usage", show_default=True, help="FOCUS dataset that it is.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "junit", "html"]),
    default="text",
    show_default=True,
    help="How the outcome is printed.",
)
@click.option(
    "--max-rows-shown",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Example rows for each violated rule.",
)
@click.option(
    "--invoice-detail",
    help="Files of the dataset Invoice Detail: BilledCost has to add up to each invoice's total in it.",
)
def command(
    file: tuple[str, ...],
    focus_version: str | None,
    dataset: str,
    form: str,
    max_rows_shown: int,
    invoice_detail: str | None,
) -> None:
    """Check FILEs against the rules of FOCUS: anybody's CSV, gzip CSV or Parquet.

    A FILE is a file, a folder, or an s3://, gs:// or az:// address. Several are checked as one table.

    Exits 0 where no rule is violated, 1 where one is, 2 where a file cannot be used. A recommendation that is
    not followed is shown and does not change the exit code.
    """
    import polars as pl

    from focus_assets.focus.columns import DATASETS, UnknownColumnError
    from focus_assets.focus.files import UnusableInput, detect_version, open_table, rules_for_table
    from focus_assets.focus.reports import FORMATS, Found
    from focus_assets.focus.rules import check_parts, rules_for
    from focus_assets.focus.rules.invoices import stated_totals

    if dataset not in DATASETS:
        raise UnknownColumnError(f"{dataset!r} is no FOCUS dataset. Known: {', '.join(DATASETS)}.")
    if focus_version is not None:
        rules_for(focus_version, dataset)
    try:
        stated = [] if invoice_detail is None else [stated_totals(_invoice_totals(invoice_detail))]
        with open_table(file, dataset) as table, _progress(table.rows) as counted:
            try:
                version = focus_version or detect_version(list(table.stored), dataset)
            except UnusableInput as error:
                raise UnusableInput(f"{table.files[0][0]}: {error}") from error
            report = check_parts(
                table.parts,
                rules_for_table((*rules_for(version, dataset), *stated), table, dataset),
                examples=max_rows_shown,
                stored=table.declared,
                counted=counted,
            )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UnusableInput(f"{', '.join(file)} could not be read: {str(error).splitlines()[0]}.") from error
    except pl.exceptions.PanicException as error:
        raise UnusableInput(
            f"{', '.join(file)} could not be read: Polars gave up ({str(error).splitlines()[0]}). A file is most "
            "likely damaged: fetch it again."
        ) from error
    found = Found(
        report=report,
        files=table.files,
        dataset=dataset,
        version=version,
        detected=focus_version is None,
        columns=len(table.stored),
        notes=table.notes,
    )
    click.echo(FORMATS[form](found), nl=False)
    sys.exit(VIOLATED if report.blocking else 0)


def _invoice_totals(named: str) -> dict[str, Decimal]:
    """BilledCost by invoice, without those that were voided."""
    import polars as pl

    from focus_assets.decimals import COST
    from focus_assets.focus.columns import INVOICE_DETAIL
    from focus_assets.focus.files import UnusableInput, open_table

    wanted = ("InvoiceId", "InvoiceIssueStatus", "BilledCost")
    with open_table([named], INVOICE_DETAIL) as table:
        if lacking := [name for name in wanted if name not in table.stored]:
            raise UnusableInput(f"{named} is no Invoice Detail: {', '.join(lacking)} is not there.")
        lines = pl.concat([part.select(wanted) for part in table.parts])
        charged = lines.filter(pl.col("InvoiceIssueStatus").ne_missing("Voided")).drop_nulls("InvoiceId")
        totals = charged.group_by("InvoiceId").agg(pl.col("BilledCost").cast(COST).sum())
        return dict(totals.collect(engine="streaming").iter_rows())


@contextmanager
def _progress(rows: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while rows are checked; nothing where nobody looks at it."""
    if not sys.stderr.isatty():
        yield lambda counted: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    shown = Progress(
        TextColumn("rows checked"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with shown:
        task = shown.add_task("rows", total=rows)
        yield lambda counted: shown.advance(task, counted)
