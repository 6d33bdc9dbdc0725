"""Billing Period, Invoice Detail and Contract Commitment: their registry, shapes and rules."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from focus_assets.focus.columns import (
    BILLING_PERIOD,
    CONTRACT_COMMITMENT,
    DATASETS,
    INVOICE_DETAIL,
    Level,
    UnknownColumnError,
    columns,
    versions_of,
)
from focus_assets.focus.project import project
from focus_assets.focus.rules import SchemaRule, all_rules, check, rules_for
from focus_assets.focus.schema import version_schema
from focus_assets_tests.focus.other_samples import clean_rows

OTHERS = (BILLING_PERIOD, INVOICE_DETAIL, CONTRACT_COMMITMENT)


@pytest.mark.parametrize(
    ("dataset", "version", "count"),
    [
        (BILLING_PERIOD, "1.4", 6),
        (INVOICE_DETAIL, "1.4", 22),
        (CONTRACT_COMMITMENT, "1.3", 13),
        (CONTRACT_COMMITMENT, "1.4", 30),
    ],
)
def test_each_dataset_has_as_many_columns_as_the_specification_counts(
    dataset: str, version: str, count: int
) -> None:
    assert len(columns(version, dataset)) == count
    assert [entry.id for entry in columns(version, dataset)] == sorted(version_schema(version, dataset))
    assert all(entry.definition.endswith(".") for entry in columns(version, dataset))


def test_a_dataset_is_unknown_to_versions_that_do_not_have_it() -> None:
    assert versions_of(CONTRACT_COMMITMENT) == ("1.3", "1.4")
    assert versions_of(BILLING_PERIOD) == versions_of(INVOICE_DETAIL) == ("1.4",)
    with pytest.raises(UnknownColumnError, match=r"FOCUS 1\.2 has no dataset billing-period"):
        rules_for("1.2", BILLING_PERIOD)


@pytest.mark.parametrize("dataset", OTHERS)
def test_clean_rows_break_no_rule(dataset: str) -> None:
    for version in versions_of(dataset):
        report = check(project(clean_rows(dataset), version, dataset), rules_for(version, dataset))
        assert [result.sentence for result in report.violated] == []


@pytest.mark.parametrize("dataset", OTHERS)
def test_each_mandatory_column_that_is_dropped_or_null_is_found(dataset: str) -> None:
    rules = rules_for("1.4", dataset)
    for entry in columns("1.4", dataset):
        if entry.levels["1.4"] is Level.MANDATORY:
            report = check(clean_rows(dataset).drop(entry.id), rules)
            assert f"presence.{entry.id}" in {r.rule.id for r in report.violated}
        if not entry.allows_nulls("1.4"):
            report = check(clean_rows(dataset, **{entry.id: None}), rules)
            assert f"nulls.{entry.id}" in {r.rule.id for r in report.violated}, entry.id


@pytest.mark.parametrize("dataset", OTHERS)
def test_each_list_is_closed_and_case_counts(dataset: str) -> None:
    for entry in columns("1.4", dataset):
        if entry.allowed_values:
            changed = clean_rows(dataset, **{entry.id: entry.allowed_values[0].lower()})
            violated = {r.rule.id for r in check(changed, rules_for("1.4", dataset)).violated}
            assert f"values.{entry.id}" in violated


@pytest.mark.parametrize(
    ("dataset", "rule_id", "changes"),
    [
        (
            BILLING_PERIOD,
            "periods.BillingPeriodEnd_order",
            {"BillingPeriodEnd": dt.datetime(2026, 10, 1, tzinfo=dt.UTC)},
        ),
        (
            BILLING_PERIOD,
            "periods.BillingPeriodLastUpdated_order",
            {"BillingPeriodLastUpdated": dt.datetime(2026, 9, 1, tzinfo=dt.UTC)},
        ),
        (
            BILLING_PERIOD,
            "rows.key_twice",
            {
                "BillingPeriodStart": dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
                "BillingPeriodEnd": dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
            },
        ),
        (INVOICE_DETAIL, "rows.key_twice", {"InvoiceDetailId": "INV-1/2"}),
        (INVOICE_DETAIL, "nulls.InvoiceIssueDate_needed", {"InvoiceIssueDate": None}),
        (INVOICE_DETAIL, "invoices.InvoiceId_BillingCurrency", {"BillingCurrency": "USD"}),
        (INVOICE_DETAIL, "invoices.InvoiceId_InvoiceIssuerName", {"InvoiceIssuerName": "Other"}),
        (
            INVOICE_DETAIL,
            "periods.PaymentDueDate_order",
            {"PaymentDueDate": dt.datetime(2026, 11, 1, tzinfo=dt.UTC)},
        ),
        (INVOICE_DETAIL, "key_values.InvoiceDetailGrain_flat", {"InvoiceDetailGrain": '{"a":[]}'}),
        (
            INVOICE_DETAIL,
            "key_values.InvoiceDetailGrain_names",
            {"InvoiceDetailGrain": '{"SkuId":"tokens","InvoiceDetailId":"INV-1/1"}'},
        ),
        (INVOICE_DETAIL, "values.PaymentCurrency", {"PaymentCurrency": "usd"}),
        (
            CONTRACT_COMMITMENT,
            "values.ContractCommitmentDiscountPercentage_range",
            {"ContractCommitmentDiscountPercentage": Decimal(10)},
        ),
        (CONTRACT_COMMITMENT, "nulls.ContractCommitmentCost_needed", {"ContractCommitmentCost": None}),
        (
            CONTRACT_COMMITMENT,
            "nulls.ContractCommitmentUnit_with_ContractCommitmentQuantity",
            {"ContractCommitmentQuantity": Decimal(1)},
        ),
        (
            CONTRACT_COMMITMENT,
            "nulls.ContractCommitmentQuantity_needed",
            {"ContractCommitmentCategory": "Usage"},
        ),
        (
            CONTRACT_COMMITMENT,
            "key_values.ContractCommitmentApplicability_object",
            {"ContractCommitmentApplicability": "all"},
        ),
        (
            CONTRACT_COMMITMENT,
            "key_values.ContractCommitmentApplicability_schema",
            {"ContractCommitmentApplicability": '{"Services":["Model API"]}'},
        ),
        (
            CONTRACT_COMMITMENT,
            "contracts.ContractId_ContractPeriodStart",
            {"ContractPeriodStart": dt.datetime(2026, 2, 1, tzinfo=dt.UTC)},
        ),
        (CONTRACT_COMMITMENT, "rows.key_twice", {"ContractCommitmentId": "cc-2"}),
    ],
)
def test_a_seeded_defect_is_caught_by_the_rule_meant_for_it_and_by_no_other(
    dataset: str, rule_id: str, changes: dict[str, Any]
) -> None:
    report = check(clean_rows(dataset, **changes), rules_for("1.4", dataset))
    assert {result.rule.id for result in report.violated} == {rule_id}


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_rule_names_its_dataset_and_ids_are_unique_in_it(dataset: str) -> None:
    rules = all_rules(dataset)
    assert {rule.dataset for rule in rules} == {dataset}
    assert len({rule.id for rule in rules}) == len(rules)


@pytest.mark.parametrize("dataset", OTHERS)
def test_a_projection_has_the_datasets_own_columns_alone(dataset: str) -> None:
    frame = project(pl.LazyFrame(schema=version_schema("1.4", dataset)), "1.4", dataset)
    assert not [name for name in frame.collect_schema() if name.startswith("x_")]
    assert any(isinstance(rule, SchemaRule) for rule in rules_for("1.4", dataset))
