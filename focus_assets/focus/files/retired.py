"""Files of a delivery that are there for readers who began before a newer one, and are no part of it any more.

What belongs here: telling which by the manifests beside them. What does not: writing manifests (``delivery.manifest``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any


def is_manifest(path: str) -> bool:
    """Whether a file may be the manifest of a delivery, by its name."""
    return path.lower().endswith("manifest.json")


def retired_names(manifests: Iterable[bytes]) -> frozenset[str]:
    """Names of files that manifests say are retired, and that none of them delivers.

    JSON of others says nothing of it, and is passed over. Names hold a digest of the content, so that they tell.
    """
    delivered: set[str] = set()
    retired: set[str] = set()
    for data in manifests:
        try:
            manifest = json.loads(data)
        except ValueError:
            continue
        if isinstance(manifest, dict):
            delivered |= _names(manifest.get("files"))
            retired |= _names(manifest.get("retired"))
    return frozenset(retired - delivered)


def _names(entries: Any) -> set[str]:
    listed = entries if isinstance(entries, list) else []
    paths = [entry.get("path") for entry in listed if isinstance(entry, dict)]
    return {PurePosixPath(path).name for path in paths if isinstance(path, str)}
