"""Running a folder of cases: finding each operation's module, counting, printing."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focus_assets_tests.vectors import Difference, Skip

Case = Mapping[str, Any]
Runner = Callable[[Case], Difference | None]


@dataclass(frozen=True)
class Outcome:
    """One case's verdict: ``passed``, ``failed`` or ``skipped``, and why where it did not pass."""

    case: str
    verdict: str
    why: str = ""


def cases_in(folder: Path) -> Iterator[tuple[str, Case]]:
    """Every case of every ``*.json`` file of a folder, as (file name, case), in order."""
    for path in sorted(folder.glob("*.json")):
        for case in json.loads(path.read_text(encoding="utf-8")):
            yield path.name, case


def outcome(case: Case) -> Outcome:
    """Run one case."""
    name, op = str(case.get("id", "?")), str(case.get("op", "?"))
    try:
        runner = _runner(op)
        difference = runner(case)
    except Skip as skip:
        return Outcome(name, "skipped", str(skip))
    except Exception as error:  # noqa: BLE001 - a case that raises has failed; the next must still run
        return Outcome(name, "failed", f"expected a result, came {type(error).__name__}: {error}")
    if difference is None:
        return Outcome(name, "passed")
    return Outcome(name, "failed", f"expected {difference.expected}, came {difference.came}")


def _runner(op: str) -> Runner:
    if not op.isidentifier():
        raise Skip(f"{op!r} names no operation")
    module = f"{__package__}.{op}"
    try:
        run: Runner = importlib.import_module(module).run
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise Skip(f"operation {op!r} is not part of the platform yet") from None
    return run
