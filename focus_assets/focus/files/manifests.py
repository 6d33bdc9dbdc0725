"""Which files beside the manifests of deliveries are no part of what is checked.

What belongs here: telling it by the manifests: files that stay for readers who began before a newer delivery, and files
of other datasets. What does not: writing manifests (``delivery.manifest``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any


def is_manifest(path: str) -> bool:
    """Whether a file may be the manifest of a delivery, by its name."""
    return path.lower().endswith("manifest.json")


def of_the_dataset(paths: Sequence[str], manifests: Iterable[bytes], dataset: str) -> list[str]:
    """The paths without those that manifests say are retired, or are another dataset's, and none of them delivers.

    JSON of others says nothing of it, and is passed over. Names hold a digest of the content, so that they tell. Where
    nothing of the dataset would be left, it is not what its manifests say that is asked for, but the files.
    """
    asset = f"focus_{dataset.replace('-', '_')}"  # what manifests call it
    delivered: set[str] = set()
    retired: set[str] = set()
    others: set[str] = set()
    for data in manifests:
        try:
            manifest = json.loads(data)
        except ValueError:
            continue
        if not isinstance(manifest, dict):
            continue
        if manifest.get("dataset", asset) == asset:
            delivered |= _names(manifest.get("files"))
        else:
            others |= _names(manifest.get("files"))
        retired |= _names(manifest.get("retired"))
    current = [path for path in paths if PurePosixPath(path).name not in retired - delivered - others]
    return [path for path in current if PurePosixPath(path).name not in others - delivered] or current


def _names(entries: Any) -> set[str]:
    listed = entries if isinstance(entries, list) else []
    paths = [entry.get("path") for entry in listed if isinstance(entry, dict)]
    return {PurePosixPath(path).name for path in paths if isinstance(path, str)}
