"""Which period takes what changes after OpenMeter's invoice: the first one that is still open, by its own days.

Ann is invoiced by the week. 139 tokens of the first week are on ANN-01, and 70 of the 2nd come after that.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.billing_stages import periods_closed_otherwise
from focus_assets.closed_stages import not_kept
from focus_assets_tests.billing.test_late_usage_of_invoices import (
    FIRST,
    LATE,
    NEXT,
    TIERS,
    USED,
    invoice,
    weeks,
)
from focus_assets_tests.billing.weeks import Weeks

WEEK = dt.timedelta(days=7)
THIRD, FOURTH = NEXT + WEEK, NEXT + 2 * WEEK
SECOND_DAY = dt.date(2026, 8, 2)
ANN: dict[str, Any] = {"customer": "ann", "plan": "basic", "active_from": "2026-08-01T00:00:00Z"}
MORE = (2, "ann", "tokens", "large", "5")


def of_week(start: dt.datetime, **of: Any) -> dict[str, Any]:
    """The invoice of the week that begins then, of the first tier's fee alone."""
    made = invoice("0", TIERS[1:2], (start, start + WEEK), created_at=start + WEEK, issued_at=start + WEEK)
    made["lines"][0] |= {"billing_start": start, "billing_end": start + WEEK}
    return made | of


def invoiced(root: Path, *others: dict[str, Any], **subscription: Any) -> Weeks:
    """The first week and a day, with ``others`` beside the first week's invoice; then usage comes late."""
    found = weeks(root, invoice("139", TIERS), *others, usage=USED, subscriptions=[ANN | subscription])
    found.compute(1, 8)
    found.usage = (*USED, LATE)
    return found


def late(found: Weeks) -> pl.DataFrame:
    return found.rows().filter(pl.col("ChargeClass") == "Correction")


def booked(found: Weeks) -> list[tuple[Any, ...]]:
    """Start of the billing period, quantity, whether it is an estimate."""
    return late(found).select("BillingPeriodStart", "ConsumedQuantity", "x_IsEstimated").rows()


def with_invoices(found: Weeks, *invoices: dict[str, Any]) -> Weeks:
    found.catalog = {**found.catalog, "invoices": [invoice("139", TIERS), *invoices]}
    return found


def statuses(found: Weeks) -> dict[dt.datetime, str]:
    rows = found.rows("focus_billing_period").filter(pl.col("x_CustomerKey") == "ann")
    return dict(rows.select("BillingPeriodStart", "BillingPeriodStatus").iter_rows())


def test_a_following_period_that_is_invoiced_already_is_passed_over(tmp_path: Path) -> None:
    found = invoiced(tmp_path, of_week(NEXT)).compute(1, 7)
    assert booked(found) == [(THIRD, 70, True)]
    assert late(found).select("InvoiceId", "x_CorrectedInvoiceId").rows() == [(None, "ANN-01")]
    before = found.rows()
    found.compute(7, 7).compute(2, 2)
    assert found.rows().equals(before)
    assert found.reconciled()["finding"].drop_nulls().to_list() == []


@pytest.mark.parametrize("state", ["draft", "voided"])
def test_a_period_whose_invoice_is_not_issued_or_not_valid_any_more_is_open(
    tmp_path: Path, state: str
) -> None:
    found = invoiced(tmp_path, of_week(NEXT, status=state, issued_at=None)).compute(1, 7)
    assert booked(found) == [(NEXT, 70, True)]


def test_what_was_booked_once_stays_and_what_comes_later_goes_to_the_next_open_period(tmp_path: Path) -> None:
    found = invoiced(tmp_path).compute(1, 7)
    assert booked(found) == [(NEXT, 70, True)]
    shown = late(found).drop("x_IsEstimated")

    with_invoices(found, of_week(NEXT)).compute(8, 8)
    assert periods_closed_otherwise(found.lake, [SECOND_DAY], found.close) == {SECOND_DAY}
    found.compute(1, 7)
    assert periods_closed_otherwise(found.lake, [SECOND_DAY], found.close) == set()
    assert booked(found) == [(NEXT, 70, False)]
    assert late(found).drop("x_IsEstimated").equals(shown)
    assert late(found)["InvoiceId"].to_list() == [None]
    assert not_kept(found.lake, SECOND_DAY) == []
    kept = late(found)

    found.usage = (*found.usage, MORE)
    found.compute(1, 7)
    assert booked(found) == [(NEXT, 70, False), (THIRD, 5, True)]
    assert late(found).filter(~pl.col("x_IsEstimated")).equals(kept)
    last = found.rows()
    found.compute(7, 7).compute(2, 2)
    assert found.rows().equals(last)
    assert found.reconciled()["finding"].drop_nulls().to_list() == []
    assert found.rows()["ConsumedQuantity"].sum() == 139 + 70 + 5


def test_a_period_without_any_invoice_closes_as_those_of_no_server_do(tmp_path: Path) -> None:
    """The subscription ends with the first week, so that nothing else is billed: three days after the second."""
    found = invoiced(tmp_path, active_to=NEXT)
    found.others = True
    found.as_of = THIRD + dt.timedelta(days=3, seconds=-1)
    found.compute(1, 7)
    assert booked(found) == [(NEXT, 70, True)]
    assert statuses(found) == {FIRST: "Closed", NEXT: "Open"}

    found.as_of = THIRD + dt.timedelta(days=3)
    assert periods_closed_otherwise(found.lake, [SECOND_DAY], found.close) == {SECOND_DAY}
    found.usage = (*found.usage, MORE)
    found.compute(1, 7).compute(2, 2)
    assert statuses(found)[NEXT] == "Closed"
    assert not_kept(found.lake, SECOND_DAY) == []
    assert booked(found) == [(NEXT, 75, False)]

    found.usage = (*found.usage, MORE)
    found.compute(1, 7)
    assert booked(found) == [(NEXT, 75, False), (THIRD, 5, True)]
    assert statuses(found) == {FIRST: "Closed", NEXT: "Closed", THIRD: "Open"}


def test_a_day_that_both_periods_share_closes_as_a_whole(tmp_path: Path) -> None:
    """Weeks begin at one o'clock in the afternoon. The 8th knows of its second invoice later than the 9th."""
    begins = dt.datetime(2026, 8, 1, 13, tzinfo=dt.UTC)
    ends = begins + WEEK
    first = invoice("11", [("11", "0.0333", "0.37"), TIERS[1]], (begins, ends))
    first["lines"][0] |= {"billing_start": begins, "billing_end": ends}
    second = of_week(ends)
    found = weeks(tmp_path, first, usage=USED[-1:], subscriptions=[ANN | {"active_from": begins}])
    found.compute(1, 9)
    found.catalog = {**found.catalog, "invoices": [first, second]}
    found.compute(9, 9)
    found.catalog = {**found.catalog, "invoices": [first]}
    found.usage = (*found.usage, (8, "ann", "tokens", "large", "5"))
    found.compute(8, 8)
    assert booked(found) == [(ends, 5, True)]

    found.catalog = {**found.catalog, "invoices": [first, second]}
    for _ in range(2):
        found.compute(8, 8)
        assert booked(found) == [(ends, 5, False)]
        assert found.rows().filter(pl.col("x_IsEstimated")).is_empty()
