"""What nobody foresaw, as an error that says whose delivery it was and which day could not be read.

What belongs here: a full disc, an engine's error, a defect, turned into a sentence. What does not: errors that were
raised on purpose, which say it themselves.

One destination's failure, of whatever kind, must leave the results of the others: they are what was delivered.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from typing import Final

import polars as pl

from focus_assets.delivery.errors import DeliveryRefused, DestinationError
from focus_assets.errors import FocusAssetsError
from focus_assets.lake import Lake
from focus_assets.settings import Destination

ANY_ERROR: Final = (Exception, pl.exceptions.PanicException)
"""What fails one delivery. A panic of Polars is no ``Exception``; an interrupt is neither and ends the run."""

_ENGINE: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_log: Final = logging.getLogger(__name__)


def of_destination(
    error: BaseException,
    destination: Destination,
    lake: Lake,
    month: str,
    dataset: str,
    days: Sequence[dt.date],
) -> FocusAssetsError:
    """``error`` as the failure of one destination's delivery; one that was raised on purpose is left as it is."""
    if isinstance(error, FocusAssetsError):
        return error
    return _told(
        error,
        DestinationError(
            f"destination {destination.name} ({destination.url}): {dataset} of billing month {month} was not "
            f"delivered: {_sentence(error)}{_where(error, lake, dataset, days)}. No manifest was replaced unless the "
            "ledger says so; deliver again once it is mended."
        ),
    )


def of_month(
    error: BaseException, lake: Lake, month: str, dataset: str, days: Sequence[dt.date] = ()
) -> FocusAssetsError:
    """``error`` as the failure of what is asked once for all destinations; one raised on purpose is left as it is."""
    if isinstance(error, FocusAssetsError):
        return error
    return _told(
        error,
        DeliveryRefused(
            f"{dataset} of billing month {month} was not delivered: {_sentence(error)}"
            f"{_where(error, lake, dataset, days or _days_of(lake, dataset, month))}. "
            "Nothing was put anywhere; deliver again once it is mended."
        ),
    )


def _told(error: BaseException, named: FocusAssetsError) -> FocusAssetsError:
    named.__cause__ = error
    # A sentence is for whoever mends it; a defect is found by where it came from.
    _log.warning("%s", named, exc_info=error)
    return named


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().rstrip('.') or 'no reason was given'}"


def _where(error: BaseException, lake: Lake, dataset: str, days: Sequence[dt.date]) -> str:
    """The day to blame where the engine failed: it scans a month at once and names none of its files."""
    if not isinstance(error, _ENGINE):
        return ""
    for day in sorted(days):
        try:
            lake.scan(dataset, [day]).sink_batches(lambda _: None)
        except ANY_ERROR as reason:
            return f" ({dataset} of {day:%F} in {lake.url} cannot be read: {_sentence(reason)})"
    return ""


def _days_of(lake: Lake, dataset: str, month: str) -> list[dt.date]:
    try:
        return [day for day in lake.days(dataset) if f"{day:%Y-%m}" == month]
    except ANY_ERROR:
        return []
