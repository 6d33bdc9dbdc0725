"""OpenMeter's own invoices through the whole chain, from a real server: rows add up to each of them to the cent.

The invoices are written by hand (``invoiced_company``), with their figures in words; nothing of them is computed by the
product. One server and one week serve most tests.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from focus_assets.billing.datasets import FOCUS_DATASET
from focus_assets.billing_stages import reconciled_day, reconciled_month
from focus_assets.closed_stages import not_kept
from focus_assets.commands.reconcile import command
from focus_assets.focus.columns import VERSIONS
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.usage_source import days_invoiced_otherwise
from focus_assets_tests.billing.invoiced_company import (
    SPLIT,
    START,
    invoices,
    invoicing,
    requests,
    split,
    taxed,
)
from focus_assets_tests.openmeter_server.documents import ulid
from focus_assets_tests.openmeter_server.invoices import detailed, invoice, line, totals
from focus_assets_tests.orchestration.company import Company

D = Decimal
FOCUS = "focus_cost_and_usage"


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The first week and the day on which its invoices are made, run once by Dagster."""
    with invoicing(tmp_path_factory.mktemp("week"), invoices()) as (company, _):
        company.outcome = company.run("2026-08-01", "2026-08-08")  # type: ignore[attr-defined]
        yield company


def rows(company: Company, dataset: str = FOCUS) -> pl.DataFrame:
    return company.lake.scan(dataset, company.lake.days(dataset)).collect()


def of(company: Company, customer: str) -> pl.DataFrame:
    return rows(company).filter(pl.col("x_CustomerKey") == customer)


def sums(frame: pl.DataFrame, *by: str) -> dict[Any, Decimal]:
    found = frame.group_by(*by).agg(pl.col("BilledCost").sum())
    return {row[0] if len(by) == 1 else row[:-1]: row[-1] for row in found.iter_rows()}


def test_the_rows_of_every_issued_invoice_add_up_to_its_total(week: Company) -> None:
    issued = rows(week).filter(pl.col("InvoiceId").is_not_null(), pl.col("InvoiceId") != "DRAFT-1")
    assert sums(issued, "InvoiceId") == {
        "ANN-0001": D("9.99"),
        "ANN-0002": D("14.80"),
        "BOB-0001": D("2.57"),
        "CY-0001": D("300.11"),
        "EVE-0001": D("67.22"),
        "EVE-0002": D("21.04"),
        "FAY-0001": D("0.32"),
    }


def test_rows_name_the_detailed_line_that_they_are_on_and_add_up_to_it(week: Company) -> None:
    ann = sums(of(week, "ann"), "InvoiceId", "InvoiceDetailId")
    key = "Tokens/ann/full/2026-08-01T00:00:00Z"
    assert {
        "tier 1": ann["ANN-0002", ulid("detail", f"{key}/0")],
        "fee": ann["ANN-0002", ulid("detail", f"{key}/1")],
        "tier 2": ann["ANN-0002", ulid("detail", f"{key}/2")],
    } == {"tier 1": D("3.33"), "fee": D("0.56"), "tier 2": D("0.48")}


def test_rows_say_who_issued_the_invoice_and_what_openmeter_calls_it(week: Company) -> None:
    ann = of(week, "ann").filter(pl.col("InvoiceId") == "ANN-0002")
    assert set(ann["InvoiceIssuerName"]) == {"Test Vendor Inc."}
    assert set(ann["x_OpenMeterInvoiceId"]) == {ulid("invoice", "ANN-0002")}
    assert set(ann["BillingPeriodStart"].dt.day()) == {1, 8}


def test_a_fee_in_advance_is_on_the_invoice_of_the_period_before(week: Company) -> None:
    fees = of(week, "ann").filter(pl.col("x_PriceComponent") == "flat_fee")
    found = fees.select(pl.col("ChargePeriodStart").dt.day(), "InvoiceId", "BilledCost").sort("InvoiceId")
    assert found.rows() == [(1, "ANN-0001", D("9.99")), (8, "ANN-0002", D("9.99"))]


