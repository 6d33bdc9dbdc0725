"""The demo, killed at any moment: the next run ends as if nothing had happened."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest

from focus_assets_tests.kill.demo_process import PHASES, DemoFolder, Ended, Phase

pytestmark = pytest.mark.kill

KILLS = {"starting": 2, "events": 2, "chain": 5, "checks": 2, "delivery": 3, "late events": 4, "ending": 2}
RESULTS = ("lake", "bucket", "events")
SEED = 2026


def moments() -> list[tuple[Phase, float]]:
    """Twenty moments as a phase and the part of it that is over; one in each is right at its beginning."""
    random = Random(SEED)
    return [
        (phase, 0.0 if number == 0 and phase.name != "starting" else random.random())
        for phase in PHASES
        for number in range(KILLS[phase.name])
    ]


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody killed: what it left and how long its phases took, in seconds."""

    folder: DemoFolder
    contents: dict[str, str]
    names: list[str]
    leftovers: list[str]
    durations: dict[str, float]
    whole: float


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DemoFolder:
    """Where every run of this process takes place, one after the other: the ledger holds the path."""
    return DemoFolder(tmp_path_factory.mktemp("killed") / "company")


@pytest.fixture(scope="module")
def undisturbed(folder: DemoFolder, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder.clear()
    ended, began, whole = folder.run_measured()
    assert ended.code == 0, ended.output
    ends = [*list(began.values())[1:], whole]
    kept = DemoFolder(tmp_path_factory.mktemp("undisturbed"))
    kept.hold(folder)
    return Undisturbed(
        kept,
        folder.contents(*RESULTS),
        names(folder),
        folder.leftovers(),
        {name: end - begin for (name, begin), end in zip(began.items(), ends, strict=True)},
        whole,
    )


@pytest.fixture(autouse=True)
def cleared(folder: DemoFolder) -> Iterator[None]:
    folder.clear()
    yield
    folder.clear()


def names(folder: DemoFolder) -> list[str]:
    return sorted(path.name for path in folder.data.iterdir())


def assert_as_undisturbed(folder: DemoFolder, ended: Ended, undisturbed: Undisturbed) -> None:
    assert ended.code == 0, ended.output
    assert "Traceback" not in ended.output
    found = folder.contents(*RESULTS)
    assert sorted(found) == sorted(undisturbed.contents)
    assert found == undisturbed.contents
    assert names(folder) == undisturbed.names
    assert folder.leftovers() == undisturbed.leftovers
    assert folder.unfinished_runs() == []


def test_an_undisturbed_run_leaves_nothing_unfinished(folder: DemoFolder, undisturbed: Undisturbed) -> None:
    folder.hold(undisturbed.folder)
    assert folder.unfinished_runs() == []
    assert undisturbed.leftovers == [".events.lock"]
    assert not [name for name in undisturbed.contents if "tmp" in name or name.endswith("_lease.json")]


@pytest.mark.parametrize(("phase", "part"), moments(), ids=lambda value: getattr(value, "name", None))
def test_the_run_after_a_kill_ends_with_the_lake_and_the_bucket_of_an_undisturbed_one(
    folder: DemoFolder, undisturbed: Undisturbed, phase: Phase, part: float
) -> None:
    after = part * undisturbed.durations[phase.name]
    # A machine that became faster since the durations were taken may be done before the kill.
    while folder.kill_in(phase, after) != -signal.SIGKILL:
        folder.clear()
        after /= 2
    assert_as_undisturbed(folder, folder.run(), undisturbed)


def test_runs_killed_one_after_the_other_end_the_same(folder: DemoFolder, undisturbed: Undisturbed) -> None:
    random = Random(SEED)
    # Each goes on where the one before was killed, so together they take less than one whole run.
    moments = [(part + random.random() / 15) * undisturbed.whole for part in (0.35, 0.2, 0.15)]
    # A machine that became faster since the duration was taken may be done before the last kill.
    while any(folder.kill_after(moment) != -signal.SIGKILL for moment in moments):
        folder.clear()
        moments = [moment / 2 for moment in moments]
    assert_as_undisturbed(folder, folder.run(), undisturbed)


def test_a_second_run_changes_no_file_and_materializes_nothing(
    folder: DemoFolder, undisturbed: Undisturbed
) -> None:
    folder.hold(undisturbed.folder)
    before, history = folder.touched(*RESULTS), folder.history()
    ended = folder.run()
    assert_as_undisturbed(folder, ended, undisturbed)
    assert "Nothing changed" in ended.output
    assert folder.touched(*RESULTS) == before
    assert folder.history() == history


@pytest.mark.parametrize("part", [0.3, 0.6])
def test_a_kill_of_the_run_that_has_nothing_to_do_changes_nothing(
    folder: DemoFolder, undisturbed: Undisturbed, part: float
) -> None:
    folder.hold(undisturbed.folder)
    before, history = folder.touched(*RESULTS), folder.history()
    folder.kill_after(part * sum(undisturbed.durations[name] for name in ("starting", "events")))
    ended = folder.run()
    assert_as_undisturbed(folder, ended, undisturbed)
    assert "Nothing changed" in ended.output
    assert folder.touched(*RESULTS) == before
    assert folder.history() == history
