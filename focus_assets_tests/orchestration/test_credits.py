"""Credits over days: what is drawn down is gone the next day, and days that were computed without it are refused."""

from __future__ import annotations

import datetime as dt
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.focus.columns import VERSIONS
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.orchestration.in_process import RunFailed
from focus_assets.orchestration.late_usage_sensor import last_day_touched
from focus_assets.stage_controls import credits_not_overdrawn
from focus_assets_tests.orchestration.company import START, Company

FOCUS = "focus_cost_and_usage"
LAST = "2026-08-05"

GRANTS: list[dict[str, Any]] = [
    {
        "key": "welcome",
        "customer": "ann",
        "amount": "5",
        "priority": 1,
        "effective_at": "2026-08-01T00:00:00Z",
    },
    {
        "key": "prepaid",
        "id": "01K2PREPAID",
        "name": "Prepaid",
        "customer": "ann",
        "amount": "30",
        "funding_method": "invoice",
        "effective_at": "2026-08-02T10:00:00Z",
        "expires_at": "2026-08-05T00:00:00Z",
    },
    {
        "key": "tokens",
        "customer": "bob",
        "currency": "AI_CREDITS",
        "amount": "15",
        "funding_method": "external",
        "purchase": {"currency": "USD", "per_unit_cost_basis": "0.015"},
        "effective_at": "2026-08-04T00:00:00Z",
    },
]
AI_CREDITS = {
    "code": "AI_CREDITS",
    "name": "AI Credits",
    "cost_bases": [
        {"fiat_code": "USD", "rate": "0.02"},
        {"fiat_code": "USD", "rate": "0.03", "effective_from": "2026-08-04"},
    ],
}
"""A charge keeps the rate of its beginning."""

