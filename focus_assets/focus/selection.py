"""Which columns of a FOCUS version an export has, where it asks for some of them alone.

What belongs here: the choice. What does not: who asks (``settings.destinations``).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from focus_assets.errors import FocusAssetsError
from focus_assets.focus.columns import Level, columns
from focus_assets.focus.schema import version_schema


class InvalidSelection(FocusAssetsError):
    """A selection names a column that the FOCUS version does not have."""


def selected(
    version: str, wanted: Sequence[str], *, partial: bool = False, place: str = "columns"
) -> list[str]:
    """The columns of an export in the order of the version: those ``wanted``, all where none is.

    Mandatory columns of the version are always among them, unless the export is ``partial``.

    Raises:
        InvalidSelection: the version has no such column; ``place`` is the key path of the selection.
    """
    known = version_schema(version).names()
    if not wanted:
        return known
    if unknown := [name for name in wanted if name not in known]:
        near = {name: difflib.get_close_matches(name, known, n=1) for name in unknown}
        listed = ", ".join(
            name + (f" (nearest: {found[0]})" if found else "") for name, found in near.items()
        )
        raise InvalidSelection(f"{place}: FOCUS {version} has no column {listed}. Nothing was delivered.")
    kept = set(wanted)
    if not partial:
        kept |= {entry.id for entry in columns(version) if entry.levels[version] is Level.MANDATORY}
    return [name for name in known if name in kept]
