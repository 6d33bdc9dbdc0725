"""Fixtures that more than one folder of tests uses are plugins of their own; this file only names them."""

pytest_plugins = ("focus_assets_tests.s3_server",)
