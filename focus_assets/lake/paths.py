"""Where things lie in a lake, and which paths are allowed in a store at all.

What belongs here: names of objects. What does not: URLs of stores (``urls``) and reading or writing.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

LEASE: Final = "_lease.json"
"""Says who writes the lake: on object stores the lease itself, in folders a note beside the lock."""

LOCK: Final = ".writer.lock"
"""What a local writer locks; stays where it is, because removing a lock file splits its waiters."""

TEMPORARY_PREFIX: Final = "._tmp-"
"""Start of the names of unfinished files; no listing shows them."""

_DATASET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PARTITION: Final = "charge_date="


def data_path(dataset: str, day: dt.date) -> str:
    """Path of a partition's one Parquet file, below the lake's root."""
    return f"{partition_path(dataset, day)}/part-0.parquet"


def record_path(dataset: str, day: dt.date) -> str:
    """Path of the sidecar that says what the partition's file must be."""
    return f"{partition_path(dataset, day)}/_record.json"


def note_path(dataset: str, day: dt.date) -> str:
    """Path of what is noted beside a partition and differs between equal runs; not every dataset has it."""
    return f"{partition_path(dataset, day)}/_note.json"


def partition_path(dataset: str, day: dt.date) -> str:
    """Folder of a partition, readable as a Hive partition by other engines.

    Raises:
        ValueError: ``dataset`` is no plain name.
        TypeError: ``day`` carries a time.
    """
    return f"{dataset_name(dataset)}/{_PARTITION}{iso_day(day)}"


def dataset_name(dataset: str) -> str:
    """``dataset`` itself, if it is a plain name that can be one folder."""
    if not _DATASET.fullmatch(dataset):
        raise ValueError(f"{dataset!r} is no dataset name: letters, digits, '_' and '-' are allowed")
    return dataset


def iso_day(day: dt.date) -> str:
    """``YYYY-MM-DD``; an instant is refused, because cutting off its time would hide a mistake."""
    if isinstance(day, dt.datetime):
        raise TypeError(f"a partition is a day, not the instant {day.isoformat()}")
    return day.isoformat()


def day_of_record(path: str) -> dt.date | None:
    """The day whose record lies at ``path`` (dataset/charge_date=.../_record.json), else None."""
    parts = path.split("/")
    if len(parts) != 3 or parts[2] != "_record.json" or not parts[1].startswith(_PARTITION):
        return None
    try:
        return dt.date.fromisoformat(parts[1].removeprefix(_PARTITION))
    except ValueError:
        return None


def input_key(dataset: str, day: dt.date) -> str:
    """How a partition is named among another partition's inputs: ``<dataset>/<YYYY-MM-DD>``."""
    return f"{dataset_name(dataset)}/{iso_day(day)}"


def partition_of_input(key: str) -> tuple[str, dt.date] | None:
    """Dataset and day that an input key names; None for inputs outside the lake (``source/...``)."""
    dataset, _, day = key.partition("/")
    if not _DATASET.fullmatch(dataset) or not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
        return None
    try:
        return dataset, dt.date.fromisoformat(day)
    except ValueError:
        return None


def object_path(path: str) -> str:
    """``path`` itself, if it stays inside its store.

    Raises:
        ValueError: it is absolute or empty, or has empty, ``.`` or ``..`` parts, a backslash or a control
            character.
    """
    parts = path.split("/")
    if not all(parts) or not {".", ".."}.isdisjoint(parts) or "\\" in path or not path.isprintable():
        raise ValueError(
            f"{path!r} is no path inside a store: relative, parts separated by '/', none of them empty, "
            "'.' or '..', no backslash and no control characters"
        )
    return path
