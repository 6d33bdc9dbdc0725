"""What an installation is told: ``focus.yaml`` and the environment, as pydantic models.

What belongs here: the file's shape, its reading, and messages about it. What does not: defaults for a
demonstration (``demo``), the meaning of meters and prices (``catalog``).
"""

from focus_assets.settings.billing import BillingSettings, CommitmentSettings
from focus_assets.settings.destinations import CustomersByLabel, Destination, FocusVersion, Notice
from focus_assets.settings.models import (
    CloudEventsSettings,
    ConfigurationError,
    DuckDBSettings,
    LakeSettings,
    MeterDetails,
    NoConfiguration,
    OpenMeterSettings,
    Settings,
    SourceSettings,
)
from focus_assets.settings.s3 import S3Settings
from focus_assets.settings.sample import settings_or_sample

__all__ = [
    "BillingSettings",
    "CloudEventsSettings",
    "CommitmentSettings",
    "ConfigurationError",
    "CustomersByLabel",
    "Destination",
    "DuckDBSettings",
    "FocusVersion",
    "LakeSettings",
    "MeterDetails",
    "NoConfiguration",
    "Notice",
    "OpenMeterSettings",
    "S3Settings",
    "Settings",
    "SourceSettings",
    "settings_or_sample",
]
