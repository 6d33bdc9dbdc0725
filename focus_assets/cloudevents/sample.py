"""A look at some events, for people: which types there are.

What belongs here: a quick look without metering. What does not: anything that is computed from.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Final

from focus_assets.cloudevents.files import EventFile
from focus_assets.cloudevents.lines import UnreadableFile, read_lines

FILES: Final = 20
EVENTS_PER_FILE: Final = 1_000


def types_of_some(files: Sequence[EventFile]) -> Counter[str]:
    """How many events of each type are among the first of some files, from the first to the last of the listing.

    Raises EventFilesUnreadable and StoreError; what is no event is left out.
    """
    step = max(1, len(files) // FILES)
    found: Counter[str] = Counter()
    for file in files[::step]:
        found.update(islice(_types(file), EVENTS_PER_FILE))
    return found


def _types(file: EventFile) -> list[str]:
    try:
        table = next(iter(read_lines(file)), None)
    except UnreadableFile:
        return []
    found = []
    for text in [] if table is None else table["event"].slice(0, EVENTS_PER_FILE).to_pylist():
        try:
            kind = json.loads(text)["type"]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if isinstance(kind, str):
            found.append(kind)
    return found
