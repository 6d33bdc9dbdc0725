"""What the referees judge: the sample company, computed once for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from focus_assets_tests.referees.sample_company import sample_company


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which ``focus-assets demo`` has run."""
    return sample_company(lambda: tmp_path_factory.mktemp("company"))
