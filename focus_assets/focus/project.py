"""From the stored shape to one FOCUS version.

What belongs here: choosing, ordering and typing columns. What does not: computing values; every value a
version needs is already in the stored row.
"""

from __future__ import annotations

from functools import cache

import polars as pl

from focus_assets.errors import FocusAssetsError
from focus_assets.focus.columns import COST_AND_USAGE, OWN_PREFIX
from focus_assets.focus.schema import internal_schema, version_schema


class UnfitFrameError(FocusAssetsError):
    """A frame that is not in the stored shape."""


def project(frame: pl.LazyFrame, version: str, dataset: str = COST_AND_USAGE) -> pl.LazyFrame:
    """The rows of a stored FOCUS dataset as one version shows them.

    Args:
        frame: the columns of :func:`~focus_assets.focus.schema.internal_schema` in any order; further ``x_``
            columns may be there.
        version: a FOCUS version, such as ``"1.2"``.

    Returns:
        Exactly the version's columns in the order and types of
        :func:`~focus_assets.focus.schema.version_schema`, then further ``x_`` columns by name. Rows and their
        order are untouched; a value that does not fit its type raises when the frame is collected.

    Raises:
        UnfitFrameError: a column is missing, or is neither FOCUS's nor begins with ``x_``.
        UnknownColumnError: no such version.
    """
    wanted, stored = _columns(version, dataset)
    found = frame.collect_schema()
    if missing := [name for name in wanted if name not in found]:
        raise UnfitFrameError(
            f"The frame lacks {', '.join(missing)}, needed for FOCUS {version} of {dataset}. "
            "It must have every column of the stored shape; nothing was projected."
        )
    own = sorted(name for name in found if name not in stored)
    if foreign := [name for name in own if not name.startswith(OWN_PREFIX)]:
        raise UnfitFrameError(
            f"{', '.join(foreign)}: no column of {dataset} in any FOCUS version. "
            f"A column of our own begins with {OWN_PREFIX}; nothing was projected."
        )
    return frame.select(
        *(name if found[name] == dtype else pl.col(name).cast(dtype) for name, dtype in wanted.items()), *own
    )


@cache
def _columns(version: str, dataset: str) -> tuple[pl.Schema, frozenset[str]]:
    """A version's schema, and the names of the stored columns: asked for with every file that is written."""
    return version_schema(version, dataset), frozenset(internal_schema(dataset))
