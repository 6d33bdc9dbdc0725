"""Control totals are asked once of the same bytes, and again of any others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from focus_assets.billing.closed import kept_path
from focus_assets.lake import Lake, input_key
from focus_assets.lake.remembered import Remembered
from focus_assets.remembered_controls import held, once, what_is_read

BEFORE, DAY = dt.date(2026, 8, 1), dt.date(2026, 8, 2)
FOCUS = "focus_cost_and_usage"
STAGES = ("catalog", "normalized_usage", "raw_usage", "unbilled_usage", "usage_totals")


@dataclass
class Counted:
    """A control that finds ``finds`` rows and counts how often it was asked."""

    finds: int = 0
    asked: int = 0
    meanwhile: Callable[[], None] = field(default=lambda: None)

    def __call__(self, lake: Lake, day: dt.date) -> pl.DataFrame:
        self.asked += 1
        self.meanwhile()
        return pl.DataFrame({"row": range(self.finds)})


def write(lake: Lake, dataset: str, day: dt.date, value: int) -> str:
    return lake.write(dataset, day, pl.LazyFrame({"value": [value]})).sha256


def value_of(request: pytest.FixtureRequest) -> int:
    """What the rows of a test hold."""
    return hash(request.node.name)


def write_focus(lake: Lake, value: int = 1) -> None:
    """A day of FOCUS rows, computed from two days of totals as they are now."""
    inputs = lake.digests("usage_totals", [BEFORE, DAY])
    lake.write(FOCUS, DAY, pl.LazyFrame({"value": [value]}), inputs=inputs)


@pytest.fixture
def lake(tmp_path: Path, request: pytest.FixtureRequest) -> Lake:
    """A lake with rows that no other test has: what was found right is remembered for the whole process."""
    lake = Lake.open(str(tmp_path / "lake"))
    value = value_of(request)
    for dataset in STAGES:
        write(lake, dataset, DAY, value)
    write(lake, "usage_totals", BEFORE, value)
    write_focus(lake, value)
    return lake


def test_a_control_that_held_is_not_asked_again_of_the_same_bytes(lake: Lake) -> None:
    control = Counted()
    ask = once("rows", control)
    assert [ask(lake, DAY).height for _ in range(3)] == [0, 0, 0]
    assert control.asked == 1
    assert held("rows", what_is_read(lake, DAY))
    assert not held("another", what_is_read(lake, DAY))


def test_what_a_control_found_is_found_each_time(lake: Lake) -> None:
    control = Counted(finds=2)
    ask = once("rows", control)
    assert [ask(lake, DAY).height for _ in range(2)] == [2, 2]
    assert control.asked == 2


@pytest.mark.parametrize("dataset", [*STAGES, FOCUS])
def test_a_day_of_which_a_stage_changed_is_asked_again(lake: Lake, dataset: str) -> None:
    control = Counted()
    ask = once("rows", control)
    ask(lake, DAY)
    write(lake, dataset, DAY, -1)
    ask(lake, DAY)
    assert control.asked == 2


def test_equal_rows_computed_again_from_other_earlier_totals_are_asked_again(
    lake: Lake, request: pytest.FixtureRequest
) -> None:
    control = Counted()
    ask = once("rows", control)
    ask(lake, DAY)
    before = lake.digests(FOCUS, [DAY])
    write(lake, "usage_totals", BEFORE, -1)
    write_focus(lake, value_of(request))
    ask(lake, DAY)
    assert lake.digests(FOCUS, [DAY]) == before
    assert control.asked == 2


def test_a_day_that_is_stale_is_asked_each_time_for_it_may_have_read_what_is_no_input_of_it(
    lake: Lake,
) -> None:
    write(lake, "usage_totals", BEFORE, -1)
    control = Counted()
    ask = once("rows", control)
    for _ in range(2):
        ask(lake, DAY)
    assert control.asked == 2


def test_what_another_control_has_read_says_nothing_of_what_this_one_read_since(
    lake: Lake, request: pytest.FixtureRequest
) -> None:
    """Earlier totals are others only while the second control looks, which so has not seen those of the day's rows."""
    once("rows", Counted())(lake, DAY)
    second = Counted()
    ask = once("another", second)
    write(lake, "usage_totals", BEFORE, -1)
    ask(lake, DAY)
    write(lake, "usage_totals", BEFORE, value_of(request))
    ask(lake, DAY)
    assert second.asked == 2


def test_what_changes_while_a_control_looks_is_not_remembered(lake: Lake) -> None:
    control = Counted(meanwhile=lambda: write_focus(lake, -7))
    ask = once("rows", control)
    ask(lake, DAY)
    assert not held("rows", what_is_read(lake, DAY))


def test_only_the_control_of_closed_rows_is_asked_again_when_rows_are_kept_for_good(lake: Lake) -> None:
    controls = {name: Counted() for name in ("consumed_quantities", "closed_rows_unchanged")}
    for name, control in controls.items():
        once(name, control)(lake, DAY)
    lake.store.put(kept_path("closed_cost_and_usage", DAY, 1, "ab" * 32), b"rows")
    for name, control in controls.items():
        once(name, control)(lake, DAY)
    assert {name: control.asked for name, control in controls.items()} == {
        "consumed_quantities": 1,
        "closed_rows_unchanged": 2,
    }


@pytest.mark.parametrize("dataset", [*STAGES, FOCUS])
def test_a_file_that_was_damaged_after_it_held_is_asked_about_again(lake: Lake, dataset: str) -> None:
    control = Counted()
    ask = once("rows", control)
    ask(lake, DAY)
    [file] = lake.files(dataset, [DAY])
    file.write_bytes(file.read_bytes()[:-1])
    assert what_is_read(lake, DAY) is None
    ask(lake, DAY)
    assert control.asked == 2


def test_a_day_without_rows_of_a_stage_is_asked_each_time(tmp_path: Path) -> None:
    control = Counted()
    ask = once("rows", control)
    for _ in range(2):
        ask(Lake.open(str(tmp_path)), DAY)
    assert control.asked == 2


def test_the_oldest_is_forgotten_first() -> None:
    remembered = Remembered(most=2)
    for key in ("a", "b", "c"):
        remembered.add(key)
    assert [key in remembered for key in ("a", "b", "c")] == [False, True, True]
    assert input_key("usage_totals", DAY) not in remembered
