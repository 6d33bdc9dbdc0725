"""What can go wrong with a delivery, by who has to act on it."""

from __future__ import annotations

from focus_assets.errors import FocusAssetsError


class DeliveryRefused(FocusAssetsError):
    """The lake may not be delivered as it stands; nothing was written to any destination."""


class MonthNotHeld(DeliveryRefused):
    """The lake holds no day of Cost and Usage of a billing month; other datasets may have rows of it."""


class DeliveryRaced(FocusAssetsError):
    """Another delivery replaced the manifest first; its manifest stands, ours was not written."""


class DestinationError(FocusAssetsError):
    """A destination is wrongly configured, refuses, or holds something that is not ours."""
