"""Running the chain in this process with a progress bar, and telling what came of it.

What belongs here: what a person sees. What does not: which days run, and the runs (``orchestration.in_process``).
"""

from __future__ import annotations

import datetime as dt
import gc
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from focus_assets.commands.summary import next_steps, restated, summary
from focus_assets.errors import FocusAssetsError

if TYPE_CHECKING:
    from focus_assets.orchestration.in_process import Chain, Outcome
    from focus_assets.settings import Settings

_ALLOCATIONS: Final = 50_000
"""How many objects are made before Python looks for those that only refer to each other; 700 unless one says so."""

_LEASE_WAIT: Final = dt.timedelta(seconds=2)


class NoSuchMonths(FocusAssetsError):
    """The lake holds none of the billing months that were asked for."""


def run_and_tell(
    load: Callable[[], Settings],
    *,
    shown: Path | None,
    only: tuple[dt.date, dt.date] | None = None,
    then: Callable[[], bool] | None = None,
) -> None:
    """Bring the lake up to date, or run the days of ``only``, deliver what changed and print a summary.

    ``then`` says whether more usage has come meanwhile; it is taken in too, and what it changed is printed.
    """
    console = Console()
    with _bar(console) as progress:
        task = progress.add_task("Reading the configuration", total=None)
        settings = load()
        progress.update(task, description="Starting Dagster")
        with _chain(settings) as chain:
            outcome = _run(chain, progress, task, only)
            if then is not None and then():
                outcome = _run(chain, progress, task, None, outcome)
    console.print(summary(chain, outcome))
    if then is not None:
        console.print(restated(chain))
    click.echo(next_steps(chain, shown))


def deliver_and_tell(settings: Settings, names: Sequence[str], first: str, last: str | None) -> None:
    """Deliver the billing months from ``first`` to ``last`` to destinations by name, and print what came of each."""
    from focus_assets.delivery import billing_months, latest_deliveries
    from focus_assets.delivery.dataset_months import months_to_deliver
    from focus_assets.delivery.ledger import spans
    from focus_assets.delivery.months import parse_month
    from focus_assets.settings import ConfigurationError

    known = sorted(destination.name for destination in settings.destinations)
    if unknown := sorted(set(names) - set(known)):
        raise ConfigurationError(
            f"unknown destination {', '.join(unknown)}; known destinations: {', '.join(known) or 'none'}. "
            "Nothing was delivered."
        )
    first, last = parse_month(first), parse_month(last) if last is not None else None
    console = Console()
    with _bar(console) as progress, _chain(settings) as chain:
        from focus_assets.orchestration import orphans
        from focus_assets.orchestration.in_process import Outcome
        from focus_assets.orchestration.partitions import partition_of_month

        delivered = latest_deliveries(chain.lake)
        months = billing_months(chain.lake, settings.start_date, spans(delivered))
        asked = [each for each in settings.destinations if each.name in (names or known)]
        held = [
            month
            for month in sorted(
                set().union(*months_to_deliver(chain.lake, months, asked, delivered).values())
            )
            if first <= month
            and (last is None or month <= last)
            and partition_of_month(settings, month) is not None
        ]
        if not held:
            raise NoSuchMonths(
                f"the lake holds no billing month from {first}{f' to {last}' if last else ' on'}. "
                "Nothing was delivered."
            )
        progress.add_task(f"Delivering {held[0]} to {held[-1]}", total=None)
        outcome = Outcome()
        try:
            with chain.lake.writer("focus-assets on this terminal", wait=_LEASE_WAIT):
                outcome.orphans = orphans.mark_failed(chain.instance)
                chain.deliver_months(held, sorted(set(names)) or known, outcome)
        finally:
            progress.stop()
            for delivery in outcome.deliveries:
                click.echo(
                    f"{delivery['destination']}  {delivery['month']}  {delivery['result']}  {delivery['manifest']}"
                )


def _run(
    chain: Chain,
    progress: Progress,
    task: object,
    only: tuple[dt.date, dt.date] | None,
    so_far: Outcome | None = None,
) -> Outcome:
    from focus_assets.orchestration import orphans
    from focus_assets.orchestration.in_process import Outcome

    outcome = so_far or Outcome()

    def begin(days: int) -> None:
        progress.update(task, total=days * len(chain.datasets), completed=0, description="Materializing")  # type: ignore[arg-type]

    def written(dataset: str, day: dt.date) -> None:
        progress.update(task, advance=1, description=f"{dataset} {day:%F}")  # type: ignore[arg-type]

    with chain.lake.writer("focus-assets on this terminal", wait=_LEASE_WAIT):
        outcome.orphans += orphans.mark_failed(chain.instance)
        if only is None:
            progress.update(task, description="Looking for days that changed")  # type: ignore[arg-type]
            chain.bring_up_to_date(outcome, written, begin)
        else:
            days = chain.days_between(*only)
            begin(len(days))
            chain.run(days, outcome, written)
        progress.update(task, description="Delivering")  # type: ignore[arg-type]
        chain.deliver(outcome)
    return outcome


@contextmanager
def _chain(settings: Settings) -> Iterator[Chain]:
    warnings.filterwarnings("ignore")
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    from focus_assets.definitions import build_definitions
    from focus_assets.orchestration.in_process import Chain
    from focus_assets.orchestration.instance import local_instance
    from focus_assets.settings.access import open_lake

    with local_instance(settings) as instance:
        chain = Chain(build_definitions(settings), settings, instance, open_lake(settings))
        # What is loaded by now stays until the end. Looking through it again and again for what nobody uses any more
        # took a tenth of the time of a small run.
        gc.freeze()
        usual = gc.get_threshold()
        gc.set_threshold(_ALLOCATIONS)
        try:
            yield chain
        finally:
            # DuckDB's modules name what is left of them when the process ends.
            gc.unfreeze()
            gc.set_threshold(*usual)


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<45}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