IN_CREDITS = {
    "key": "credits",
    "currency": "AI_CREDITS",
    "rate_cards": [{"feature": "tokens", "price": {"type": "unit", "amount": "0.5"}}],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Company:
    company = Company(tmp_path_factory.mktemp("credits"))
    company.configuration["credits"] = GRANTS
    company.configuration["custom_currencies"] = [AI_CREDITS]
    company.configuration["plans"].append(IN_CREDITS)
    company.configuration["subscriptions"][1]["plan"] = "credits"
    company.usage_of_ten_days()
    company.run("2026-08-01", LAST)
    return company


@pytest.fixture
def company(made: Company, tmp_path: Path) -> Company:
    shutil.copytree(made.root, tmp_path, dirs_exist_ok=True)
    return Company(tmp_path, {**made.configuration}, made.instance, made._events)


def rows(of: Company, customer: str = "ann") -> pl.LazyFrame:
    days = [START + dt.timedelta(days=n) for n in range(5)]
    found = [of.lake.scan(FOCUS, [day]).with_columns(day=pl.lit(day)) for day in days]
    return pl.concat(found).filter(pl.col("x_CustomerKey") == customer)


def by_day(of: Company, *what: pl.Expr, customer: str = "ann") -> list[str]:
    sums = (
        rows(of, customer)
        .filter(*what)
        .group_by("day")
        .agg(pl.col("BilledCost", "EffectiveCost").sum())
        .sort("day")
    )
    return [f"{day:%d}: {b.normalize():f} {e.normalize():f}" for day, b, e in sums.collect().iter_rows()]


def test_what_was_given_is_used_first_and_what_was_bought_until_it_expires(made: Company) -> None:
    # Ann uses 18.02, 3.02, 8.02, 2.02 and 6.52.
    assert by_day(made) == ["01: 13.02 13.02", "02: 30 3.02", "03: 0 8.02", "04: 0 18.96", "05: 6.52 6.52"]
    assert by_day(made, pl.col("ChargeCategory") == "Credit") == ["01: -5 -5"]
    assert by_day(made, pl.col("x_PriceComponent") == "credit_expiry") == ["04: 0 16.94"]
    total = rows(made).select(pl.col("BilledCost", "EffectiveCost").sum()).collect().row(0)
    assert total[0] == total[1] == Decimal("49.54")


def test_nobody_else_has_anything_of_it(made: Company) -> None:
    of_bob = rows(made, "bob").select("x_CreditGrantId").collect()["x_CreditGrantId"]
    assert set(of_bob) == {None, "tokens"}


def test_credit_in_a_custom_currency_pays_what_is_priced_in_it(made: Company) -> None:
    # Bob uses 20 tokens a day at half a credit, from the 3rd on; 10 credits are 0.20, or 0.15 of what was bought.
    assert by_day(made, customer="bob") == ["03: 0.2 0.2", "04: 0.225 0.15", "05: 0.1 0.175"]
    of_bob = rows(made, "bob").filter(pl.col("x_PriceComponent") == "usage").sort("day", "x_CreditGrantId")
    shown = of_bob.select("PricingCurrencyEffectiveCost", "x_CreditGrantId").collect().rows()
    assert [(f"{cost.normalize():f}", grant) for cost, grant in shown] == [
        ("10", None),
        ("10", "tokens"),
        ("5", None),
        ("5", "tokens"),
    ]


def test_rows_of_credit_name_the_pool_and_its_period(made: Company) -> None:
    bought = rows(made).filter(pl.col("x_PriceComponent") == "credit_purchase").collect().row(0, named=True)
    pool = (bought["ResourceId"], bought["ResourceName"], bought["ResourceType"], bought["x_CreditGrantId"])
    assert pool == ("01K2PREPAID", "Prepaid", "Credit Pool", "01K2PREPAID")
    assert (bought["ChargePeriodStart"].hour, bought["ChargePeriodEnd"].day) == (10, 5)
    assert (bought["BillingPeriodStart"].day, bought["x_SubscriptionKey"]) == (1, "ann/basic")


@pytest.mark.parametrize("version", VERSIONS)
def test_rows_with_credits_break_no_rule_of_any_version(made: Company, version: str) -> None:
    everyone = pl.concat([rows(made), rows(made, "bob")]).drop("day")
    report = check(project(everyone, version), rules_for(version))
    assert [result.sentence for result in report.violated] == []


def test_credit_that_paid_more_than_there_was_is_found(company: Company) -> None:
    day = dt.date(2026, 8, 3)
    assert credits_not_overdrawn(company.lake, day).is_empty()
    of_grant = pl.col("x_CreditGrantId") == "01K2PREPAID"
    more = pl.when(of_grant).then(pl.col("EffectiveCost") + 30).otherwise(pl.col("EffectiveCost"))
    company.rewrite(FOCUS, "2026-08-03", lambda rows: rows.with_columns(more.alias("EffectiveCost")))
    found = credits_not_overdrawn(company.lake, day)
    assert found["grant"].to_list() == ["01K2PREPAID"]
    assert found["used"].item() > 30


def test_a_day_that_is_computed_again_is_the_same(company: Company) -> None:
    day = dt.date(2026, 8, 3)
    before = company.lake.record(FOCUS, day)
    company.run("2026-08-03")
    assert company.lake.record(FOCUS, day) == before
    assert company.lake.stale_inputs(FOCUS, dt.date(2026, 8, 5)) == []


def test_a_day_that_changes_makes_the_later_ones_stale(company: Company) -> None:
    company.event("2026-08-02T12:00:00Z", "ann-1", tokens=5, model="small")
    company.run("2026-08-02")
    assert "focus_cost_and_usage/2026-08-02" in company.lake.stale_inputs(FOCUS, dt.date(2026, 8, 4))


def test_usage_that_comes_late_asks_for_all_later_days_of_credit(made: Company) -> None:
    assert last_day_touched(made.lake, dt.date(2026, 8, 3)) == dt.date.max


def test_a_day_is_refused_whose_earlier_credits_are_not_known(company: Company) -> None:
    shutil.rmtree(company.root / "lake" / FOCUS / "charge_date=2026-08-02")
    with pytest.raises(RunFailed, match="draws on credit that could already be used on 2026-08-02") as failed:
        company.run("2026-08-04")
    assert "focus-assets materialize --from 2026-08-02 --to 2026-08-03" in str(failed.value)


def test_a_grant_that_is_written_down_late_asks_for_its_days_again(company: Company) -> None:
    late = {**GRANTS[0], "key": "late", "effective_at": "2026-08-03"}
    company.configuration["credits"] = [*GRANTS, late]
    with pytest.raises(RunFailed, match="credit 'late' can be used from 2026-08-03") as failed:
        company.run("2026-08-06")
    assert "focus-assets materialize --from 2026-08-03 --to 2026-08-05" in str(failed.value)
