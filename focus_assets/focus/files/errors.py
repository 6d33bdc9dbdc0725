"""What cannot be checked at all."""

from __future__ import annotations

from focus_assets.errors import FocusAssetsError


class UnusableInput(FocusAssetsError):
    """A file that is none, is damaged, or holds no FOCUS data; nothing was checked."""
