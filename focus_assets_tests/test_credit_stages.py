"""Credit over days: what falls back to a grant that has ended, what was billed before it began, and credit of old."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.credit_stages import EarlierCreditsMissing
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.stage_controls import credits_not_overdrawn
from focus_assets_tests.billing.weeks import Weeks, configuration, price

VOLUME = {
    "type": "tiered",
    "mode": "volume",
    "tiers": [{"up_to_amount": "15", "unit_price": "10"}, {"unit_price": "5"}],
}
OF_CREDIT = {"ServiceName": "Credits", "ServiceCategory": "Other"}


def weeks(
    root: Path, sold: dict[str, Any], used: dict[int, str], *grants: dict[str, Any], cadence: str = "P1W"
) -> Weeks:
    """Ann alone, who buys requests at ``sold``; ``used`` is by the day of August."""
    catalog = configuration(
        credits=[{"customer": "ann", "effective_at": "2026-08-01T00:00:00Z", **grant} for grant in grants]
    )
    [plan] = catalog["plans"]
    plan["rate_cards"] = [{"feature": "requests", "price": sold, "billing_cadence": cadence}]
    catalog["subscriptions"] = catalog["subscriptions"][:1]
    usage = [(day, "ann", "requests", None, quantity) for day, quantity in used.items()]
    return Weeks(root, usage=usage, catalog=catalog)


def by_day(of: Weeks, what: str = "BilledCost", where: pl.Expr | None = None) -> dict[int, str]:
    """A cost of each day of August that has rows."""
    found = {}
    for day in of.lake.days("focus_cost_and_usage"):
        rows = of.lake.scan("focus_cost_and_usage", [day])
        rows = rows if where is None else rows.filter(where)
        if (costs := rows.select(what).collect()[what]).len():
            found[day.day] = f"{costs.sum().normalize():f}"
    return found


UNTIL_THE_3RD = {"key": "gift", "amount": "500", "expires_at": "2026-08-04T00:00:00Z"}


def test_what_a_grant_paid_is_given_back_to_it_also_after_its_end(tmp_path: Path) -> None:
    """15 on the 1st are 15 × 10 = 150, which the grant pays. With the 16th on the 5th the charge is 16 × 5 = 80, so
    70 less than before: nothing of it was billed, so all 70 go back to the grant, which has then paid 80."""
    computed = weeks(tmp_path, VOLUME, {1: "15", 5: "1"}, UNTIL_THE_3RD).compute()
    assert by_day(computed) == {1: "0", 5: "0"}
    credit = pl.col("ChargeCategory") == "Credit"
    assert by_day(computed, where=credit) == {1: "-150", 5: "70"}
    assert by_day(computed, where=~credit) == {1: "150", 5: "-70"}
    assert computed.reconciled()["finding"].null_count() == computed.reconciled().height
    assert credits_not_overdrawn(computed.lake, dt.date(2026, 8, 5)).is_empty()


def test_a_grant_that_has_ended_pays_nothing_with_what_is_given_back(tmp_path: Path) -> None:
    """After the 5th, as above, ten more on the 6th are 10 × 5 = 50, and are billed."""
    computed = weeks(tmp_path, VOLUME, {1: "15", 5: "1", 6: "10"}, UNTIL_THE_3RD).compute()
    assert by_day(computed) == {1: "0", 5: "0", 6: "50"}


def test_what_is_given_back_to_bought_credit_after_its_end_expires_that_day(tmp_path: Path) -> None:
    """500 are billed when they are bought. The 1st uses 150, so 350 expire on the 3rd; of the 5th's usage, 70 less than
    nothing, all 70 come back, and expire too. What was billed became effective: 150 + 350 - 70 + 70 = 500."""
    bought = {**UNTIL_THE_3RD, "funding_method": "invoice", "dimensions": OF_CREDIT}
    computed = weeks(tmp_path, VOLUME, {1: "15", 5: "1"}, bought).compute()
    assert by_day(computed) == {1: "500", 3: "0", 5: "0"}
    expired = pl.col("x_PriceComponent") == "credit_expiry"
    assert by_day(computed, "EffectiveCost", expired) == {3: "350", 5: "70"}
    assert by_day(computed, "EffectiveCost", ~expired) == {1: "150", 5: "-70"}
    assert computed.reconciled()["finding"].null_count() == computed.reconciled().height
    report = check(project(computed.rows().lazy(), "1.4"), rules_for("1.4"))
    assert [result.sentence for result in report.violated] == []


def test_credit_that_expires_on_a_day_on_which_a_billing_period_begins_is_usage_of_that_period(
    tmp_path: Path,
) -> None:
    bought = {"key": "pack", "amount": "9", "funding_method": "invoice", "dimensions": OF_CREDIT}
    ends = {"effective_at": "2026-08-02T00:00:00Z", "expires_at": "2026-08-08T18:00:00Z"}
    company = weeks(tmp_path, price("1"), {2: "1"}, {**bought, **ends})
    company.catalog["subscriptions"][0]["active_from"] = "2026-08-01T13:22:07Z"
    computed = company.compute()
    expired = computed.rows().filter(pl.col("x_PriceComponent") == "credit_expiry").row(0, named=True)
    begins = dt.datetime(2026, 8, 8, 13, 22, 7, tzinfo=dt.UTC)
    assert expired["BillingPeriodStart"] == expired["ChargePeriodStart"] == begins
    assert expired["ChargePeriodEnd"] == dt.datetime(2026, 8, 8, 18, tzinfo=dt.UTC)
    report = check(project(computed.rows().lazy(), "1.4"), rules_for("1.4"))
    assert [result.sentence for result in report.violated] == []


def test_a_grant_is_known_until_the_last_charge_that_it_could_have_paid_has_ended(tmp_path: Path) -> None:
    def known(computed: Weeks) -> list[int]:
        credit = pl.col("kind") == "credit"
        days = computed.lake.days("catalog")
        return [
            day.day
            for day in days
            if not computed.lake.scan("catalog", [day]).filter(credit).collect().is_empty()
        ]

    # The charge is the week from the 1st; of the one from the 8th it could pay nothing.
    assert known(weeks(tmp_path / "weeks", VOLUME, {1: "15"}, UNTIL_THE_3RD).compute()) == [*range(1, 8)]
    # Two weeks from the 1st; what is for another feature never paid for requests.
    by_fortnight = weeks(tmp_path / "fortnights", VOLUME, {1: "15"}, UNTIL_THE_3RD, cadence="P2W")
    assert known(by_fortnight.compute()) == [*range(1, 11)]
    of_tokens = {**UNTIL_THE_3RD, "filters": {"features": ["tokens"]}}
    assert known(weeks(tmp_path / "tokens", VOLUME, {1: "15"}, of_tokens).compute()) == [1, 2, 3]


def test_what_was_billed_before_the_first_day_of_a_grant_goes_back_before_credit_does(tmp_path: Path) -> None:
    """10 at 1 are billed on the 1st. The grant pays the 4 of the 3rd. The 5th takes 6 back, of the 10 that were
    billed: 4 are left of them, and the grant has paid its 4 still, for a charge of 8."""
    grant = {"key": "gift", "amount": "100", "effective_at": "2026-08-03T00:00:00Z"}
    computed = weeks(tmp_path, price("1"), {1: "10", 3: "4", 5: "-6"}, grant).compute()
    assert by_day(computed) == {1: "10", 3: "0", 5: "-6"}
    assert by_day(computed, where=pl.col("ChargeCategory") == "Credit") == {3: "-4"}


def test_what_another_customers_older_grant_says_of_a_day_is_not_all_that_was_billed_on_it(
    tmp_path: Path,
) -> None:
    """As above, with a grant of Bob's that took effect on the 1st already."""
    grants = [
        {"key": "gift", "amount": "100", "effective_at": "2026-08-03T00:00:00Z"},
        {"key": "other", "amount": "1", "customer": "bob", "effective_at": "2026-08-01T00:00:00Z"},
    ]
    of_ann = weeks(tmp_path, price("1"), {1: "10", 3: "4", 5: "-6"}, *grants)
    of_ann.catalog["subscriptions"].append({**of_ann.catalog["subscriptions"][0], "customer": "bob"})
    assert by_day(of_ann.compute()) == {1: "10", 3: "0", 5: "-6"}


