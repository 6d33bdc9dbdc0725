"""``python -m focus_assets_tests.vectors FOLDER``: one line per case that did not pass, then the counts."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from focus_assets_tests.vectors.run import cases_in, outcome


def main(arguments: list[str]) -> int:
    """Run the folder named on the command line; 0 where nothing failed, 1 where a case did, 2 on misuse."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        sys.stderr.write("usage: python -m focus_assets_tests.vectors FOLDER   (a folder of *.json files)\n")
        return 2
    counts: Counter[str] = Counter()
    for file, case in cases_in(Path(arguments[0])):
        found = outcome(case)
        counts[found.verdict] += 1
        if found.verdict != "passed":
            print(f"{found.verdict} {file} {found.case}: {found.why}")  # noqa: T201
    if not counts:
        sys.stderr.write(f"no cases in {arguments[0]}; expected *.json files\n")
        return 2
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")  # noqa: T201
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
