"""``focus-assets doctor``: what is configured, whether it is within reach, and what to do where it is not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from focus_assets.commands.options import config_option
from focus_assets.errors import FocusAssetsError

if TYPE_CHECKING:
    from focus_assets.cloudevents.files import EventFile
    from focus_assets.lake import Lake, ObjectStore
    from focus_assets.settings import Destination, OpenMeterSettings, Settings

FOUND_SOMETHING: Final = 1
_PROBE: Final = "focus-assets-doctor-probe"


class Wrong(FocusAssetsError):
    """Something that would stop a run; the message says what to do."""


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, whether it is fine, and what to do if not."""

    subject: str
    what: str
    fine: bool = True


@click.command("doctor")
@config_option
@click.option("--probe", is_flag=True, help="Also write an object to each destination and remove it again.")
def command(config: Path | None, probe: bool) -> None:
    """Check configuration, lake, source, destinations and runs; say what to do.

    Exits 1 if anything is wrong. Nothing is changed, but for --probe.
    """
    broken = 0
    for finding in examine(config, probe=probe):
        mark = click.style("ok   ", fg="green") if finding.fine else click.style("wrong", fg="red", bold=True)
        first, *more = finding.what.splitlines() or [""]
        click.echo(f"{mark}  {finding.subject}: {first}")
        for line in more:
            click.echo(f"       {line}")
        broken += not finding.fine
    if broken:
        click.echo(f"\n{broken} {'thing is' if broken == 1 else 'things are'} wrong.")
        sys.exit(FOUND_SOMETHING)
    click.echo("\nEverything is fine.")


def examine(config: Path | None, *, probe: bool = False) -> Iterator[Finding]:
    """Every finding, in the order in which things have to be mended."""
    from focus_assets.settings import settings_or_sample

    try:
        settings = settings_or_sample(config)
    except FocusAssetsError as error:
        yield Finding("configuration", str(error), fine=False)
        return
    catalog = settings.catalog
    named = settings.config_path or "the sample company's; write your own with `focus-assets init`"
    yield Finding(
        "configuration",
        f"{named} ({len(catalog.meters)} meters, {len(catalog.customer)} customers, "
        f"{len(catalog.subscriptions)} subscriptions)",
    )
    yield from _looked_at("catalog", lambda: _dimensions(settings))
    yield from _looked_at("lake", lambda: _lake(settings))
    yield from _looked_at("source", lambda: _source(settings))
    for destination in settings.destinations:
        subject = f"destination {destination.name}"
        yield from _looked_at(subject, partial(_destination, settings, destination, probe))
    yield from _looked_at("runs", lambda: _runs(settings))


def _looked_at(subject: str, look: Callable[[], str]) -> Iterator[Finding]:
    try:
        yield Finding(subject, look())
    except FocusAssetsError as error:
        yield Finding(subject, str(error), fine=False)


def _dimensions(settings: Settings) -> str:
    from focus_assets.focus.dimensions import resolve
    from focus_assets.focus.export_dimensions import require_valid

    resolve(settings.catalog)
    for destination in settings.destinations:
        require_valid(f"destinations[{destination.name}].dimensions", destination.dimensions)
    _require_openings(settings)
    return "every FOCUS dimension that is required is decided for every meter; every charge has a known beginning"


def _require_openings(settings: Settings) -> None:
    """What the first day would refuse."""
    from focus_assets.catalog.charges import require_known_opening, slices_on

    if settings.source.openmeter is None:
        slices = slices_on(settings.catalog.on(settings.start_date), settings.start_date)
        require_known_opening(slices, settings.start_date, assume_zero=settings.opening == "zero")


def _lake(settings: Settings) -> str:
    from focus_assets.settings.access import open_lake

    lake = open_lake(settings)
    root = lake.store.local_root
    if root is not None and not root.exists():
        _require_writable(root)
        return f"{lake.url} does not exist yet; the first run makes it"
    if root is not None:
        _require_writable(root)
    days = lake.days("focus_cost_and_usage")
    _require_free(lake)
    span = f"{len(days)} days, {days[0]} to {days[-1]}" if days else "no days yet"
    return f"{lake.url} can be written; FOCUS rows of {span}"


def _require_free(lake: Lake) -> None:
    with lake.writer("focus-assets doctor"):
        pass


def _require_writable(folder: Path) -> None:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        raise Wrong(f"{folder}: {nearest} is a file; name a folder in focus.yaml")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise Wrong(f"{folder}: {nearest} cannot be written by this user; change its permissions")


def _source(settings: Settings) -> str:
    if settings.source.openmeter is not None:
        return _openmeter(settings.source.openmeter)
    from focus_assets.cloudevents.files import list_event_files
    from focus_assets.settings.access import open_place

    url = settings.source.cloudevents.url
    listing = list_event_files(open_place(settings.source.cloudevents))
    if not listing.files:
        raise Wrong(
            f"{url} holds no CloudEvents files. Put .ndjson, .jsonl or .json files there (plain, .gz or .zst), "
            "or change source.cloudevents.url in focus.yaml."
        )
    return f"{url} holds {len(listing.files)} event files{_types(settings, listing.files)}"


def _types(settings: Settings, files: Sequence[EventFile]) -> str:
    """Which meters have no events among some of the files; a mistyped event_type bills nothing."""
    from focus_assets.cloudevents.sample import types_of_some

    found = types_of_some(files)
    known = ", ".join(repr(kind) for kind, _ in found.most_common(10)) or "none"
    looked = f"among {found.total():,} events looked at; types there are: {known}"
    missing = [meter for meter in settings.catalog.meters if meter.event_type not in found]
    if found and len(missing) == len(settings.catalog.meters):
        raise Wrong(f"no event has the event_type of any meter, {looked}. Set meters[].event_type to these.")
    if not missing:
        return ""
    named = ", ".join(f"{meter.event_type!r} (meter {meter.slug})" for meter in missing)
    return f"\nno event of type {named} {looked}"


def _openmeter(settings: OpenMeterSettings) -> str:
    from focus_assets.openmeter import asked_once, described

    return asked_once(settings, described)


def _destination(settings: Settings, destination: Destination, probe: bool) -> str:
    from focus_assets.delivery import check_destinations
    from focus_assets.settings.access import open_place

    check_destinations(settings.lake.url, [destination])
    store = open_place(destination)
    root = store.local_root
    if root is not None:
        _require_writable(root)
        if not root.exists() and not probe:
            return f"{store.url} does not exist yet; the first delivery makes it"
    else:
        list(islice(store.list(), 1))
    if probe:
        _write_and_remove(store)
        return f"{store.url} can be listed and written"
    return f"{store.url} is within reach"


def _write_and_remove(store: ObjectStore) -> None:
    store.put(_PROBE, b"written by focus-assets doctor; safe to delete\n")
    store.delete(_PROBE)


def _runs(settings: Settings) -> str:
    home = Path(os.environ.get("DAGSTER_HOME") or settings.dagster_home)
    if not (home / "dagster.yaml").is_file():
        return f"no Dagster instance in {home} yet (DAGSTER_HOME says where it is)"
    # What knows Dagster takes seconds to import; without an instance there is nothing to ask it.
    from focus_assets.orchestration.orphans import runs_in

    if orphans := runs_in(home):
        listed = ", ".join(run_id[:8] for run_id in orphans)
        raise Wrong(
            f"{len(orphans)} runs are marked as running, but their processes are gone: {listed}. "
            "They hold back deliveries. Run `focus-assets demo` again, which marks them failed, or end them "
            "in the Dagster UI (Runs, Terminate, Force)."
        )
    return f"no orphans in {home}"
