"""An invoice of OpenMeter that is voided after its period has closed: its rows stay, and their costs are taken back."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from focus_assets.focus.columns import VERSIONS
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.settings import BillingSettings, CommitmentSettings
from focus_assets_tests.billing.test_late_usage_of_invoices import (
    FIRST,
    ISSUED,
    NEXT,
    TIERS,
    USED,
    invoice,
    weeks,
)
from focus_assets_tests.billing.weeks import Weeks, configuration, price

D = Decimal
COSTS = ["ListCost", "ContractedCost", "BilledCost", "EffectiveCost"]
ONLY_ANN = {"subscriptions": [{"customer": "ann", "plan": "basic", "active_from": "2026-08-01T00:00:00Z"}]}


@pytest.fixture(scope="module")
def voided(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    found = weeks(tmp_path_factory.mktemp("voided"), invoice("139", TIERS), usage=USED, **ONLY_ANN).compute(
        1, 7
    )
    found.before = found.rows()  # type: ignore[attr-defined]
    gone = invoice("139", TIERS, status="voided", voided_at=ISSUED)
    found.catalog = {**found.catalog, "invoices": [gone]}
    return found.compute(1, 7)


def test_its_rows_stay_as_they_were(voided: Weeks) -> None:
    kept = voided.rows().filter(pl.col("InvoiceId") == "ANN-01")
    before = voided.before  # type: ignore[attr-defined]
    assert kept.sort(kept.columns).equals(before.sort(kept.columns))


def test_adjustments_without_quantities_take_all_it_billed_back(voided: Weeks) -> None:
    """4.37: 3.33 and 0.48 of tokens, and the fee of 0.56."""
    back = voided.rows().filter(pl.col("ChargeClass") == "Correction", pl.col("BilledCost") != 0)
    assert back["BilledCost"].sum() == D("-4.37")
    assert set(back["ChargeCategory"]) == {"Adjustment"}
    assert set(back["x_CorrectedInvoiceId"]) == {"ANN-01"}
    empty = (
        "InvoiceId",
        "x_OpenMeterInvoiceId",
        "ConsumedQuantity",
        "PricingQuantity",
        "ListUnitPrice",
        "PricingCategory",
    )
    assert [back[name].null_count() for name in empty] == [back.height] * len(empty)
    assert back["SkuId"].null_count() == 0


def test_all_rows_come_to_what_is_to_be_billed_anew(voided: Weeks, tmp_path: Path) -> None:
    """As in a lake that never saw the invoice as anything but void: 3.33, 0.555 and 0.4797."""
    gone = invoice("139", TIERS, status="voided", voided_at=ISSUED)
    fresh = weeks(tmp_path, gone, usage=USED, **ONLY_ANN).compute(1, 7)
    sums = [found.rows().select(pl.col(*COSTS, "ConsumedQuantity").sum()) for found in (voided, fresh)]
    assert sums[0].equals(sums[1])
    assert sums[0]["BilledCost"].item() == D("4.3647")


def test_computing_the_days_again_changes_nothing(voided: Weeks) -> None:
    before = voided.rows()
    assert voided.compute(1, 7).rows().equals(before)


@pytest.mark.parametrize("version", VERSIONS)
def test_its_corrections_break_no_rule(voided: Weeks, version: str) -> None:
    report = check(project(voided.rows().lazy(), version), rules_for(version))
    assert [result.sentence for result in report.violated if result.rule.blocking] == []


def test_the_difference_to_an_invoice_that_replaces_it_is_booked(tmp_path: Path) -> None:
    """The other has 120 tokens: 3.33, 0.56 and 20 x 0.0123 = 0.25, so 4.14 where 4.37 were billed."""
    found = weeks(tmp_path, invoice("139", TIERS), usage=USED, **ONLY_ANN).compute(1, 7)
    gone = invoice("139", TIERS, status="voided", voided_at=ISSUED)
    other = invoice("120", [*TIERS[:2], ("20", "0.0123", "0.25")], id="id-NEW", number="NEW")
    other["lines"][0]["id"] = "line-NEW"
    found.catalog = {**found.catalog, "invoices": [gone, other]}
    rows = found.compute(1, 7).rows()
    assert rows["BilledCost"].sum() == D("4.14")
    assert rows["ConsumedQuantity"].sum() == 139
    assert rows.filter(pl.col("ChargeClass") == "Correction")["BilledCost"].sum() == D("-0.23")
    assert found.compute(1, 7).rows().equals(rows)


def test_a_voided_part_is_taken_back_while_another_part_of_the_charge_stays_billed(tmp_path: Path) -> None:
    """61 x 0.0333 = 2.0313 = 2.03 and 0.56, then 1.78. Open again are 2.0313 and 0.555: 4.3663 with the 1.78."""
    cut = dt.datetime(2026, 8, 3, 12, tzinfo=dt.UTC)
    early = [("61", "0.0333", "2.03"), TIERS[1]]
    rest = invoice("78", [("39", "0.0333", "1.30"), TIERS[2]], (cut, NEXT), "61")
    found = weeks(tmp_path, invoice("61", early, (FIRST, cut), "0"), rest, usage=USED, **ONLY_ANN)
    assert found.compute(1, 7).rows()["BilledCost"].sum() == D("4.37")
    gone = invoice("61", early, (FIRST, cut), "0", status="voided", voided_at=ISSUED)
    found.catalog = {**found.catalog, "invoices": [gone, rest]}
    rows = found.compute(1, 7).rows()
    assert rows["BilledCost"].sum() == D("4.3663")
    assert rows["ConsumedQuantity"].sum() == 139
    assert found.compute(1, 7).rows().equals(rows)


def test_usage_of_a_voided_invoice_counts_once_towards_its_minimum(tmp_path: Path) -> None:
    """139 at 1.00 are 139, well above the minimum of 10: counted when invoiced, taken back, and open once more."""
    plan = configuration()["plans"][0] | {
        "rate_cards": [{"feature": "tokens", "price": price("1", minimum_amount="10")}]
    }
    made = invoice("139", [("139", "1", "139")])
    found = weeks(tmp_path, made, usage=USED, plans=[plan], **ONLY_ANN)
    found.terms = BillingSettings(late_usage="not_billed", contract_commitments=CommitmentSettings())
    found.compute(1, 7)
    gone = made | {"status": "voided", "voided_at": ISSUED}
    found.catalog = {**found.catalog, "invoices": [gone]}
    applied = found.compute(1, 7).rows()["ContractApplied"].drop_nulls()
    elements = [each for text in applied for each in json.loads(text, parse_float=D, parse_int=D)["Elements"]]
    assert sum(each["ContractCommitmentAppliedCost"] for each in elements) == 139
