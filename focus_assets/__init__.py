"""focus_assets: metered usage in, FOCUS cost and usage out, delivered by Dagster."""

from importlib.metadata import version

__version__ = version("focus-assets")
