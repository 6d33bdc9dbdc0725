"""The sample company's usage, written as a folder of CloudEvents files.

What belongs here: how events come to lie in files, with the faults that real event files have. What does
not: what happens at the company (``usage``), its meters and prices (``company.yaml``).

Bytes depend on the seed and the days alone; those of a compressed file also on the machine's zlib, its
content not.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from filelock import FileLock

from focus_assets.demo.usage import FIRST_DAY, LAST_DAY, NumberText, events_of
from focus_assets.errors import FocusAssetsError

SEED: Final = 2026

LATE: Final = "late"
"""The folder, below that of the events, of those that come after everything was delivered; see ``late``."""

_DAY: Final = dt.timedelta(days=1)
_OURS: Final = re.compile(r"(\d{4}/\d{2}|late)/\d{4}-\d{2}-\d{2}\.(json|ndjson(\.gz)?)")


class EventsFolderInUse(FocusAssetsError):
    """The folder for the sample's events holds files that are not the sample's."""


@dataclass(frozen=True)
class EventsWritten:
    """What a folder of sample events holds; ``events`` counts every entry, also duplicates and invalid ones.

    ``changed`` is false where the folder already held these bytes and was left alone.
    """

    folder: Path
    files: int
    events: int
    duplicates: int
    late: int
    invalid: int
    bytes: int
    changed: bool


_DaysFiles = dict[dt.date, list[tuple[dt.datetime, str]]]


def write_events(
    folder: Path,
    *,
    seed: int = SEED,
    first_day: dt.date = FIRST_DAY,
    last_day: dt.date = LAST_DAY,
    customers: int | None = None,
) -> EventsWritten:
    """Write the usage of ``first_day`` to ``last_day`` as ``YYYY/MM/YYYY-MM-DD.*`` below ``folder``.

    ``customers`` takes the first so many (all where None); a subject without customer is always there. The
    first day of a month is plain NDJSON, the second day of all a batch, the others are compressed. The
    files are built aside and put in place together, so that a killed writer leaves nothing half; equal
    bytes are left untouched.

    Raises :class:`EventsFolderInUse` where ``folder`` holds anything else than such files.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.new")
    replaced = folder.with_name(f".{folder.name}.old")
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        _refuse_foreign_files(folder)
        for leftover in (aside, replaced):
            shutil.rmtree(leftover, ignore_errors=True)
        files, counts = _arrange(seed, first_day, last_day, customers)
        size = sum(_write_file(aside, first_day, day, entries) for day, entries in sorted(files.items()))
        if (late := folder / LATE).exists():
            shutil.copytree(late, aside / LATE)
        changed = _contents(aside) != _contents(folder)
        if not changed:
            shutil.rmtree(aside)
        else:
            if folder.exists():
                folder.rename(replaced)
            aside.rename(folder)
            shutil.rmtree(replaced, ignore_errors=True)
    events = sum(len(entries) for entries in files.values())
    return EventsWritten(folder, len(files), events, bytes=size, changed=changed, **counts)


def _arrange(
    seed: int, first_day: dt.date, last_day: dt.date, customers: int | None
) -> tuple[_DaysFiles, dict[str, int]]:
    """Which entries lie in which day's file, ordered by when they came in."""
    days = [first_day + _DAY * n for n in range((last_day - first_day).days + 1)]
    files: _DaysFiles = {day: [] for day in days}
    counts = {"duplicates": 0, "late": 0, "invalid": 0}
    for day in days:
        for event in events_of(seed, day, customers):
            fate = Random(f"{seed}/fate/{event['source']}/{event['id']}").random()
            arrives = dt.datetime.fromisoformat(event["time"]).astimezone(dt.UTC)
            if fate >= 0.988 and day + 2 * _DAY in files:  # late: two days after it happened
                files[day + 2 * _DAY].append((arrives + 2 * _DAY, _line(event)))
                counts["late"] += 1
                continue
            files[day].append((arrives, _line(event)))
            if fate < 0.005:  # sent again within the minute
                files[day].append((arrives, _line(event)))
            elif fate < 0.009 and day + _DAY in files:  # sent again on the next day
                files[day + _DAY].append((arrives + _DAY, _line(event)))
            elif fate < 0.010 and day + _DAY in files:  # sent again with the time of the second attempt
                again = event | {"time": f"{arrives + _DAY:%Y-%m-%dT%H:%M:%SZ}"}
                files[day + _DAY].append((arrives + _DAY, _line(again)))
            else:
                continue
            counts["duplicates"] += 1
    for day, entries in files.items():
        entries.sort(key=lambda entry: entry[0])
        invalid = list(_invalid((day - first_day).days, day))
        middle = len(entries) // 2
        entries[middle:middle] = [(entries[middle][0], line) for line in invalid]
        counts["invalid"] += len(invalid)
    return files, counts


def _invalid(index: int, day: dt.date) -> Iterator[str]:
    """What no reader can meter: cut short, without id, at no time."""
    event = {"specversion": "1.0", "type": "api.request", "source": "sample/api", "subject": "cust-01/team-a"}
    if index % 5 == 0:
        yield _line({**event, "id": f"cut/{day}", "time": f"{day}T12:00:00Z"})[:70]
    if index % 4 == 1:
        yield _line({**event, "time": f"{day}T12:00:01Z", "data": {"region": "eu-1"}})
    if index % 6 == 2:
        yield _line(
            {**event, "id": f"late/{day}", "time": "yesterday, about noon", "data": {"region": "eu-1"}}
        )


def _line(event: dict[str, Any]) -> str:
    text = json.dumps(event, separators=(",", ":"))
    for value in event.get("data", {}).values():
        if isinstance(value, NumberText):
            text = text.replace(f'"{value}"', value)
    return text


def _write_file(
    folder: Path, first_day: dt.date, day: dt.date, entries: list[tuple[dt.datetime, str]]
) -> int:
    lines = [line for _, line in entries]
    if day == first_day + _DAY:
        suffix, content = "json", "[\n" + ",\n".join(lines) + "\n]\n"
    else:
        suffix, content = (
            "ndjson" if day.day == 1 or day == first_day else "ndjson.gz",
            "\n".join(lines) + "\n",
        )
    path = folder / f"{day:%Y/%m/%Y-%m-%d}.{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as raw:
        if suffix.endswith(".gz"):
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
                packed.write(content.encode())
        else:
            raw.write(content.encode())
        return raw.tell()


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _refuse_foreign_files(folder: Path) -> None:
    foreign = sorted(
        name
        for path in (folder.rglob("*") if folder.is_dir() else [folder] if folder.exists() else [])
        if not path.is_dir() and not _OURS.fullmatch(name := path.relative_to(folder).as_posix())
    )
    if foreign:
        raise EventsFolderInUse(
            f"{folder} is the place for the sample company's events, but it holds {foreign[0]!r} "
            f"({len(foreign)} such files), which the sample did not write. Move them to a folder of their "
            "own and name it (`focus-assets demo --events DIR --config focus.yaml`). Nothing was written."
        )
