"""Reconciliation: closed weeks have no difference, and whatever is wrong with a line is found there."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from focus_assets.billing.reconcile import by_invoice
from focus_assets.stage_controls import invoice_lines_reconcile
from focus_assets_tests.billing.weeks import Weeks, configuration

D = Decimal
Change = Callable[[pl.DataFrame], pl.DataFrame]
LAST = dt.date(2026, 8, 7)


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return Weeks(tmp_path_factory.mktemp("computed")).compute(1, 7)


@pytest.fixture
def weeks(tmp_path: Path, computed: Weeks) -> Weeks:
    """A week of one's own to spoil."""
    shutil.copytree(computed.root, tmp_path / "lake")
    return Weeks(tmp_path / "lake")


def test_closed_weeks_have_no_difference_at_all(computed: Weeks) -> None:
    lines = computed.reconciled()
    assert lines["difference"].unique().to_list() == [D(0)]
    assert lines["finding"].null_count() == lines.height
    assert by_invoice(lines).select("InvoiceId", "reference", "stated", "charged").rows() == [
        ("ann/20260801-20260808/USD", D("4.77"), D("4.77"), D("4.77")),
        ("bob/20260801-20260808/USD/Test Vendor Europe", D("0.59"), D("0.59"), D("0.59")),
    ]


def more(cost: str, component: str) -> Change:
    dearer = pl.when(pl.col("x_PriceComponent") == component).then(D(cost)).otherwise(D(0))
    return lambda rows: rows.with_columns(BilledCost=pl.col("BilledCost") + dearer.cast(pl.Decimal(38, 18)))


WRONG: dict[str, tuple[str, int, Change, str]] = {
    "a row that costs too much": (
        "focus_cost_and_usage",
        3,
        more("0.006", "usage:2"),
        "do not add up to the charge rated at once",
    ),
    "a day without its rows": (
        "focus_cost_and_usage",
        3,
        lambda rows: rows.clear(),
        "do not add up to the charge rated at once",
    ),
    "a line stated otherwise": (
        "focus_invoice_detail",
        7,
        lambda rows: rows.with_columns(pl.col("BilledCost") + D("0.001")),
        "what Invoice Detail states",
    ),
    "a line that is not stated": (
        "focus_invoice_detail",
        7,
        lambda rows: rows.filter(~pl.col("InvoiceDetailId").str.contains("usage:2")),
        "what Invoice Detail states",
    ),
    "a line of two invoices": (
        "focus_cost_and_usage",
        3,
        lambda rows: rows.with_columns(InvoiceId=pl.lit("another")),
        "several invoices",
    ),
}


@pytest.mark.parametrize(("dataset", "n", "change", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_line_is_found(
    weeks: Weeks, dataset: str, n: int, change: Change, said: str
) -> None:
    weeks.rewrite(dataset, n, change(weeks.lake.scan(dataset, [dt.date(2026, 8, n)]).collect()))
    found = invoice_lines_reconcile(weeks.lake, LAST)
    assert any(said in finding for finding in found["finding"])


def test_rounding_never_hides_a_charge_that_was_rated_wrongly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows rated at other quantities than the totals hold: what is added stays below a cent, and the check says so."""
    import focus_assets.rated_day

    rated = focus_assets.rated_day.rate

    def too_dear(*tables: pl.LazyFrame, **named: pl.LazyFrame | None) -> pl.LazyFrame:
        usage = pl.col("component") == "usage"
        twice = pl.when(usage).then(pl.col("billed_cost") * 2).otherwise(pl.col("billed_cost"))
        return rated(*tables, **named).with_columns(twice.cast(pl.Decimal(38, 18)).alias("billed_cost"))

    monkeypatch.setattr(focus_assets.rated_day, "rate", too_dear)
    weeks = Weeks(tmp_path).compute(1, 7, anew=True)
    lines = weeks.reconciled().filter(pl.col("InvoiceDetailId").str.contains("tokens/.*usage"))
    assert lines["rounding"].abs().max() < D("0.005")  # type: ignore[operator]
    assert all(
        finding == "its rows do not add up to the charge rated at once" for finding in lines["finding"]
    )


def test_a_charge_over_several_billing_periods_reconciles_in_each(tmp_path: Path) -> None:
    """Tiers count on for four weeks, invoices come by the week."""
    monthly = configuration()
    monthly["plans"][0]["rate_cards"][0]["billing_cadence"] = "P4W"
    weeks = Weeks(tmp_path, catalog=monthly, as_of=dt.datetime(2026, 8, 20, tzinfo=dt.UTC)).compute(1, 14)
    lines = weeks.reconciled()
    assert lines["finding"].null_count() == lines.height
    second = lines.filter(pl.col("InvoiceDetailId").str.contains("tokens/20260801T000000Z/20260808"))
    assert second.select("InvoiceDetailId", "charged").rows() == [
        ("ann/basic/tokens/20260801T000000Z/20260808T000000Z/usage:2", D("0.06")),
    ]
