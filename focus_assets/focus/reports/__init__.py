"""What a check found, for people and for programs: text, JSON, JUnit XML and a page of HTML.

``FORMATS`` maps each name to the function that writes it; another format is a module and one entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from focus_assets.focus.reports.found import Found
from focus_assets.focus.reports.json_report import as_json
from focus_assets.focus.reports.junit import as_junit
from focus_assets.focus.reports.page import as_html
from focus_assets.focus.reports.text import as_text

FORMATS: Final[Mapping[str, Callable[[Found], str]]] = MappingProxyType(
    {"text": as_text, "json": as_json, "junit": as_junit, "html": as_html}
)

__all__ = ["FORMATS", "Found"]
