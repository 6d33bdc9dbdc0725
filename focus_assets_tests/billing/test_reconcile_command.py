"""``focus-assets reconcile``: what it prints and how it exits."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import yaml

from focus_assets.cli import main
from focus_assets_tests.billing.weeks import AFTER, START, EveryDataset, Weeks

Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return EveryDataset(tmp_path_factory.mktemp("company") / "lake").compute(1, 8)


@pytest.fixture
def run(weeks: Weeks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    config = weeks.root.parent / "focus.yaml"
    document = {**weeks.catalog, "start_date": START, "as_of": AFTER, "lake": {"url": "lake"}}
    config.write_text(yaml.safe_dump(document))

    def done(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["focus-assets", "reconcile", "--config", str(config), *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return done


def test_closed_periods_without_a_difference_exit_0_and_open_ones_are_counted(run: Run) -> None:
    code, said = run("--period", "2026-08")
    assert code == 0
    assert said.endswith(
        "2 invoice(s) of 2026-08, 6 lines: no difference. 2 billing period(s) are still open.\n"
    )


def test_a_month_without_invoices_says_so(run: Run) -> None:
    assert run("--period", "2026-09") == (0, "No invoice of 2026-09 yet.\n")
    code, said = run("--period", "August")
    assert code == 2
    assert "write year and month, such as 2026-08" in said


def test_every_line_can_be_read_by_a_program(run: Run) -> None:
    code, said = run("--period", "2026-08", "--format", "json", "--lines")
    lines = json.loads(said)
    assert code == 0
    assert {line["difference"] for line in lines} == {"0"}
    assert {line["InvoiceDetailId"].rpartition("/")[2] for line in lines} == {
        "tier_fee:1",
        "usage:1",
        "usage:2",
        "usage",
    }


def test_a_line_that_differs_is_named_and_exits_1(run: Run, weeks: Weeks) -> None:
    day = weeks.lake.scan("focus_cost_and_usage", [START]).collect()
    weeks.rewrite("focus_cost_and_usage", 1, day.with_columns(pl.col("BilledCost") + Decimal("0.01")))
    try:
        code, said = run("--period", "2026-08")
    finally:
        weeks.rewrite("focus_cost_and_usage", 1, day)
    assert code == 1
    assert "ann/basic/tokens/20260801T000000Z/usage:1" in said
    assert "its rows do not add up to the charge rated at once" in said
    assert "2 of 6 lines of 2 invoice(s) of 2026-08 differ." in said


def test_a_line_that_no_day_settled_is_found(weeks: Weeks, run: Run, tmp_path: Path) -> None:
    record = weeks.lake.record("focus_invoice_detail", START.replace(day=7))
    assert record is not None
    rows = weeks.lake.scan("focus_invoice_detail", [record.day]).collect()
    weeks.lake.write(record.dataset, record.day, rows.clear().lazy(), inputs=record.inputs)
    try:
        code, said = run("--period", "2026-08")
    finally:
        weeks.rewrite("focus_invoice_detail", 7, rows)
        weeks.lake.write(
            record.dataset, record.day, rows.lazy(), inputs=record.inputs, facts=lambda _: record.facts
        )
    assert code == 1
    assert "no day settled it" in said
