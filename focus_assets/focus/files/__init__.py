"""Anybody's FOCUS files as frames that rules can be applied to.

Start with :func:`open_table`; :func:`detect_version` says which FOCUS version its columns are.
"""

from focus_assets.focus.files.errors import UnusableInput
from focus_assets.focus.files.table import Table, open_table, rules_for_table
from focus_assets.focus.files.version import detect_version

__all__ = ["Table", "UnusableInput", "detect_version", "open_table", "rules_for_table"]
