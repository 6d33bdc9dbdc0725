"""What was damaged, half replaced or locked by another: found, told, and made whole by the next run."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from focus_assets.orchestration.in_process import CHAIN, Outcome, RunFailed
from focus_assets.orchestration.resources import LakeResource
from focus_assets_tests.orchestration.company import START, Company


def day(number: int) -> dt.date:
    return START + dt.timedelta(days=number - 1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """Three days, all of them up to date."""
    company = Company(tmp_path_factory.mktemp("finished"))
    company.configuration["as_of"] = dt.datetime(2026, 8, 4, tzinfo=dt.UTC)
    company.usage_of_ten_days()
    company.run("2026-08-01", "2026-08-03")
    assert company.chain.days_to_run(company.chain.all_days()) == []
    return company


@pytest.fixture
def lake(finished: Company) -> Iterator[Company]:
    """The finished company; what a test damages is whole again when it ends."""
    root = finished.root / "lake"
    before = {path: path.read_bytes() for path in root.rglob("*") if path.name in KEPT}
    yield finished
    for path, content in before.items():
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


KEPT = ("part-0.parquet", "_record.json")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def nonsense(path: Path) -> None:
    path.write_text("{")


DAMAGES: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "a file cut short": ("normalized_usage", "part-0.parquet", cut_short),
    "a file with one bit turned": ("focus_cost_and_usage", "part-0.parquet", flip_a_byte),
    "a file removed": ("unbilled_usage", "part-0.parquet", Path.unlink),
    "a record that is none": ("usage_totals", "_record.json", nonsense),
    "a record removed": ("raw_usage", "_record.json", Path.unlink),
    # A kill between the file and its record leaves the new file with the old record.
    "a catalog replaced without its record": ("catalog", "part-0.parquet", flip_a_byte),
}


@pytest.mark.parametrize(("dataset", "name", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_day_is_not_called_up_to_date(
    lake: Company, dataset: str, name: str, damage: Callable[[Path], None]
) -> None:
    damage(lake.root / "lake" / dataset / "charge_date=2026-08-02" / name)
    assert day(2) in lake.chain.days_to_run(lake.chain.all_days())


def test_the_next_run_makes_damaged_days_what_they_were(lake: Company) -> None:
    before = {(dataset, n): lake.lake.record(dataset, day(n)) for dataset in CHAIN for n in (1, 2, 3)}
    for dataset, name, damage in DAMAGES.values():
        damage(lake.root / "lake" / dataset / "charge_date=2026-08-02" / name)
    outcome = Outcome()
    lake.chain.bring_up_to_date(outcome)
    assert day(2) in outcome.days_run
    assert lake.chain.days_to_run(lake.chain.all_days()) == []
    assert {(dataset, n): lake.lake.record(dataset, day(n)) for dataset, n in before} == before


HOLDER = """
import sys
from focus_assets.lake import Lake
with Lake.open(sys.argv[1]).writer("backfill of somebody else"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_that_waited_in_vain_for_the_lake_names_its_writer(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LakeResource, "lease_wait", lambda _: dt.timedelta(0))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(company.root / "lake")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunFailed) as failed:
            company.run("2026-08-01")
    finally:
        holder.communicate("")
    said = str(failed.value)
    assert "is being written by backfill of somebody else" in said
    assert "nothing was written" in said
    assert "Stack Trace" not in said
    assert company.lake.days("catalog") == []
