"""Runs focus-data-toolkit on the four datasets of FOCUS 1.4, inside its own environment; prints its findings as JSON.

Started by ``toolkit`` with that environment's Python; it imports nothing of this project. The argument is a
folder with one CSV file for each dataset, named as the toolkit names it.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from focus_data_toolkit.io.row_source import read_source_rows  # type: ignore[import-not-found]
from focus_data_toolkit.model.validator import (  # type: ignore[import-not-found]
    lint_focus_1_4_structure,
)
from focus_data_toolkit.validate import validate_dataset_bundle  # type: ignore[import-not-found]


def _of_any_row(diagnostic: Any) -> str:
    """What a diagnostic says, without the numbers of rows and the ids that it names."""
    message = re.sub(r"\d+", "#", re.sub(r"'[^']*'", "'…'", diagnostic.message))
    if diagnostic.column == "ChargeCategory":
        message += f": {diagnostic.actual}, not {diagnostic.expected}"
    return message


def main(folder: str) -> None:
    bundle = {}
    found: Counter[tuple[str, str, str]] = Counter()
    for file in sorted(Path(folder).glob("*.csv")):
        bundle[file.stem] = list(read_source_rows(str(file), dataset=file.stem))
        for violation in lint_focus_1_4_structure(file.stem, bundle[file.stem]).violations:
            found[file.stem, violation.rule, violation.column or ""] += 1
    report = validate_dataset_bundle(bundle, invoice_detail_authoritative=True)
    for diagnostic in report.errors + report.warnings:
        found["bundle", diagnostic.code, _of_any_row(diagnostic)] += 1
    counted = [[*finding, count] for finding, count in sorted(found.items())]
    verdict = {"datasets": sorted(bundle), "checks": list(report.checks_run), "found": counted}
    sys.stdout.write("\nVERDICT " + json.dumps(verdict) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
