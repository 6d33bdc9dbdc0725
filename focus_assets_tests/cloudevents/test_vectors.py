"""The figures that OpenMeter's own tests expect of a meter."""

from __future__ import annotations

from pathlib import Path

import pytest

from focus_assets_tests.vectors.run import cases_in, outcome

FOLDER = Path(__file__).parents[2].parent / "shared" / "vectors"
CASES = [case for _, case in cases_in(FOLDER) if case["op"] == "meter"] if FOLDER.is_dir() else []


@pytest.mark.skipif(not CASES, reason="no vectors beside the project: ../shared/vectors")
def test_every_meter_case_gives_what_openmeter_gives() -> None:
    found = [outcome(case) for case in CASES]
    assert [o for o in found if o.verdict != "passed"] == []
