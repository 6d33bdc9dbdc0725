"""Reads folders of event files with nothing but the standard library, to say what lies in them."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One entry of a file: the day of its file, its position there, and the event where it is JSON."""

    file_day: dt.date
    position: int
    text: str
    event: dict[str, Any] | None

    @property
    def instant(self) -> dt.datetime | None:
        """The event's time in UTC, where it has one that can be read."""
        try:
            return dt.datetime.fromisoformat((self.event or {})["time"]).astimezone(dt.UTC)
        except (KeyError, ValueError):
            return None

    @property
    def is_valid(self) -> bool:
        """Whether the entry is an event with an id and a time."""
        return self.event is not None and "id" in self.event and self.instant is not None


def entries(folder: Path) -> Iterator[Entry]:
    """Every entry of every file below ``folder``, in order of path and position."""
    for path in sorted(folder.rglob("*.*")):
        day = dt.date.fromisoformat(path.name.partition(".")[0])
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
        if path.suffix == ".json":
            batch = json.loads(text, parse_float=Decimal)
            yield from (Entry(day, n, "", event) for n, event in enumerate(batch, 1))
        else:
            yield from (Entry(day, n, line, _parsed(line)) for n, line in enumerate(text.splitlines(), 1))


def first_of_each(found: list[Entry]) -> list[dict[str, Any]]:
    """The valid events, without those whose source and id came before."""
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in found:
        if entry.is_valid and entry.event is not None:
            kept.setdefault((entry.event["source"], entry.event["id"]), entry.event)
    return list(kept.values())


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] = json.loads(line, parse_float=Decimal)
    except json.JSONDecodeError:
        return None
    return event
