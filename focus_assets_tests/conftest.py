"""Fixtures that more than one folder of tests uses are plugins of their own; this file only names them."""

import os

from hypothesis import settings

pytest_plugins = ("focus_assets_tests.s3_server",)

# The same examples every time, so that a run says something about the change and not about its luck. Who asks for
# a number of examples (CONTRIBUTING.md) looks for new ones.
settings.register_profile("steady", derandomize=True)
if "FOCUS_ASSETS_EXAMPLES" not in os.environ:
    settings.load_profile("steady")
