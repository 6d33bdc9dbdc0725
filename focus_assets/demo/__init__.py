"""The sample company: a configuration and two months of untidy usage, the same bytes every time.

What belongs here: what the sample is. What does not: running the chain over it (``orchestration.in_process``).
"""

from pathlib import Path

from focus_assets.demo.company import SampleCompany, company_yaml, sample_company
from focus_assets.settings import Settings
from focus_assets.settings.loading import load_text

__all__ = ["SampleCompany", "company_yaml", "sample_company", "sample_settings"]

DATA = "data"


def sample_settings(root: Path) -> Settings:
    """The sample company's settings with everything in ``<root>/data``, whether it was written there or not."""
    config = root / DATA / "focus.yaml"
    return Settings.load(config) if config.exists() else load_text(company_yaml(), config.absolute())
