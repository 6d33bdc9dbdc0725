"""What can go wrong between event files and metered usage, beyond a single event.

A faulty event or file is no error: it becomes a row of ``quarantined_events``.
"""

from focus_assets.errors import FocusAssetsError


class EventFilesUnreadable(FocusAssetsError):
    """The folder of event files is missing or cannot be listed."""


class UnsupportedJsonPath(FocusAssetsError):
    """A meter's JSON path uses what cannot be metered, such as a wildcard."""


class InvalidMeterQuery(FocusAssetsError):
    """A metering question that has no answer: an empty range, an unknown dimension or time zone."""


class MeteredValueTooLarge(FocusAssetsError):
    """A metered value needs more than 19 digits before the decimal point."""


class EarlierKeysMissing(FocusAssetsError):
    """The lake lacks the keys of a day that the look-back reaches, so duplicates could not be told."""