def test_a_fall_in_credits_of_a_custom_currency_looks_at_what_was_priced_before_the_grant(
    tmp_path: Path,
) -> None:
    """As above, in points that are worth 0.5: 10 points are 5 in money, 4 the grant pays, 6 less are 3 less."""
    grant = {
        "key": "gift",
        "amount": "100",
        "currency": "POINTS",
        "effective_at": "2026-08-03T00:00:00Z",
    }
    of_ann = weeks(tmp_path, price("1"), {1: "10", 3: "4", 5: "-6"}, grant)
    of_ann.catalog["custom_currencies"] = [
        {"code": "POINTS", "cost_bases": [{"fiat_code": "USD", "rate": "0.5"}]}
    ]
    of_ann.catalog["plans"][0]["currency"] = "POINTS"
    of_ann.catalog["subscriptions"][0]["currency"] = "USD"
    computed = of_ann.compute()
    assert by_day(computed) == {1: "5", 3: "0", 5: "-3"}
    credit = pl.col("ChargeCategory") == "Credit"
    assert by_day(computed, "PricingCurrencyEffectiveCost", credit) == {3: "-4"}


def test_the_days_on_which_a_falling_charge_was_billed_have_to_be_there(tmp_path: Path) -> None:
    grant = {"key": "gift", "amount": "100", "effective_at": "2026-08-03T00:00:00Z"}
    company = weeks(tmp_path, price("1"), {1: "10", 3: "4", 5: "-6"}, grant).compute(1, 4)
    for n in (1, 2):
        [file] = (tmp_path / "focus_cost_and_usage" / f"charge_date=2026-08-0{n}").glob("*.parquet")
        for each in file.parent.iterdir():
            each.unlink()
    with pytest.raises(EarlierCreditsMissing, match="does not hold 2026-08-01 to 2026-08-02") as caught:
        company.compute(5, 5)
    assert "focus-assets materialize --from 2026-08-01 --to 2026-08-04" in str(caught.value)


