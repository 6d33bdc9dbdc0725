"""What can go wrong with a store or the lake in it, in words a person can act on.

What belongs here: the errors and how they read. What does not: deciding when to raise them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from focus_assets.errors import FocusAssetsError


class StoreError(FocusAssetsError):
    """A folder or bucket that cannot be read or written as asked: what, where, and what to do."""


class AnswerCutShort(StoreError):
    """An answer whose body ended in the middle: what it would have said is still there to be asked for."""


class ObjectNotFound(StoreError):
    """An object that was asked for by name is not in the store."""


class ConditionFailed(StoreError):
    """A conditional put lost: the object exists already, or is no longer the version named by its etag."""


class LakeBusy(FocusAssetsError):
    """Another writer holds the lake; :attr:`holder` is what it calls itself."""

    def __init__(self, message: str, *, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


class LeaseLost(FocusAssetsError):
    """This process no longer is the lake's writer, so nothing more was written."""


class MissingPartitions(FocusAssetsError):
    """Days a reader needs that the lake does not hold.

    :attr:`dataset` and :attr:`days` (sorted) let a caller add the command that fills them.
    """

    def __init__(self, dataset: str, days: Sequence[dt.date], where: str) -> None:
        self.dataset = dataset
        self.days = sorted(days)
        super().__init__(
            f"{dataset} has no data for {day_ranges(self.days)} in {where}; "
            "nothing was read. Materialize these days first."
        )


class CorruptPartition(FocusAssetsError):
    """A partition whose file is not what its record says; :attr:`dataset` and :attr:`day` name it."""

    def __init__(self, dataset: str, day: dt.date, where: str, what: str) -> None:
        self.dataset = dataset
        self.day = day
        super().__init__(
            f"{dataset} of {day.isoformat()} in {where} cannot be trusted: {what}. "
            "A writer was killed between the file and its record, or something else changed it; "
            f"nothing was read. Materialize {dataset} of {day.isoformat()} again."
        )


def day_ranges(days: Iterable[dt.date]) -> str:
    """Days as people list them: ``2026-08-03 to 2026-08-07, 2026-08-11``."""
    return ", ".join(
        first.isoformat() if first == last else f"{first.isoformat()} to {last.isoformat()}"
        for first, last in _runs(sorted(set(days)))
    )


def _runs(days: Sequence[dt.date]) -> Iterator[tuple[dt.date, dt.date]]:
    first = last = None
    for day in days:
        if first is None or last is None:
            first = last = day
        elif day - last == dt.timedelta(days=1):
            last = day
        else:
            yield first, last
            first = last = day
    if first is not None and last is not None:
        yield first, last
