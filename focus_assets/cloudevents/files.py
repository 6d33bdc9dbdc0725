"""Which files of a folder hold events, in which form, in which order.

What belongs here: listing. What does not: what is in a file (``lines``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from focus_assets.cloudevents.errors import EventFilesUnreadable


class Form(StrEnum):
    """How events lie in a file."""

    LINES = "one event a line"
    DOCUMENT = "one event, or an array of events"


class Compression(StrEnum):
    """How a file is compressed."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"


_FORMS = {".ndjson": Form.LINES, ".jsonl": Form.LINES, ".json": Form.DOCUMENT}
_COMPRESSIONS = {".gz": Compression.GZIP, ".zst": Compression.ZSTD}


@dataclass(frozen=True)
class EventFile:
    """A file of events; ``path`` is relative to the folder, with forward slashes.

    ``size`` and ``modified_ns`` say whether a file changed since an earlier listing.
    """

    path: str
    local: Path
    form: Form
    compression: Compression
    size: int
    modified_ns: int


@dataclass(frozen=True)
class Listing:
    """The event files of a folder in the order of their paths, and how many other files lie beside them."""

    files: tuple[EventFile, ...]
    ignored: int


def form_of(path: str) -> tuple[Form, Compression] | None:
    """Form and compression by a file's name; ``None`` where it is no event file."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes]
    compression = Compression.NONE
    if suffixes and suffixes[-1] in _COMPRESSIONS:
        compression = _COMPRESSIONS[suffixes.pop()]
    form = _FORMS.get(suffixes[-1]) if suffixes else None
    return None if form is None else (form, compression)


def list_event_files(folder: Path) -> Listing:
    """Every event file below ``folder``, sorted by path compared byte by byte.

    Names that begin with a dot are other files: editors and uploads leave half-written copies under such
    names. Raises EventFilesUnreadable where the folder is missing or a part of it cannot be read.
    """
    if not folder.is_dir():
        raise EventFilesUnreadable(
            f"events folder {str(folder)!r} does not exist or is no folder; set source.cloudevents.url to "
            "the folder that holds .ndjson, .jsonl or .json files, plain, .gz or .zst. Nothing was written."
        )

    def refuse(error: OSError) -> None:
        raise EventFilesUnreadable(
            f"events folder {error.filename!r} cannot be listed: {error.strerror}. Nothing was written."
        )

    found: list[EventFile] = []
    ignored = 0
    for parent, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            local = Path(parent) / name
            relative = local.relative_to(folder).as_posix()
            kind = form_of(relative)
            if kind is None or any(part.startswith(".") for part in PurePosixPath(relative).parts):
                ignored += 1
                continue
            stat = local.stat()
            found.append(EventFile(relative, local, *kind, stat.st_size, stat.st_mtime_ns))
    return Listing(
        tuple(sorted(found, key=lambda file: file.path.encode("utf-8", "surrogateescape"))), ignored
    )
