"""Which commitments rows count towards: minimum spends and credit paid in advance."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.settings import BillingSettings, CommitmentSettings
from focus_assets_tests.billing.weeks import BEFORE, EveryDataset, Weeks, configuration, price

D = Decimal
REQUESTS = "ann/basic/requests/20260801T000000Z"
CONTRACT = "ann/basic/20260801T000000Z"
PACK = {
    "key": "pack",
    "name": "Pack",
    "customer": "ann",
    "amount": "0.20",
    "funding_method": "invoice",
    "effective_at": "2026-08-02T06:00:00Z",
    "expires_at": "2026-08-09T00:00:00Z",
    "filters": {"features": ["requests"]},
    "dimensions": {"ServiceName": "Test Service", "ServiceCategory": "Other", "RegionId": None},
}
USAGE = (
    (1, "ann", "tokens", "large", "61"),
    (2, "ann", "requests", None, "33"),
    (5, "ann", "requests", None, "8"),
)


def company(*credits: dict[str, Any], minimum: str | None = "1", unit_price: str = "0.01") -> dict[str, Any]:
    """Requests at a cent each, by the week at least a dollar's worth; tokens without a minimum."""
    limits = {"minimum_amount": minimum} if minimum else {}
    cards = [
        {"feature": "tokens", "price": price("0.02")},
        {"feature": "requests", "price": price(unit_price, **limits)},
    ]
    basic = {"key": "basic", "billing_cadence": "P1W", "rate_cards": cards}
    ann = {"customer": "ann", "plan": "basic", "active_from": "2026-08-01T00:00:00Z"}
    return configuration(plans=[basic], subscriptions=[ann], credits=list(credits))


def computed(root: Path, *credits: dict[str, Any], minimum: str | None = "1", **changes: Any) -> Weeks:
    return EveryDataset(root, usage=USAGE, catalog=company(*credits, minimum=minimum), **changes).compute()


def elements(rows: pl.DataFrame) -> pl.DataFrame:
    """One row for each row and commitment that it counts towards, in the order of the days."""
    found = [
        {
            "commitment": element["ContractCommitmentId"],
            "contract": element["ContractId"],
            "cost": element["ContractCommitmentAppliedCost"],
            **{
                name: row[name]
                for name in ("ChargeCategory", "ChargeClass", "ResourceId", "x_PriceComponent")
            },
            "day": row["ChargePeriodStart"].day,
        }
        for row in rows.to_dicts()
        if row["ContractApplied"]
        for element in json.loads(row["ContractApplied"], parse_float=D, parse_int=D)["Elements"]
    ]
    return pl.DataFrame(found)


def require_conforming(weeks: Weeks) -> None:
    for version in ("1.3", "1.4"):
        rows = project(weeks.rows().lazy(), version)
        assert [result.sentence for result in check(rows, rules_for(version)).violated] == []


def require_listed(weeks: Weeks, found: pl.DataFrame) -> None:
    listed = weeks.rows("focus_contract_commitment").select("ContractCommitmentId", "ContractId")
    assert set(found.select("commitment", "contract").iter_rows()) <= set(listed.iter_rows())


def test_usage_and_the_top_up_count_towards_a_minimum_and_come_to_it(tmp_path: Path) -> None:
    weeks = computed(tmp_path)
    rows = weeks.rows().filter(pl.col("ChargePeriodStart").dt.day() < 8)
    found = elements(rows)
    # 33 and 8 requests at a cent, and what is missing to a dollar.
    assert found.select("day", "ChargeCategory", "cost").rows() == [
        (2, "Usage", D("0.33")),
        (5, "Usage", D("0.08")),
        (7, "Purchase", D("0.59")),
    ]
    assert set(found.select("commitment", "contract").iter_rows()) == {(REQUESTS, CONTRACT)}
    assert rows.filter(pl.col("ContractApplied").is_null())["x_FeatureKey"].unique().to_list() == ["tokens"]
    require_listed(weeks, elements(weeks.rows()))
    require_conforming(weeks)


def test_what_is_purchased_for_a_minimum_has_the_commitment_as_its_resource(tmp_path: Path) -> None:
    rows = computed(tmp_path).rows().filter(x_ChargeId=REQUESTS)
    (top_up,) = rows.filter(ChargeCategory="Purchase").to_dicts()
    assert [top_up[name] for name in ("ResourceId", "ResourceName", "ResourceType")] == [
        REQUESTS,
        "requests",
        "Minimum Spend",
    ]
    assert rows.filter(ChargeCategory="Usage")["ResourceId"].to_list() == [None, None]


