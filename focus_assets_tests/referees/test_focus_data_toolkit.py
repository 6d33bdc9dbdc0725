"""focus-data-toolkit on the four datasets of FOCUS 1.4, compared with an exact list of what it is known to find.

A finding that is not on the list breaks the test, and so does an entry that is no longer found.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from focus_assets.focus.columns import (
    BILLING_PERIOD,
    CONTRACT_COMMITMENT,
    COST_AND_USAGE,
    DATASETS,
    INVOICE_DETAIL,
)
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets_tests.focus.other_samples import clean_rows
from focus_assets_tests.focus.sample import clean
from focus_assets_tests.referees.environments import Unavailable
from focus_assets_tests.referees.sample_company import delivered_datasets
from focus_assets_tests.referees.toolkit import NAMES, Toolkit, installed

pytestmark = pytest.mark.referee


@pytest.fixture(scope="module")
def toolkit() -> Toolkit:
    try:
        return installed()
    except Unavailable as reason:
        pytest.skip(f"focus-data-toolkit not run: {reason}")


Finding = tuple[str, str, str]
CHECKS = (
    "unique_invoice_detail_ids",
    "unique_contract_commitment_ids",
    "cost_and_usage_invoice_detail_fk",
    "cost_and_usage_invoice_detail_consistency",
    "contract_applied_fk",
    "billing_period_coverage",
    "reconcile_invoice_detail",
    "split_allocation",
    "correction_references",
    "correction_net_sums",
    "no_duplicate_charge_keys",
    "contract_commitment_periods",
    "contract_commitment_percentages",
)
"""Every check of the datasets together; each of them has rows to look at."""

EXPECTED: dict[Finding, str] = {
    ("Cost and Usage", "required_with_sku_price_id", column): (
        "the machine-readable model of 1.4 asks for it wherever there is a SkuPriceId; the clean rows hold a "
        "correction that keeps its SkuPriceId and has no price, which the column's text allows"
    )
    for column in ("ListUnitPrice", "ContractedUnitPrice")
}
"""Finding → why it stands."""


def datasets() -> dict[str, pl.DataFrame]:
    """The four datasets as the rules' own clean rows have them, with the invoice lines that charges refer to."""
    found = {dataset: clean_rows(dataset).collect() for dataset in DATASETS if dataset != COST_AND_USAGE}
    charges = project(clean(), "1.4").collect()
    invoiced = charges.filter(pl.col("InvoiceDetailId").is_not_null()).select(
        "InvoiceId", "InvoiceDetailId", "ChargeCategory", "BilledCost"
    )
    line = found[INVOICE_DETAIL].head(1)
    columns = line.columns
    found[INVOICE_DETAIL] = invoiced.join(line.drop(invoiced.columns), how="cross").select(columns)
    return {COST_AND_USAGE: charges, **found}


def findings(toolkit: Toolkit, datasets: dict[str, pl.DataFrame], work: Path) -> Counter[Finding]:
    verdict = toolkit.judge(datasets, work)
    assert verdict.datasets == set(NAMES.values())
    assert verdict.checks == CHECKS
    return Counter(verdict.found)


def test_the_toolkit_finds_what_it_is_known_to_find_in_clean_rows_and_nothing_else(
    toolkit: Toolkit, tmp_path: Path
) -> None:
    for dataset, rows in datasets().items():
        assert check(rows.lazy(), rules_for("1.4", dataset)).clean
    found = findings(toolkit, datasets(), tmp_path)
    assert found.keys() == EXPECTED.keys(), "unexpected, or a stale entry of the list"


def test_the_toolkit_bites_within_a_dataset(toolkit: Toolkit, tmp_path: Path) -> None:
    scope = '{"Services":["Model API"]}'
    terms = clean_rows(CONTRACT_COMMITMENT, ContractCommitmentApplicability=scope).collect()
    found = findings(toolkit, datasets() | {CONTRACT_COMMITMENT: terms}, tmp_path)
    bitten = {(dataset, rule) for dataset, rule, _ in found.keys() - EXPECTED.keys()}
    assert ("Contract Commitment", "official_schema_violation") in bitten


