"""Runs focus-data-toolkit on the four datasets of FOCUS 1.4, inside its own environment; prints its findings as JSON.

Started by ``toolkit`` with that environment's Python; it imports nothing of this project. The argument is a
folder with one CSV file for each dataset, named as the toolkit names it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from focus_data_toolkit.io.row_source import read_source_rows  # type: ignore[import-not-found]
from focus_data_toolkit.model.validator import (  # type: ignore[import-not-found]
    lint_focus_1_4_structure,
)
from focus_data_toolkit.validate import validate_dataset_bundle  # type: ignore[import-not-found]


def _of_any_row(message: str) -> str:
    """A message without the numbers of rows and the values it names."""
    return re.sub(r"\d+", "#", re.sub(r"'[^']*'", "'…'", message))


def main(folder: str) -> None:
    bundle = {}
    found: list[tuple[str, str, str]] = []
    for file in sorted(Path(folder).glob("*.csv")):
        bundle[file.stem] = list(read_source_rows(str(file), dataset=file.stem))
        for violation in lint_focus_1_4_structure(file.stem, bundle[file.stem]).violations:
            found.append((file.stem, violation.rule, violation.column or ""))
    report = validate_dataset_bundle(bundle, invoice_detail_authoritative=True)
    for diagnostic in report.errors + report.warnings:
        found.append(("bundle", diagnostic.code, _of_any_row(diagnostic.message)))
    verdict = {"datasets": sorted(bundle), "checks": list(report.checks_run), "found": sorted(set(found))}
    sys.stdout.write("\nVERDICT " + json.dumps(verdict) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