def test_a_day_rests_on_the_days_on_which_its_falling_charges_were_billed(tmp_path: Path) -> None:
    grant = {"key": "gift", "amount": "100", "effective_at": "2026-08-03T00:00:00Z"}
    computed = weeks(tmp_path, price("1"), {1: "10", 3: "4", 4: "1", 5: "-6"}, grant).compute()
    for n, first in ((4, 3), (5, 1)):
        record = computed.lake.record("focus_cost_and_usage", dt.date(2026, 8, n))
        assert record is not None
        days = [key.split("/")[1] for key in record.inputs if key.startswith("focus_cost_and_usage/")]
        assert days == [f"2026-08-0{day}" for day in range(first, n)]


def test_credit_that_took_effect_before_the_first_day_starts_with_its_whole_amount(tmp_path: Path) -> None:
    """``opening: zero`` lets it through the configuration. Of 12 it pays the 10 of the 1st and 2 of the 4 of the 3rd;
    what buying it cost was billed in July, which is before the first day."""
    bought = {
        "key": "old",
        "amount": "12",
        "funding_method": "invoice",
        "effective_at": "2026-07-10T00:00:00Z",
        "dimensions": OF_CREDIT,
    }
    company = weeks(tmp_path, price("1"), {1: "10", 3: "4"}, bought)
    company.catalog["subscriptions"][0]["active_from"] = "2026-07-04T00:00:00Z"
    computed = company.compute()
    assert by_day(computed) == {1: "0", 3: "2"}
    assert by_day(computed, "EffectiveCost") == {1: "10", 3: "4"}
    assert all(credits_not_overdrawn(computed.lake, day).is_empty() for day in computed.lake.days("catalog"))
    assert Decimal(2) == sum(computed.rows()["BilledCost"])
