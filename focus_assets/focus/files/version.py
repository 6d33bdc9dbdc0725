"""Which FOCUS version a file is, by the names of its columns.

What belongs here: the guess and its reason. Data carries no version of its own; FOCUS puts it into metadata that
rarely travels with a file.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from focus_assets.focus.columns import COST_AND_USAGE, DATASETS, VERSIONS, Level, columns
from focus_assets.focus.files.errors import UnusableInput

_SHOWN: Final = 5


def detect_version(names: Collection[str], dataset: str = COST_AND_USAGE) -> str:
    """The version that explains the columns best: most of them known, fewest mandatory ones missing, oldest.

    The oldest, because a file claims no more than its columns say.

    Raises:
        UnusableInput: no column is one of the dataset's, in any version.
    """
    present = set(names)
    known = {column.id for column in columns(dataset=dataset)}
    if not present & known:
        raise UnusableInput(
            f"no column of the FOCUS dataset {dataset} is there; found {_some(names)}. Other datasets are "
            f"named with --dataset: {', '.join(DATASETS)}. Column names are written exactly as FOCUS does."
        )

    def unexplained(version: str) -> tuple[int, int]:
        of_version = {column.id: column for column in columns(version, dataset)}
        missing = [
            c for c in of_version.values() if c.levels[version] is Level.MANDATORY and c.id not in present
        ]
        return len((present & known) - set(of_version)) + len(missing), VERSIONS.index(version)

    return min((v for v in VERSIONS if columns(v, dataset)), key=unexplained)


def _some(names: Collection[str]) -> str:
    shown = ", ".join(repr(name) for name in list(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown or "no column"
