"""Writes events and configurations as a user would hand them in."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml


def write_by_day(folder: Path, events: Iterable[Mapping[str, Any]]) -> None:
    """One ``YYYY/MM/YYYY-MM-DD.ndjson.gz`` for each UTC day of the events, in the order given."""
    lines: dict[str, list[str]] = defaultdict(list)
    for event in events:
        lines[event["time"][:10]].append(json.dumps(event, separators=(",", ":")))
    for day, of_day in lines.items():
        path = folder / day[:4] / day[5:7] / f"{day}.ndjson.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
            packed.write(("\n".join(of_day) + "\n").encode())


def write_configuration(folder: Path, configuration: Mapping[str, Any]) -> Path:
    """``folder/focus.yaml`` with the events, lake and bucket below ``folder/data``."""
    path = folder / "focus.yaml"
    places = {
        "source": {"cloudevents": {"url": "data/events"}},
        "lake": {"url": "data/lake"},
        "destinations": [{"name": "all", "url": "data/bucket/all", "customers": "all"}],
    }
    path.write_text(yaml.safe_dump({**configuration, **places}, sort_keys=False), encoding="utf-8")
    return path
