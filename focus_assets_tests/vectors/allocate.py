"""``allocate``: sharing out an amount in whole minor units, which nothing in the platform does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from focus_assets_tests.vectors import Difference, Skip


def run(case: Mapping[str, Any]) -> Difference | None:
    """Skipped: there is no code to send it through."""
    raise Skip(
        "the platform shares nothing out: a row's cost is its own quantity at its own price, exact, and what "
        "rounding adds is a row of its own"
    )