def test_what_prepaid_credit_pays_and_loses_comes_to_what_it_cost(tmp_path: Path) -> None:
    weeks = computed(tmp_path, PACK | {"amount": "1"}, minimum=None)
    found = elements(weeks.rows())
    # A dollar pays 33 and 8 requests; what is left ends with the 8th.
    assert found.select("day", "x_PriceComponent", "cost").sort("day", "x_PriceComponent").rows() == [
        (2, "credit_purchase", D(1)),
        (2, "usage", D("0.33")),
        (5, "usage", D("0.08")),
        (8, "credit_expiry", D("0.59")),
    ]
    assert set(found.select("commitment", "contract").iter_rows()) == {("pack", "pack")}
    assert found.filter(ChargeCategory="Purchase")["ResourceId"].to_list() == ["pack"]
    require_listed(weeks, found)
    require_conforming(weeks)


def test_a_row_can_count_towards_a_minimum_and_towards_the_credit_that_paid_it(tmp_path: Path) -> None:
    weeks = computed(tmp_path, PACK)
    second = elements(weeks.rows().filter(x_FeatureKey="requests", ChargeCategory="Usage")).filter(day=2)
    # The pack pays 20 of the 33 requests.
    assert sorted(second.select("commitment", "cost").iter_rows()) == [
        (REQUESTS, D("0.13")),
        (REQUESTS, D("0.2")),
        ("pack", D("0.2")),
    ]
    require_conforming(weeks)


@pytest.mark.parametrize("amount", ["0.20", "30"])
def test_a_top_up_that_credit_pays_is_a_purchase_of_the_minimum(tmp_path: Path, amount: str) -> None:
    weeks = computed(tmp_path, PACK | {"amount": amount})
    top_up = weeks.rows().filter(pl.col("x_ChargeId") == REQUESTS, pl.col("ChargeCategory") == "Purchase")
    assert top_up["ResourceId"].unique().to_list() == [REQUESTS]
    assert elements(top_up).filter(commitment=REQUESTS)["cost"].sum() == D("0.59")
    require_conforming(weeks)


def test_credit_without_an_end_and_credit_that_was_given_are_no_commitments(tmp_path: Path) -> None:
    for_ever = {name: value for name, value in PACK.items() if name != "expires_at"}
    given = {name: PACK[name] for name in ("customer", "amount", "effective_at", "expires_at")} | {
        "key": "gift"
    }
    assert elements(computed(tmp_path, for_ever, given, minimum=None).rows()).is_empty()


def test_a_correction_counts_with_what_it_corrects(tmp_path: Path) -> None:
    weeks = computed(tmp_path)
    weeks.usage = [*USAGE, (2, "ann", "requests", None, "10")]
    weeks.compute()
    found = elements(weeks.rows()).filter(ChargeClass="Correction")
    # Ten more requests, and so much less is missing to the minimum.
    assert found.select("day", "ChargeCategory", "cost").rows() == [
        (2, "Usage", D("0.1")),
        (7, "Purchase", D("-0.1")),
    ]
    assert set(found["commitment"]) == {REQUESTS}
    require_conforming(weeks)


def test_without_the_setting_no_row_counts_towards_anything(tmp_path: Path) -> None:
    rows = computed(tmp_path, PACK, terms=BillingSettings()).rows()
    assert rows["ContractApplied"].null_count() == rows.height
    assert rows.filter(x_PriceComponent="minimum_spend")["ResourceId"].null_count() == 1


def test_the_setting_changes_no_cost_and_no_closed_row(tmp_path: Path) -> None:
    without = computed(tmp_path / "without", PACK, terms=BillingSettings()).rows()
    opted_in = BillingSettings(contract_commitments=CommitmentSettings())
    weeks = computed(tmp_path / "with", PACK, terms=BillingSettings())
    weeks.terms = opted_in
    assert weeks.compute().rows().filter(x_IsEstimated=False).equals(without.filter(x_IsEstimated=False))
    costs = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
    open_ones = computed(tmp_path / "open", PACK, as_of=BEFORE, terms=opted_in).rows()
    assert open_ones.select(pl.col(costs).sum()).equals(without.select(pl.col(costs).sum()))
