"""What units are called: FOCUS recommends a few forms, so that quantities of different rows can be compared."""

from __future__ import annotations

from typing import Final

import polars as pl

from focus_assets.focus.columns import COST_AND_USAGE, WORDS_FOR_NOTHING, FocusColumn, Format, columns
from focus_assets.focus.rules.model import AnyRule, Reads, RowRule

_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_SIZE: Final = r"(?:[KMGTPEZY]i?)?[Bb]"
_WORDS: Final = r"(?:[A-Z][A-Za-z0-9]* )*[A-Z][A-Za-z0-9]*"
_TIME: Final = "(?:Year|Month|Week|Day|Hour|Minute|Second)"
_COUNTED: Final = rf"(?:{_SIZE}|{_WORDS}s)"
_FORMS: Final = (
    rf"{_COUNTED}",
    rf"{_COUNTED}/(?:{_TIME}|{_NUMBER} {_TIME}s)",
    rf"(?:{_SIZE}|{_WORDS})-{_TIME}s",
)
_UNIT: Final = rf"^(?:{_NUMBER} )?(?:{'|'.join(_FORMS)})$"


def rules(dataset: str = COST_AND_USAGE) -> tuple[AnyRule, ...]:
    """Units in the forms of the attribute Unit Format."""
    return tuple(_named(entry) for entry in columns(dataset=dataset) if entry.format is Format.UNIT)


def _named(entry: FocusColumn) -> RowRule:
    return RowRule(
        id=f"units.{entry.id}",
        sentence=(
            f"{entry.id} should be a capitalised noun in the plural or a data size, alone or as in "
            "1000 Tokens, GB/Hour and GB-Hours."
        ),
        section="Attributes: Unit Format",
        versions=tuple(entry.levels),
        blocking=False,
        reads={entry.id: Reads.TEXT},
        violation=~pl.col(entry.id).str.contains(_UNIT).fill_null(True)
        & ~pl.col(entry.id).is_in(WORDS_FOR_NOTHING).fill_null(False),
        by_value=True,
    )
