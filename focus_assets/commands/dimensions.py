"""``focus-assets dimensions``."""

from __future__ import annotations

from pathlib import Path

import click

from focus_assets.commands.options import config_option


@click.command("dimensions")
@click.option("--meter", help="Slug of one meter; all of them unless given.")
@click.option("--destination", help="Name of a destination; shows what its rows are delivered with.")
@config_option
def command(meter: str | None, destination: str | None, config: Path | None) -> None:
    """Show, for each meter, which layer decides each FOCUS dimension and where it is set.

    Layers, the first before the others: the export to a destination, the event, the customer, the meter, the defaults.
    """
    from focus_assets.commands.printing import as_table
    from focus_assets.focus.dimensions import resolve
    from focus_assets.focus.export_dimensions import require_valid, with_export
    from focus_assets.focus.made_columns import NO_EXPORT, TagsOfExport, with_made_columns
    from focus_assets.settings import ConfigurationError, settings_or_sample

    settings = settings_or_sample(config)
    if meter is not None and meter not in settings.catalog.meter:
        known = ", ".join(sorted(settings.catalog.meter)) or "none"
        raise ConfigurationError(f"unknown meter {meter!r}; known meters: {known}")
    resolution, tags = resolve(settings.catalog), NO_EXPORT
    if destination is not None:
        named = {each.name: each for each in settings.destinations}
        if destination not in named:
            known = ", ".join(sorted(named)) or "none"
            raise ConfigurationError(f"unknown destination {destination!r}; known destinations: {known}")
        place, overrides = f"destinations[{destination}].dimensions", named[destination].dimensions
        require_valid(place, overrides)
        resolution = with_export(resolution, place, overrides)
        tags = TagsOfExport(f"destinations[{destination}].tags", named[destination].tags)
    frame = with_made_columns(resolution, settings.catalog, tags).to_frame()
    if meter is not None:
        frame = frame.filter(frame["meter"].eq_missing(meter))
    click.echo(as_table(frame.columns, frame.rows()), nl=False)
