"""Usage from CloudEvents files: listing, reading, validating, deduplicating and metering them with DuckDB.

What belongs here: everything between a folder of event files and ``raw_usage`` rows. What does not: customers
and charges (``catalog``), what becomes of metered usage (``usage``) and how events reach the folder.
"""

from focus_assets.cloudevents.errors import (
    EventFilesUnreadable,
    InvalidMeterQuery,
    MeteredValueTooLarge,
    UnsupportedJsonPath,
)
from focus_assets.cloudevents.meter import meter_events
from focus_assets.cloudevents.query import MeterQuery, WindowSize
from focus_assets.cloudevents.source import (
    CloudEventsSource,
    EventFilesSettings,
    MeteredRange,
    source_fingerprint,
)

__all__ = [
    "CloudEventsSource",
    "EventFilesSettings",
    "EventFilesUnreadable",
    "InvalidMeterQuery",
    "MeterQuery",
    "MeteredRange",
    "MeteredValueTooLarge",
    "UnsupportedJsonPath",
    "WindowSize",
    "meter_events",
    "source_fingerprint",
]
