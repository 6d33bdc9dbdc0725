"""Runs the official validator on one file, inside its own environment, and prints its verdicts as JSON.

Started by ``test_official_validator`` with that environment's Python; it imports nothing of this project. The
validator opens its list of currencies relative to the working directory and exits 0 whatever it finds, so the
caller sets the directory and the verdicts are read from the objects.
"""

from __future__ import annotations

import json
import sys

from focus_validator.validator import Validator  # type: ignore[import-not-found]


def main(file: str, output: str, version: str, criteria: str) -> None:
    validated = Validator(
        data_filename=file,
        output_destination=output,
        output_type="unittest",
        focus_dataset="CostAndUsage",
        rules_version=version,
        rules_block_remote_download=True,
        applicability_criteria=criteria,
    ).validate()
    failed, passed = [], 0
    for rule, verdict in validated.by_rule_id.items():
        skipped = (verdict.get("details") or {}).get("skipped")
        if verdict.get("ok"):
            passed += 1
        elif not skipped:
            failed.append(rule)
    sys.stdout.write("\nVERDICT " + json.dumps({"passed": passed, "failed": sorted(failed)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