@pytest.fixture(scope="module")
def delivered(company: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """The sample company's four datasets of 1.4, as a destination of all its customers gets them."""
    return delivered_datasets(company, tmp_path_factory.mktemp("delivered"))


_ROUNDING = (
    "rounding is an Adjustment on the line that it rounds. A line of an invoice may hold charges of several categories "
    "other than Tax, says the ChargeCategory of Invoice Detail; the toolkit wants each charge to have its line's"
)


def expected_of(delivered: dict[str, pl.DataFrame]) -> dict[Finding, tuple[int, str]]:
    """Finding in the sample company's datasets → in how many rows, and why it is false."""
    charges = delivered[COST_AND_USAGE]
    lines = delivered[INVOICE_DETAIL].select("InvoiceDetailId", pl.col("ChargeCategory").alias("line"))
    rounding = charges.filter(x_AdjustmentReason="rounding").join(lines, on="InvoiceDetailId")
    message = "ChargeCategory differs between Cost and Usage row # and its Invoice Detail line '…': Adjustment, not "
    virtual = charges.filter(PricingCurrency="SAMPLE_CREDITS").height
    return {
        ("Cost and Usage", "bad_currency", "PricingCurrency"): (
            virtual,
            "takes national currencies alone; the format allows a virtual one, which a custom currency is",
        ),
        **{
            ("bundle", "FDT-CROSS-015", f"{message}{category}"): (
                rounding.filter(line=category).height,
                _ROUNDING,
            )
            for category in ("Usage", "Credit")
        },
    }


def test_the_toolkit_finds_its_known_false_failures_in_the_sample_company_and_nothing_else(
    toolkit: Toolkit, delivered: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    charges = delivered[COST_AND_USAGE]
    assert charges.filter(ChargeClass="Correction").height > 0
    assert charges["InvoiceDetailId"].drop_nulls().n_unique() > 100
    committed = charges.filter(pl.col("ContractApplied").is_not_null())
    assert set(committed["ChargeCategory"]) == {"Usage", "Purchase"}
    assert {rows.height > 0 for rows in delivered.values()} == {True}
    expected = {finding: rows for finding, (rows, _) in expected_of(delivered).items()}
    assert min(expected.values()) > 0, "a stale entry of the list"
    assert findings(toolkit, delivered, tmp_path) == expected, "unexpected, or a stale entry of the list"


def test_the_toolkit_bites_across_the_sample_companys_datasets(
    toolkit: Toolkit, delivered: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    lines, periods = delivered[INVOICE_DETAIL], delivered[BILLING_PERIOD]
    missing, moved, dearer, doubled = lines["InvoiceDetailId"][0, 10, 20, 30]
    line = pl.col("InvoiceDetailId")
    billed = pl.col("BilledCost").cast(pl.Decimal(38, 18))
    lines = lines.filter(line != missing).with_columns(
        pl.when(line == moved).then(pl.lit("another")).otherwise("InvoiceId").alias("InvoiceId"),
        pl.when(line == dearer).then(billed + 1).otherwise(billed).cast(pl.String).alias("BilledCost"),
    )
    changed = delivered | {
        INVOICE_DETAIL: pl.concat([lines, lines.filter(line == doubled)]),
        BILLING_PERIOD: periods.filter(pl.col("BillingPeriodStatus") == "Open"),
        CONTRACT_COMMITMENT: delivered[CONTRACT_COMMITMENT].filter(ContractCommitmentType="Minimum Spend"),
    }
    found = findings(toolkit, changed, tmp_path)
    new = {rule for dataset, rule, _ in found.keys() - expected_of(delivered).keys() if dataset == "bundle"}
    unknown, foreign, unequal, unlisted, twice, uncommitted = (
        f"FDT-CROSS-{n}" for n in ("014", "015", "030", "040", "001", "010")
    )
    assert new == {unknown, foreign, unequal, unlisted, twice, uncommitted}
