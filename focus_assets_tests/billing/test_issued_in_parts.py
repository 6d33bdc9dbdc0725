"""A week that OpenMeter invoices in two parts: the first is final while the second is not there yet."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from focus_assets.closed_stages import not_kept
from focus_assets.delivery import billing_months, refusals
from focus_assets.focus.columns import VERSIONS
from focus_assets.settings import BillingSettings
from focus_assets_tests.billing.test_late_usage_of_invoices import FIRST, NEXT, TIERS, USED, invoice, weeks
from focus_assets_tests.billing.weeks import Weeks, configuration

D = Decimal
CUT = dt.datetime(2026, 8, 3, 12, 0, tzinfo=dt.UTC)
"""61 tokens are used before it, 67 on the same day after it."""

EARLY = invoice("61", [("61", "0.0333", "2.03"), TIERS[1]], (FIRST, CUT), "0")
REST = invoice("78", [("39", "0.0333", "1.30"), TIERS[2]], (CUT, NEXT), "61")
DAYS = [dt.date(2026, 8, day) for day in range(1, 9)]


def final(found: Weeks) -> dict[str | None, set[bool]]:
    """By InvoiceId, whether Ann's rows of the first week are final."""
    rows = found.rows().filter(pl.col("x_CustomerKey") == "ann", pl.col("BillingPeriodStart") == FIRST)
    flags = rows.group_by("InvoiceId").agg(~pl.col("x_IsEstimated").unique())
    return {number: set(each) for number, each in flags.iter_rows()}


def kept_days(found: Weeks) -> set[int]:
    kept = found.rows("closed_periods").filter(pl.col("BillingPeriodStart") == FIRST)
    return {day.day for day in kept["charge_date"]}


def test_rows_are_final_with_their_own_invoice_and_kept_with_the_last_of_their_period(tmp_path: Path) -> None:
    found = weeks(tmp_path, EARLY, usage=USED, **ONLY_TOKENS).compute(1, 8)
    assert final(found) == {"ANN-01": {True}, None: {False}}
    assert kept_days(found) == set()
    assert [problem for day in DAYS for problem in not_kept(found.lake, day)] == []

    found.catalog = {**found.catalog, "invoices": [EARLY, REST]}
    found.compute(1, 8)
    assert final(found) == {"ANN-01": {True}, "ANN-03": {True}}
    assert kept_days(found) == {1, 2, 3, 4, 5, 6, 7}
    assert [problem for day in DAYS for problem in not_kept(found.lake, day)] == []
    assert found.rows().filter(pl.col("ChargeClass").is_not_null()).is_empty()
    sums = found.rows().drop_nulls("InvoiceId").group_by("InvoiceId").agg(pl.col("BilledCost").sum())
    assert dict(sums.iter_rows()) == {"ANN-01": D("2.59"), "ANN-03": D("1.78")}


def test_a_month_counts_as_invoiced_when_its_periods_are_closed(tmp_path: Path) -> None:
    """What delivers a month on its close goes by this. 61 at 0.0333 are 2.0313, and the fee is rounded in place."""
    found = weeks(tmp_path, EARLY, usage=USED, **ONLY_TOKENS).compute(1, 8)
    first = found.lake.record("focus_cost_and_usage", DAYS[0])
    assert first is not None
    assert first.facts["billing_months"]["2026-08"] == {"rows": 2, "billed_cost": {"USD": "2.5913"}}


def test_rows_of_a_part_are_delivered_while_the_rest_of_its_period_is_missing(tmp_path: Path) -> None:
    """They are no estimates, and yet do not count as invoiced: the month has not closed."""
    found = weeks(tmp_path, EARLY, usage=USED, **ONLY_TOKENS).compute(1, 8)
    month = billing_months(found.lake)["2026-08"]
    assert refusals(found.lake, month, versions=VERSIONS) == []

    first = found.lake.record("focus_cost_and_usage", DAYS[0])
    assert first is not None
    said = {"2026-08": {"rows": 2, "billed_cost": {"USD": "2.5913"}, "invoiced": 3}}
    for untrue in (said, {"2026-08": {"rows": 2, "billed_cost": {"USD": "2.59"}}}, {}):
        found.lake.write(
            "focus_cost_and_usage",
            DAYS[0],
            found.lake.scan("focus_cost_and_usage", DAYS[:1]).collect().lazy(),
            inputs=first.inputs,
            facts=lambda _, untrue=untrue: {**first.facts, "billing_months": untrue},  # type: ignore[misc]
        )
        assert [each.day for each in refusals(found.lake, month)] == DAYS[:1]


ONLY_TOKENS = {"subscriptions": [{"customer": "ann", "plan": "basic", "active_from": "2026-08-01T00:00:00Z"}]}


def test_a_week_s_invoice_does_not_close_the_month_that_begins_with_it(tmp_path: Path) -> None:
    unit = {"type": "unit", "amount": "1"}
    cadences = {"weekly": ("P1W", "requests"), "monthly": ("P1M", "tokens")}
    catalog = configuration(
        plans=[
            {"key": key, "billing_cadence": cadence, "rate_cards": [{"feature": feature, "price": unit}]}
            for key, (cadence, feature) in cadences.items()
        ],
        subscriptions=[
            {"customer": "ann", "plan": key, "active_from": "2026-08-01T00:00:00Z"} for key in cadences
        ],
    )
    september = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
    week = invoice(
        "3", [("3", "1", "3")], plan="weekly", item="requests", number="WEEK", created_at=NEXT, issued_at=NEXT
    )
    whole = (FIRST, september)
    of_month: dict[str, Any] = {"number": "MONTH", "created_at": september, "issued_at": september}
    month = invoice("5", [("5", "1", "5")], whole, plan="monthly", billing=whole, **of_month)
    found = Weeks(
        tmp_path,
        usage=[(1, "ann", "requests", None, "3"), (1, "ann", "tokens", "large", "5")],
        catalog=catalog | {"invoices": [week]},
        as_of=NEXT + dt.timedelta(days=1),
        close_after_days=None,
        terms=BillingSettings(late_usage="not_billed"),
    ).compute(1, 1)
    assert found.rows("closed_periods")["BillingPeriodEnd"].to_list() == [NEXT]

    found.catalog = catalog | {"invoices": [week, month]}
    found.as_of = september + dt.timedelta(days=1)
    found.compute(1, 1)
    billed = found.rows().select("InvoiceId", "BilledCost", "ChargeClass").sort("InvoiceId")
    assert billed.rows() == [("MONTH", D(5), None), ("WEEK", D(3), None)]
