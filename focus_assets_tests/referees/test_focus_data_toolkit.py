"""focus-data-toolkit on the four datasets of FOCUS 1.4, compared with an exact list of what it is known to find.

A finding that is not on the list breaks the test, and so does an entry that is no longer found.
"""

from __future__ import annotations

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
from focus_assets_tests.referees.sample_company import four_datasets
from focus_assets_tests.referees.toolkit import NAMES, Toolkit, installed

pytestmark = pytest.mark.referee


@pytest.fixture(scope="module")
def toolkit() -> Toolkit:
    try:
        return installed()
    except Unavailable as reason:
        pytest.skip(f"focus-data-toolkit not run: {reason}")


EXPECTED: dict[tuple[str, str, str], str] = {
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


def findings(toolkit: Toolkit, work: Path, **changed: pl.DataFrame) -> frozenset[tuple[str, str, str]]:
    verdict = toolkit.judge(
        datasets() | {name.replace("_", "-"): rows for name, rows in changed.items()}, work
    )
    assert verdict.datasets == set(NAMES.values())
    assert len(verdict.checks) > 10
    return verdict.found


def test_the_toolkit_finds_what_it_is_known_to_find_in_the_four_datasets_and_nothing_else(
    toolkit: Toolkit, tmp_path: Path
) -> None:
    for dataset, rows in datasets().items():
        assert check(rows.lazy(), rules_for("1.4", dataset)).clean
    assert findings(toolkit, tmp_path) == set(EXPECTED), "unexpected, or a stale entry of the list"


def test_the_toolkit_bites_within_a_dataset_and_across_them(toolkit: Toolkit, tmp_path: Path) -> None:
    scope = clean_rows(
        CONTRACT_COMMITMENT, ContractCommitmentApplicability='{"Services":["Model API"]}'
    ).collect()
    lines = datasets()[INVOICE_DETAIL].with_columns(pl.col("BilledCost") + 1)
    periods = clean_rows(BILLING_PERIOD).collect().head(0)
    found = findings(
        toolkit, tmp_path, contract_commitment=scope, invoice_detail=lines, billing_period=periods
    )
    rules = {(dataset, rule) for dataset, rule, _ in found - set(EXPECTED)}
    assert ("Contract Commitment", "official_schema_violation") in rules
    assert len({rule for dataset, rule in rules if dataset == "bundle"}) >= 1


OF_THE_SAMPLE_COMPANY: dict[tuple[str, str, str], str] = {}
"""Finding in the sample company's own datasets → why it stands."""


def test_the_toolkit_finds_what_it_is_known_to_find_in_the_sample_company(
    toolkit: Toolkit, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    verdict = toolkit.judge(four_datasets(tmp_path), work)
    assert verdict.found == set(OF_THE_SAMPLE_COMPANY), "unexpected, or a stale entry of the list"
