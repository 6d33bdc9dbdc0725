"""Billing periods of a month: each scope has its own accounts', and rows are read once for all scopes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from focus_assets.delivery import DeliveryRefused
from focus_assets.delivery.gate import require_days
from focus_assets.delivery.manifest import Scope
from focus_assets.delivery.period_status import look_up_periods, periods_of
from focus_assets.lake import Lake
from focus_assets_tests.delivery.focus_rows import days, row, write_day

AUGUST = "2026-08"


@pytest.fixture
def month(lake: Lake) -> Lake:
    """On the second day acme's rows are invoiced and globex's are estimates; on the first all are invoiced."""
    first, second = days("2026-08-01", "2026-08-02")
    invoiced: dict[str, Any] = {"x_IsEstimated": False}
    write_day(lake, first, [row(first, "acme", **invoiced), row(first, "globex", **invoiced)])
    write_day(
        lake,
        second,
        [
            row(second, "acme", **invoiced),
            row(second, "globex"),
            row(second, "house", x_CustomerKey=None, **invoiced),
        ],
    )
    for day in days("2026-08-03", "2026-08-04"):
        write_day(lake, day, [])
    return lake


def told(lake: Lake, customers: Any) -> list[tuple[str, str]]:
    passed = require_days(lake, AUGUST)
    look_up_periods(lake, passed)
    return [(each.billing_account_id, each.status) for each in periods_of(passed, Scope(customers=customers))]


def test_a_period_is_open_while_a_row_of_it_in_the_scope_is_an_estimate(lake: Lake, month: Lake) -> None:
    by_customer = {key: told(month, (key,)) for key in ("acme", "globex", "nobody")}

    assert [status for _, status in by_customer["acme"]] == ["Closed"]
    assert [status for _, status in by_customer["globex"]] == ["Open"]
    assert by_customer["nobody"] == []
    assert told(month, ("acme", "globex")) == sorted(by_customer["acme"] + by_customer["globex"])


def test_rows_are_read_once_however_many_ask(month: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    passed, scans, read = require_days(month, AUGUST), month.scan, list[str]()

    def counting(dataset: str, of: Sequence[Any]) -> Any:
        read.append(dataset)
        return scans(dataset, of)

    monkeypatch.setattr(month, "scan", counting)
    for _ in range(3):
        look_up_periods(month, passed)
    assert read == ["focus_cost_and_usage"]


def test_a_day_that_changed_after_the_gate_is_refused(month: Lake) -> None:
    passed = require_days(month, AUGUST)
    (first,) = days("2026-08-01", "2026-08-01")
    write_day(month, first, [row(first, "acme", 99)])

    with pytest.raises(DeliveryRefused, match="2026-08-01 was materialized again meanwhile"):
        look_up_periods(month, passed)
    assert passed.periods == {}