def test_rows_are_estimates_until_their_own_invoice_is_issued(week: Company) -> None:
    """Support of the second week is on an issued invoice, though that week goes on; a draft can still change."""
    invoiced = rows(week).drop_nulls("InvoiceId").select("InvoiceId", "x_IsEstimated").unique()
    assert [number for number, estimated in invoiced.iter_rows() if estimated] == ["DRAFT-1"]
    second = of(week, "ann").filter(pl.col("BillingPeriodStart").dt.day() == 8)
    assert set(second.select("InvoiceId", "x_IsEstimated").rows()) == {("ANN-0002", False), (None, True)}


def test_a_period_of_which_an_invoice_is_missing_is_not_kept_for_good(week: Company) -> None:
    closed = rows(week, "closed_periods").filter(pl.col("BillingPeriodStart").dt.day() == 8)
    assert closed.is_empty()
    assert not_kept(week.lake, dt.date(2026, 8, 8)) == []


def test_rounding_is_an_adjustment_of_its_line_on_the_day_that_the_line_ends(week: Company) -> None:
    found = of(week, "ann").filter(pl.col("ChargeCategory") == "Adjustment")
    # 0.4797 are 0.48, and 33 and 8 requests at 0.0107 come to 0.4387, which are 0.44.
    assert sorted(found.select("x_AdjustmentReason", "BilledCost").rows()) == [
        ("rounding", D("0.0003")),
        ("rounding", D("0.0013")),
    ]
    last = week.lake.scan(FOCUS, [dt.date(2026, 8, 7)]).collect()
    assert last.filter(pl.col("x_CustomerKey") == "ann", pl.col("ChargeCategory") == "Adjustment").height == 2


def test_tax_is_a_row_of_its_own_without_sku_or_price(week: Company) -> None:
    tax = of(week, "bob").filter(pl.col("ChargeCategory") == "Tax").row(0, named=True)
    assert [tax[f"{name}Cost"] for name in ("List", "Contracted", "Billed", "Effective")] == [D("0.43")] * 4
    empty = ("SkuId", "SkuPriceId", "ListUnitPrice", "PricingQuantity", "PricingCategory", "HostProviderName")
    assert [tax[name] for name in empty] == [None] * len(empty)
    assert (tax["ServiceName"], tax["InvoiceId"]) == ("Test Service", "BOB-0001")


def test_what_was_added_by_hand_is_an_adjustment_and_its_tax_a_tax(week: Company) -> None:
    cy = of(week, "cy").filter(pl.col("x_PriceComponent") != "usage")
    found = cy.select("ChargeCategory", "x_AdjustmentReason", "ChargeDescription", "BilledCost").rows()
    assert ("Adjustment", "added_by_hand", "Workshop", D(250)) in found
    assert ("Tax", None, "Tax, Workshop", D(50)) in found


def test_usage_of_a_voided_invoice_is_on_none_and_its_lines_are_stated_as_voided(week: Company) -> None:
    dee = of(week, "dee")
    assert set(dee.select("InvoiceId", "x_IsEstimated").rows()) == {(None, True)}
    details = rows(week, "focus_invoice_detail").filter(pl.col("InvoiceId") == "DEE-0001")
    assert details.select("InvoiceIssueStatus", "BilledCost").rows() == [("Voided", D("0.11"))]


def test_a_period_that_is_invoiced_in_parts_is_cut_where_an_invoice_ends(week: Company) -> None:
    eve = of(week, "eve").filter(pl.col("x_FeatureKey") == "tokens", pl.col("ChargeCategory") == "Usage")
    on_tuesday = eve.filter(pl.col("ChargePeriodStart").dt.day() == 4)
    assert sorted(
        on_tuesday.select(
            "InvoiceId",
            pl.col("ChargePeriodStart").dt.strftime("%H:%M"),
            pl.col("ChargePeriodEnd").dt.strftime("%H:%M"),
            "ConsumedQuantity",
        ).rows()
    ) == [("EVE-0001", "00:00", "13:45", D(10)), ("EVE-0002", "13:45", "00:00", D(15))]


