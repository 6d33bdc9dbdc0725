from __future__ import annotations

from pathlib import Path

import pytest

from focus_assets_tests.orchestration.company import Company


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """A company with ten days of usage and an empty lake."""
    made = Company(tmp_path)
    made.usage_of_ten_days()
    return made
