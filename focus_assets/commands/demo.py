"""``focus-assets demo``: the whole chain on this machine, with nothing to configure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from focus_assets.errors import FocusAssetsError

if TYPE_CHECKING:
    from focus_assets.settings import Settings


class IncompleteOptions(FocusAssetsError):
    """Events without the configuration that says what they mean, or the other way about."""


@click.command("demo")
@click.option(
    "--events",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of your own CloudEvents files; needs --config.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Your own focus.yaml; lake and destinations are where it says.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the sample company's events, lake and bucket.  [default: data]",
)
@click.option("--days", type=click.IntRange(1, 61), hidden=True, help="Cut the sample to its first days.")
@click.option(
    "--customers", type=click.IntRange(1, 14), hidden=True, help="Cut the sample to so many customers."
)
def command(
    events: Path | None, config: Path | None, data: Path | None, days: int | None, customers: int | None
) -> None:
    """Run the whole chain, checks and deliveries included, on this machine.

    Without options on the sample company's usage: two months of events, made on the spot. When all is delivered, two
    events come late, one of a billing period that has closed, and what they change is delivered and reported. Running
    it again changes nothing; after an interruption it takes over where it was.
    """
    if events is not None and config is None:
        raise IncompleteOptions(
            "--events needs --config: the meters, customers and prices that say what the events mean. "
            "Write a starter with `focus-assets init`."
        )
    if config is not None and data is not None:
        raise IncompleteOptions(
            "--data is for the sample company; with --config, lake.url says where data goes."
        )
    from focus_assets.commands.whole_chain import run_and_tell

    folder = (data or Path("data")).absolute()
    run_and_tell(
        lambda: _own(config, events) if config is not None else _sample(folder, days, customers),
        shown=config or folder / "focus.yaml",
        then=None if config is not None else lambda: _late(folder, days, customers),
    )
    if config is not None and events is not None:
        _say_where_events_are(config, events)


def _sample(folder: Path, days: int | None, customers: int | None) -> Settings:
    from focus_assets.demo import sample_company
    from focus_assets.settings import Settings

    return Settings.load(sample_company(folder, days=days, customers=customers).config)


def _late(folder: Path, days: int | None, customers: int | None) -> bool:
    import datetime as dt

    from focus_assets.demo.late import deliver_late_events
    from focus_assets.demo.usage import FIRST_DAY, LAST_DAY

    last = LAST_DAY if days is None else FIRST_DAY + dt.timedelta(days=days - 1)
    return deliver_late_events(folder / "events", last, customers)


def _own(config: Path, events: Path | None) -> Settings:
    from focus_assets.settings import Settings

    settings = Settings.load(config)
    if events is None:
        return settings
    source = settings.source.cloudevents.model_copy(update={"url": str(events.resolve())})
    return settings.model_copy(update={"source": settings.source.model_copy(update={"cloudevents": source})})


def _say_where_events_are(config: Path, events: Path) -> None:
    """The UI, schedules and later runs know only the file: another folder there would restate these days."""
    from focus_assets.settings import Settings

    configured = Settings.load(config).source.cloudevents.url
    if configured != str(events.resolve()):
        click.echo(
            f"\nNote: {config} reads events from {configured}, this run read {events}. Set source.cloudevents.url "
            f"to {events.resolve()} before you run anything else: the UI, schedules and `focus-assets materialize` "
            "read what the file says, and would compute these days again from there."
        )
