"""Billing Period, Invoice Detail and Contract Commitment of closed and open weeks; keys agree over all of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from focus_assets.billing.datasets import FOCUS_DATASET
from focus_assets.billing.periods import by_issuer
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.focus.rules.invoices import stated_totals
from focus_assets.settings import BillingSettings
from focus_assets_tests.billing.weeks import BEFORE, EveryDataset, Weeks, configuration, price

D = Decimal


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    with_minimum = configuration()
    with_minimum["plans"][0]["rate_cards"][1:] = [
        {"feature": "requests", "price": price("0.0107", minimum_amount="5")},
        {"key": "support", "price": {"type": "flat", "amount": "9.995", "payment_term": "in_arrears"}},
    ]
    return EveryDataset(tmp_path_factory.mktemp("closed"), catalog=with_minimum).compute()


@pytest.mark.parametrize("dataset", FOCUS_DATASET)
def test_every_dataset_keeps_the_rules_of_focus(closed: Weeks, dataset: str) -> None:
    rows = closed.rows(dataset).lazy()
    report = check(project(rows, "1.4", FOCUS_DATASET[dataset]), rules_for("1.4", FOCUS_DATASET[dataset]))
    assert report.rows > 0
    assert [result.sentence for result in report.violated] == []


def test_every_line_that_charges_name_is_stated_at_their_sum_and_no_other(closed: Weeks) -> None:
    key = ["InvoiceId", "InvoiceDetailId"]
    charges = closed.rows().drop_nulls("InvoiceId").group_by(key).agg(pl.col("BilledCost").sum()).sort(key)
    stated = closed.rows("focus_invoice_detail").select(*key, "BilledCost").sort(key)
    assert stated.equals(charges)
    assert all(cost == round(cost, 2) for cost in stated["BilledCost"])


def test_a_flat_fee_is_a_line_of_the_invoice_of_the_period_in_which_it_is_due(closed: Weeks) -> None:
    fees = closed.rows("focus_invoice_detail").filter(pl.col("InvoiceDetailId").str.ends_with("/flat_fee"))
    assert fees.select("InvoiceDetailId", "BilledCost", "ChargeCategory").rows() == [
        ("ann/basic/support/20260801T000000Z/flat_fee", D("10.00"), "Purchase"),
        ("bob/basic/support/20260804T000000Z/flat_fee", D("5.71"), "Purchase"),
    ]
    assert closed.reconciled()["difference"].unique().to_list() == [D(0)]


def test_the_rule_of_invoice_totals_holds_and_finds_a_cost_that_is_not_stated(closed: Weeks) -> None:
    details = closed.rows("focus_invoice_detail").group_by("InvoiceId").agg(pl.col("BilledCost").sum())
    rule = [stated_totals(dict(details.iter_rows()))]
    rows = closed.rows().lazy()
    assert not check(rows, rule).violated
    assert check(rows.with_columns(pl.col("BilledCost") + D("0.01")), rule).violated


def test_an_invoice_is_issued_when_its_period_closes_and_due_as_agreed(closed: Weeks) -> None:
    row = closed.rows("focus_invoice_detail").row(0, named=True)
    assert (
        row["InvoiceIssueDate"],
        row["PaymentDueDate"],
        row["PaymentTerms"],
        row["InvoiceIssueStatus"],
    ) == (
        dt.datetime(2026, 8, 11, tzinfo=dt.UTC),
        dt.datetime(2026, 9, 10, tzinfo=dt.UTC),
        "Net 30",
        "Issued",
    )
    assert row["ReferenceInvoiceId"] == row["InvoiceId"]


def test_payment_terms_come_from_the_configuration(tmp_path: Path) -> None:
    weeks = EveryDataset(
        tmp_path, terms=BillingSettings(payment_terms="On receipt", payment_days=None)
    ).compute(1, 7)
    row = weeks.rows("focus_invoice_detail").row(0, named=True)
    assert (row["PaymentTerms"], row["PaymentDueDate"]) == ("On receipt", None)
    assert weeks.rows("focus_contract_commitment").is_empty()


def test_each_billing_period_stands_once_on_the_day_its_account_enters_it(closed: Weeks) -> None:
    entered = {
        (day.day, *row)
        for day in closed.lake.days("focus_billing_period")
        for row in closed.lake.scan("focus_billing_period", [day])
        .select(
            "x_BillingAccountId",
            pl.col("BillingPeriodStart").dt.day(),
            "BillingPeriodStatus",
            "InvoiceIssuerName",
        )
        .collect()
        .iter_rows()
    }
    assert entered == {
        (1, "ann", 1, "Closed", "Test Vendor Inc."),
        (4, "bob", 1, "Closed", "Test Vendor Europe"),
        (8, "ann", 8, "Open", "Test Vendor Inc."),
        (8, "bob", 8, "Open", "Test Vendor Europe"),
    }


def test_a_period_is_open_until_the_instant_it_closes(tmp_path: Path) -> None:
    rows = EveryDataset(tmp_path, as_of=BEFORE).compute(1, 7)
    assert set(rows.rows("focus_billing_period")["BillingPeriodStatus"]) == {"Open"}
    assert rows.rows("focus_invoice_detail").is_empty()


def test_for_several_accounts_a_period_is_closed_when_all_of_theirs_are(closed: Weeks) -> None:
    rows = closed.rows("focus_billing_period").with_columns(InvoiceIssuerName=pl.lit("One"))
    reopened = rows.with_columns(
        BillingPeriodStatus=pl.when(pl.col("x_BillingAccountId") == "bob")
        .then(pl.lit("Open"))
        .otherwise("BillingPeriodStatus")
    )
    statuses = [
        by_issuer(frame.lazy()).collect()["BillingPeriodStatus"].to_list() for frame in (rows, reopened)
    ]
    assert statuses == [["Closed", "Open"], ["Open", "Open"]]
    report = check(
        project(by_issuer(rows.lazy()), "1.4", "billing-period"), rules_for("1.4", "billing-period")
    )
    assert {result.rule.id for result in report.violated} == set()


def test_a_commitment_is_what_a_minimum_asks_for_in_its_period(closed: Weeks) -> None:
    found = closed.rows("focus_contract_commitment")
    assert found.select("ContractCommitmentId", "ContractId", "ContractCommitmentLifecycleStatus").rows() == [
        ("ann/basic/requests/20260801T000000Z", "ann/basic/20260801T000000Z", "Expired"),
        ("bob/basic/requests/20260804T000000Z", "bob/basic/20260801T000000Z", "Expired"),
        ("ann/basic/requests/20260808T000000Z", "ann/basic/20260808T000000Z", "Active"),
        ("bob/basic/requests/20260808T000000Z", "bob/basic/20260808T000000Z", "Active"),
    ]
    assert set(found["ContractCommitmentCost"]) == {D(5)}
    assert set(found["x_CustomerKey"]) == {"ann", "bob"}
