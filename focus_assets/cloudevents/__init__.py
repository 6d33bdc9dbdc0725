"""Usage from CloudEvents files: listing, reading, validating, deduplicating and metering them with DuckDB.

What belongs here: everything between a folder of event files and ``raw_usage`` rows. What does not: customers
and charges (``catalog``), what becomes of metered usage (``usage``) and how events reach the folder.
"""

from focus_assets.cloudevents.errors import (
    EarlierKeysMissing,
    EventFilesUnreadable,
    InvalidMeterQuery,
    MeteredValueTooLarge,
    UnsupportedJsonPath,
)
from focus_assets.cloudevents.inputs import EventFilesSettings, days_looked_back_on
from focus_assets.cloudevents.kept_keys import KeptKeys
from focus_assets.cloudevents.meter import meter_events
from focus_assets.cloudevents.query import MeterQuery, WindowSize
from focus_assets.cloudevents.source import CloudEventsSource, MeteredRange

__all__ = [
    "CloudEventsSource",
    "EarlierKeysMissing",
    "EventFilesSettings",
    "EventFilesUnreadable",
    "InvalidMeterQuery",
    "KeptKeys",
    "MeterQuery",
    "MeteredRange",
    "MeteredValueTooLarge",
    "UnsupportedJsonPath",
    "WindowSize",
    "days_looked_back_on",
    "meter_events",
]
