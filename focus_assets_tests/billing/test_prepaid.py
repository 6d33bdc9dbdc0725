"""Credit paid in advance as a commitment: bought, for a time that ends."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.billing.prepaid import prepaid_commitments
from focus_assets.billing_stages import periods_closed_otherwise
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.settings import BillingSettings, CommitmentSettings
from focus_assets_tests.billing.weeks import EveryDataset, configuration

SERVICE = {"ServiceName": "Test Service", "ServiceCategory": "Other", "RegionId": None}
MONEY = {
    "key": "ann-pack",
    "name": "Pack",
    "customer": "ann",
    "amount": "100",
    "funding_method": "invoice",
    "effective_at": "2026-08-02T06:00:00Z",
    "expires_at": "2026-08-09T00:00:00Z",
    "filters": {"features": ["requests"]},
    "dimensions": SERVICE,
}
CUSTOM = {
    "key": "bob-tokens",
    "customer": "bob",
    "currency": "TOKENS",
    "amount": "4000",
    "funding_method": "invoice",
    "purchase": {"per_unit_cost_basis": "0.009"},
    "effective_at": "2026-08-04T00:00:00Z",
    "expires_at": "2027-08-04T00:00:00Z",
    "dimensions": SERVICE,
}
GIVEN = {"key": "gift", "customer": "ann", "amount": "5", "effective_at": "2026-08-02T00:00:00Z"}
FOR_EVER = {key: value for key, value in MONEY.items() if key != "expires_at"} | {"key": "for-ever"}


def company(*credits: dict[str, Any]) -> dict[str, Any]:
    return configuration(
        credits=list(credits),
        custom_currencies=[
            {"code": "TOKENS", "name": "Tokens", "cost_bases": [{"fiat_code": "USD", "rate": "0.01"}]}
        ],
    )


def commitments(root: Path, *credits: dict[str, Any], **changes: Any) -> pl.DataFrame:
    weeks = EveryDataset(root, catalog=company(*credits), **changes).compute()
    rows = weeks.rows("focus_contract_commitment")
    return rows.filter(pl.col("ContractCommitmentType") == "Prepaid Credit")


def test_bought_credit_that_expires_is_a_commitment_for_its_time(tmp_path: Path) -> None:
    (row,) = commitments(tmp_path, MONEY, GIVEN, FOR_EVER).to_dicts()
    assert (row["ContractCommitmentId"], row["ContractId"]) == ("ann-pack", "ann-pack")
    assert row["ContractCommitmentPeriodStart"] == dt.datetime(2026, 8, 2, 6, tzinfo=dt.UTC)
    assert row["ContractCommitmentPeriodEnd"] == dt.datetime(2026, 8, 9, tzinfo=dt.UTC)
    # From 6 o'clock on the 2nd to midnight of the 9th: 6 days and 18 hours.
    assert row["ContractCommitmentDurationType"] == "P6DT64800S"
    assert (row["ContractCommitmentCost"], row["BillingCurrency"]) == (Decimal(100), "USD")
    assert row["ContractCommitmentPaymentModel"] == "All Upfront"
    assert row["ContractCommitmentPaymentUpfrontPercentage"] == 1
    assert row["InvoiceIssuerName"] == "Test Vendor Inc."
    assert (row["x_CustomerKey"], row["x_FeatureKey"]) == ("ann", "requests")
    scope = json.loads(row["ContractCommitmentApplicability"])
    assert scope["Inclusions"][0]["Values"] == ["ann-pack"]


def test_credit_in_a_custom_currency_commits_to_what_was_paid_for_it(tmp_path: Path) -> None:
    (row,) = commitments(tmp_path, CUSTOM).to_dicts()
    # 4,000 tokens at 0.009.
    assert (row["ContractCommitmentCost"], row["BillingCurrency"]) == (Decimal(36), "USD")
    assert (row["PricingCurrencyContractCommitmentCost"], row["PricingCurrency"]) == (Decimal(4000), "TOKENS")
    assert row["ContractCommitmentDurationType"] == "P365D"
    assert row["InvoiceIssuerName"] == "Test Vendor Europe"  # what Bob's own dimensions say


@pytest.mark.parametrize(
    ("changes", "status", "updated"),
    [
        ({}, "Expired", "2026-08-09T00:00:00"),
        ({"expires_at": "2026-08-12T00:00:00Z"}, "Active", "2026-08-02T06:00:00"),
        ({"voided_at": "2026-08-05T00:00:00Z"}, "Canceled", "2026-08-05T00:00:00"),
    ],
)
def test_it_is_active_until_it_expires_or_is_voided(
    tmp_path: Path, changes: dict[str, str], status: str, updated: str
) -> None:
    (row,) = commitments(tmp_path, MONEY | changes).to_dicts()
    assert row["ContractCommitmentLifecycleStatus"] == status
    assert row["ContractCommitmentLastUpdated"] == dt.datetime.fromisoformat(updated).replace(tzinfo=dt.UTC)


def test_the_day_it_began_is_run_again_once_it_has_ended(tmp_path: Path) -> None:
    weeks = EveryDataset(
        tmp_path, catalog=company(MONEY), as_of=dt.datetime(2026, 8, 8, 23, tzinfo=dt.UTC)
    ).compute()
    days = [dt.date(2026, 8, n) for n in range(1, 8)]
    assert periods_closed_otherwise(weeks.lake, days, weeks.close) == set()
    weeks.as_of = dt.datetime(2026, 8, 9, tzinfo=dt.UTC)
    assert periods_closed_otherwise(weeks.lake, days, weeks.close) == {dt.date(2026, 8, 2)}
    weeks.compute()
    assert periods_closed_otherwise(weeks.lake, days, weeks.close) == set()


def test_without_the_setting_there_are_none(tmp_path: Path) -> None:
    assert commitments(tmp_path, MONEY, terms=BillingSettings()).is_empty()


def test_credit_of_a_customer_who_is_not_known_yet_is_none(tmp_path: Path) -> None:
    catalog = Catalog.model_validate(company(MONEY | {"customer": "nobody"}))
    found = prepaid_commitments(
        dt.date(2026, 8, 2), catalog, CommitmentSettings(), EveryDataset(tmp_path).close
    )
    assert found.collect().is_empty()


@pytest.mark.parametrize("version", ["1.3", "1.4"])
def test_no_rule_is_broken(tmp_path: Path, version: str) -> None:
    weeks = EveryDataset(tmp_path, catalog=company(MONEY, CUSTOM)).compute()
    rows = weeks.rows("focus_contract_commitment")
    assert rows["ContractCommitmentId"].is_in(["ann-pack", "bob-tokens"]).sum() == 2
    report = check(
        project(rows.lazy(), version, "contract-commitment"), rules_for(version, "contract-commitment")
    )
    assert {result.rule.id for result in report.violated} == set()
