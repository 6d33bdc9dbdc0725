"""Fixtures that more than one folder of tests uses are plugins of their own; this file only names them."""

import os

import pytest
from hypothesis import settings

pytest_plugins = (
    "focus_assets_tests.s3_server",
    "focus_assets_tests.faulty_s3",
    "focus_assets_tests.azure_server",
    "focus_assets_tests.gcs_server",
    "focus_assets_tests.other_clouds",
)

# The same examples every time, so that a run says something about the change and not about its luck. Who asks for
# a number of examples (CONTRIBUTING.md) looks for new ones.
settings.register_profile("steady", derandomize=True)
if "FOCUS_ASSETS_EXAMPLES" not in os.environ:
    settings.load_profile("steady")


LONGEST = (
    "kill/test_killed_demo.py",
    "ui/test_ui_drive.py",
    "orchestration/test_real_usage.py",
    "billing/test_corrections.py",
    "orchestration/test_restatements.py",
    "billing/test_openmeter_invoices.py",
)
"""Files that take longest, longest first. A file is run by one process, so that what its tests share is made once; what
is left for the end has to be short, or one process waits for the other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the others stay in their order."""
    places = {f"focus_assets_tests/{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.split("::")[0], len(places)))