def test_each_part_of_a_classic_line_is_rated_given_the_gross_amount_of_those_before(week: Company) -> None:
    """One pass over 160 jobs would be capped at 100; 64 and 20 is what OpenMeter bills."""
    jobs = of(week, "eve").filter(pl.col("x_FeatureKey") == "jobs")
    assert sums(jobs, "InvoiceId") == {"EVE-0001": D(64), "EVE-0002": D(20)}
    assert jobs.filter(pl.col("ChargeCategory") == "Adjustment").is_empty()


def test_usage_that_came_after_the_quantity_was_frozen_is_a_correction_at_no_cost_and_no_error(
    week: Company,
) -> None:
    """30 of 37 requests were billed, at 0.32; the seven of the last half hour came too late."""
    fay = of(week, "fay")
    assert fay["ConsumedQuantity"].sum() == 37
    assert fay.filter(pl.col("ChargeCategory") == "Adjustment")["x_AdjustmentReason"].to_list() == [
        "rounding"
    ]
    late = fay.filter(pl.col("ChargeClass") == "Correction").row(0, named=True)
    assert {
        name: late[name] for name in ("ChargeCategory", "SkuId", "SkuPriceId", "x_CorrectedInvoiceId")
    } == {
        "ChargeCategory": "Usage",
        "SkuId": "requests",
        "SkuPriceId": "metered/requests/usage",
        "x_CorrectedInvoiceId": "FAY-0001",
    }
    assert (late["ConsumedQuantity"], late["PricingQuantity"]) == (D(7), D(7))
    costs = ("ListCost", "ContractedCost", "BilledCost", "EffectiveCost")
    assert [late[name] for name in costs] == [D(0)] * 4
    empty = ("InvoiceId", "InvoiceDetailId", "ListUnitPrice", "ContractedUnitPrice", "PricingCategory")
    assert [late[name] for name in empty] == [None] * len(empty)
    billed = fay.filter(pl.col("ChargeClass").is_null())
    assert billed.select("InvoiceId", "ConsumedQuantity", "BilledCost").rows() == [
        ("FAY-0001", D(30), D("0.321")),
        ("FAY-0001", None, D("-0.001")),
    ]
    lines, _ = reconciled_month(week.lake, "2026-08")
    told = lines.filter(pl.col("InvoiceId") == "FAY-0001").row(0, named=True)
    assert (told["difference"], told["finding"]) == (D(0), None)
    assert told["note"] == "7 Requests came after the quantity was frozen and are not billed"


def test_a_draft_gives_its_provisional_number_and_its_rows_stay_estimates(week: Company) -> None:
    gil = of(week, "gil")
    assert gil.select("InvoiceId", "x_IsEstimated", "BilledCost").rows() == [("DRAFT-1", True, D("0.0535"))]
    assert "DRAFT-1" not in set(rows(week, "focus_invoice_detail")["InvoiceId"])


def test_what_has_no_price_is_on_no_invoice_and_final_with_those_of_its_period(week: Company) -> None:
    pings = of(week, "ann").filter(pl.col("x_FeatureKey") == "pings")
    found = pings.select("ConsumedQuantity", "BilledCost", "InvoiceId", "x_IsEstimated").rows()
    assert found == [(D(9), D(0), None, False)]


def test_invoice_detail_states_what_rows_add_up_to(week: Company) -> None:
    key = ["InvoiceId", "InvoiceDetailId"]
    details = rows(week, "focus_invoice_detail").filter(pl.col("InvoiceIssueStatus") == "Issued")
    final = rows(week).filter(pl.col("InvoiceId").is_not_null(), pl.col("InvoiceId") != "DRAFT-1")
    charged = final.group_by(key).agg(pl.col("BilledCost").sum())
    assert details.select(*key, "BilledCost").sort(key).equals(charged.sort(key))


