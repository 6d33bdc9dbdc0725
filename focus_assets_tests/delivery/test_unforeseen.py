"""Errors that nobody raised on purpose: one destination's is its own failure, and says where it was."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.delivery import (
    DeliveryFailure,
    DeliveryRefused,
    DeliveryResult,
    DeliveryRun,
    DestinationError,
    build,
    deliver_all,
    entries,
    ledger,
    verify,
)
from focus_assets.lake import Lake
from focus_assets.settings import Destination
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import days

AUGUST = "2026-08"
STEPS = import_module("focus_assets.delivery.deliver")
"""The module; the package's own name of it is the function."""


def destinations(folder: Path) -> list[Destination]:
    return [
        Destination(name=name, url=str(folder / name), customers=(customer,))
        for name, customer in (("first", "acme"), ("broken", "globex"), ("last", "acme"))
    ]


def failing_for_globex(does: Callable[..., Any], error: BaseException) -> Callable[..., Any]:
    def failing(lake: Any, destination: Destination, *rest: Any) -> Any:
        if destination.name == "broken":
            raise error
        return does(lake, destination, *rest)

    return failing


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "/bucket/part.parquet"),
        pl.exceptions.ComputeError("a column overflowed"),
        pl.exceptions.PanicException("index out of bounds"),
        KeyError("a defect"),
        MemoryError("too little"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_fails_one_destination_is_its_failure_by_name_and_the_others_are_served(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(STEPS, "build", failing_for_globex(build.build, error))

    first, broken, last = deliver_all(lake, destinations(tmp_path), AUGUST, DeliveryRun(NOW))

    assert isinstance(first, DeliveryResult)
    assert isinstance(last, DeliveryResult)
    assert isinstance(broken, DeliveryFailure)
    assert isinstance(broken.error, DestinationError)
    assert broken.error.__cause__ is error
    for part in ("destination broken", AUGUST, type(error).__name__, str(error), str(tmp_path / "broken")):
        assert part in str(broken.error)
    assert entries(lake)["destination"].to_list() == ["first", "last"]
    assert [each.problems for name in ("first", "last") for each in verify(str(tmp_path / name))] == [(), ()]


def test_an_interrupt_ends_the_run(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STEPS, "build", failing_for_globex(build.build, KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        deliver_all(lake, destinations(tmp_path), AUGUST, DeliveryRun(NOW))


def test_a_scan_of_the_whole_month_that_fails_names_the_day(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third day's file is damaged between the gate and the delivery, in the middle of a column."""
    third = days("2026-08-02", "2026-08-02")[0]

    def damaging(*arguments: Any) -> Any:
        file = lake.files("focus_cost_and_usage", [third])[0]
        data = bytearray(file.read_bytes())
        data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
        file.write_bytes(data)
        monkeypatch.setattr(lake, "files", lambda dataset, of: [located(day) for day in of])
        return build.build(*arguments)

    located = {
        day: lake.files("focus_cost_and_usage", [day])[0] for day in days("2026-08-01", "2026-08-04")
    }.get
    monkeypatch.setattr(STEPS, "build", damaging)

    (failed,) = deliver_all(lake, destinations(tmp_path)[:1], AUGUST, DeliveryRun(NOW))

    assert isinstance(failed, DeliveryFailure)
    assert "destination first" in str(failed.error)
    assert "focus_cost_and_usage of 2026-08-02 in " in str(failed.error)
    assert "cannot be read" in str(failed.error)
    assert entries(lake).is_empty()


@pytest.mark.parametrize("where", ["require_days", "require_rules", "one_pass", "before_put"])
def test_what_fails_for_all_is_told_to_each_and_is_no_traceback(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    if where != "before_put":
        monkeypatch.setattr(STEPS, where, full)
    before_put = full if where == "before_put" else None

    found = deliver_all(lake, destinations(tmp_path), AUGUST, DeliveryRun(NOW), before_put=before_put)

    assert [each.destination for each in found] == ["first", "broken", "last"]
    for each in found:
        assert isinstance(each, DeliveryFailure)
        assert isinstance(each.error, DeliveryRefused)
        assert "billing month 2026-08 was not delivered: OSError: [Errno 28] No space left" in str(each.error)


def test_deliveries_stand_where_what_is_newest_cannot_be_remembered(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger.newest, "claim", full)
    with ledger.remembering(lake):
        found = deliver_all(lake, destinations(tmp_path), AUGUST, DeliveryRun(NOW))
    assert all(isinstance(each, DeliveryResult) for each in found)
    assert "which deliveries are newest could not be remembered: [Errno 28]" in caplog.text
    assert ledger.latest_deliveries(lake).height == 3


def test_a_delivery_stands_where_what_was_retired_cannot_be_removed(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("a defect")

    monkeypatch.setattr(STEPS, "_replaced", broken)
    found = deliver_all(lake, destinations(tmp_path), AUGUST, DeliveryRun(NOW))
    assert all(isinstance(each, DeliveryResult) for each in found)
    assert "destination broken: what was retired could not be removed: 'a defect'" in caplog.text