def test_the_check_of_the_chain_finds_nothing(week: Company) -> None:
    outcome = week.outcome  # type: ignore[attr-defined]
    failed = {each.check_name for each in outcome.checks if not each.passed}
    assert failed <= {"focus_recommendations", "no_usage_came_too_late"}
    late = next(each for each in outcome.checks if each.check_name == "no_usage_came_too_late")
    assert not late.passed
    assert not late.blocking


def test_a_period_is_closed_when_its_invoices_are_issued(week: Company) -> None:
    found = rows(week, "focus_billing_period").filter(pl.col("BillingPeriodStart").dt.day() == 1)
    issuers = dict(found.select("x_CustomerKey", "InvoiceIssuerName").iter_rows())
    assert (issuers["bob"], issuers["dee"]) == ("Test Vendor Inc.", "Test Vendor")
    assert dict(found.select("x_CustomerKey", "BillingPeriodStatus").iter_rows()) == {
        "ann": "Closed",
        "bob": "Closed",
        "cy": "Closed",
        "dee": "Open",
        "eve": "Closed",
        "fay": "Closed",
        "gil": "Open",
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_rows_of_imported_invoices_break_no_rule(week: Company, version: str) -> None:
    report = check(project(rows(week).lazy(), version), rules_for(version))
    assert [result.sentence for result in report.violated if result.rule.blocking] == []


@pytest.mark.parametrize("dataset", FOCUS_DATASET)
def test_the_other_datasets_break_no_rule(week: Company, dataset: str) -> None:
    frame = project(rows(week, dataset).lazy(), "1.4", FOCUS_DATASET[dataset])
    report = check(frame, rules_for("1.4", FOCUS_DATASET[dataset]))
    assert [result.sentence for result in report.violated if result.rule.blocking] == []


def test_reconcile_prints_every_invoice_and_what_is_late(week: Company) -> None:
    config = str(week.root / "focus.yaml")
    done = CliRunner().invoke(command, ["--period", "2026-08", "--config", config])
    assert done.exit_code == 0, done.output
    assert "EVE-0002" in done.output
    assert "7 Requests came after the quantity was frozen" in done.output
    assert "7 invoice(s) of 2026-08" in done.output


def test_a_line_that_usage_does_not_explain_is_an_error_and_still_in_the_data(tmp_path: Path) -> None:
    """OpenMeter asks 2.50 for what comes to 2.14."""
    wrong = requests("bob", "200", "2.50")
    with invoicing(tmp_path, [invoice("BOB-0001", "bob", [wrong])]) as (company, _):
        with pytest.raises(Exception, match="invoice_lines_reconcile"):
            company.run("2026-08-01", "2026-08-08")
        found = reconciled_day(company.lake, dt.date(2026, 8, 7)).row(0, named=True)
        assert (found["reference"], found["charged"], found["difference"]) == (
            D("2.50"),
            D("2.50"),
            D("-0.36"),
        )
        adjusted = of(company, "bob").filter(pl.col("x_AdjustmentReason") == "unexplained")
        assert adjusted["BilledCost"].to_list() == [D("0.36")]


def test_days_keep_their_catalog_and_get_the_invoices_that_came_since(tmp_path: Path) -> None:
    with invoicing(tmp_path, []) as (company, server):
        company.run("2026-08-01", "2026-08-08")
        assert rows(company)["InvoiceId"].null_count() == rows(company).height
        days = [START + dt.timedelta(days=n) for n in range(8)]
        assert days_invoiced_otherwise(company.settings, company.lake, days) == set()
        server.invoices = [taxed()]
        assert days_invoiced_otherwise(company.settings, company.lake, days) == set(days)
        company.run("2026-08-01", "2026-08-08")
        assert sums(of(company, "bob"), "InvoiceId")["BOB-0001"] == D("2.57")
        assert days_invoiced_otherwise(company.settings, company.lake, days) == set()


def test_credits_that_were_allocated_to_a_line_are_a_credit_row(tmp_path: Path) -> None:
    """10 x 0.0107 = 0.11, of which 0.05 are paid by credit."""
    paid = requests("cy", "10", "0.11", credits="0.05")
    with invoicing(tmp_path, [invoice("CY-0001", "cy", [paid])]) as (company, _):
        company.run("2026-08-01", "2026-08-08")
        assert sums(of(company, "cy"), "ChargeCategory")["Credit"] == D("-0.05")
        assert sums(of(company, "cy"), "InvoiceId") == {"CY-0001": D("0.06")}


def test_a_credit_note_stops_the_run_before_anything_is_written(tmp_path: Path) -> None:
    note = taxed() | {"type": "credit_note"}
    with invoicing(tmp_path, [note]) as (company, _):
        with pytest.raises(Exception, match=r"BOB-0001 .* is a credit_note; only invoices of type standard"):
            company.run("2026-08-01", "2026-08-08")
        for dataset in ("catalog", "raw_usage", "normalized_usage", "usage_totals", FOCUS):
            assert company.lake.days(dataset) == []


def test_inclusive_tax_is_taken_out_of_the_rows(tmp_path: Path) -> None:
    """2.14 with a tax of 0.36 in it: the rows are 1.78, and nothing is added on top."""
    taxed_within = line(
        "Requests",
        ("2026-08-01T00:00:00Z", "2026-08-08T00:00:00Z"),
        [detailed("Requests: usage in period", "200", "0.0107", totals("2.14", tax="0.36", inclusive=True))],
        subscription="bob/metered",
        item="requests",
        metered="200",
    )
    with invoicing(tmp_path, [invoice("BOB-0001", "bob", [taxed_within])]) as (company, _):
        company.run("2026-08-01", "2026-08-08")
        assert sums(of(company, "bob"), "InvoiceId") == {"BOB-0001": D("2.14")}
        assert sums(of(company, "bob"), "ChargeCategory")["Tax"] == D("0.36")


def test_facts_of_a_catalog_tell_which_invoices_a_day_concerns(week: Company) -> None:
    held = week.lake.scan("catalog", [dt.date(2026, 8, 3)]).filter(pl.col("kind") == "invoice").collect()
    numbers = {json.loads(document)["number"] for document in held["document"]}
    assert {"ANN-0002", "DEE-0001", "DRAFT-1", "EVE-0001", "EVE-0002"} <= numbers


def test_a_line_that_does_not_say_what_was_metered_before_books_the_difference(tmp_path: Path) -> None:
    """As OpenMeter's charges do: 160 jobs less 20 percent are capped at 100, of which 64 were billed: 36."""
    first, second = split()
    for each in (*first["lines"], *second["lines"]):
        del each["meteredPreLinePeriodQuantity"]
    jobs = line(
        "Jobs",
        (SPLIT, "2026-08-08T00:00:00Z"),
        [detailed("Jobs: usage in period", "80", "1", totals("80", discounts="44"))],
        subscription="eve/split",
        item="jobs",
        metered="80",
    )
    made = [first, invoice("EVE-0002", "eve", [second["lines"][0], jobs])]
    with invoicing(tmp_path, made) as (company, _):
        company.run("2026-08-01", "2026-08-08")
        found = of(company, "eve").filter(pl.col("x_FeatureKey") == "jobs")
        assert sums(found, "InvoiceId") == {"EVE-0001": D(64), "EVE-0002": D(36)}
        assert found.filter(pl.col("ChargeCategory") == "Adjustment").is_empty()
        assert sums(of(company, "eve"), "InvoiceId")["EVE-0002"] == D("37.04")
