"""The official validator on the sample company's FOCUS 1.2, compared with an exact list of its false failures.

A failure that is not on the list breaks the test, and so does an entry that no longer fails.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from focus_assets.focus.columns import VERSIONS
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets_tests.focus.sample import clean
from focus_assets_tests.referees.environments import Unavailable
from focus_assets_tests.referees.official_validator import Validator, installed
from focus_assets_tests.referees.sample_company import focus_rows

pytestmark = pytest.mark.referee

ALL = "ALL"

_CASCADE = "only because a rule below it fails falsely"
_NO_CONDITION = "asks for the value where the id is null too: its condition is turned round or dropped"

EXPECTED_FALSE_FAILURES: dict[str, str] = {
    "BilledCost-C-000-M": _CASCADE,
    "BilledCost-C-005-C": (
        "takes every issuer of another name than the provider for a third party; "
        "here it is the provider's own legal entity"
    ),
    "CapacityReservationStatus-C-000-C": _CASCADE,
    "CapacityReservationStatus-C-002-C": _CASCADE,
    "CapacityReservationStatus-C-004-C": _NO_CONDITION,
    "CommitmentDiscountStatus-C-000-C": _CASCADE,
    "CommitmentDiscountStatus-C-002-C": _CASCADE,
    "CommitmentDiscountStatus-C-004-C": _NO_CONDITION,
    "CostAndUsage-D-000-M": _CASCADE,
    "CostAndUsage-D-002-M": _CASCADE,
    "EffectiveCost-C-000-M": _CASCADE,
    "EffectiveCost-C-005-C": (
        "takes every purchase for one that covers later charges; the fee of a tier covers none"
    ),
    "InvoiceId-C-000-O": _CASCADE,
    "InvoiceId-C-003-C": _CASCADE,
    "InvoiceId-C-004-C": "wants InvoiceId on no row: its condition, that there is no invoice, is empty",
    "InvoiceId-C-005-C": "wants InvoiceId on every row: its condition, that there is an invoice, is empty",
    "PricingCurrency-C-000-C": _CASCADE,
    "PricingCurrency-C-003-M": (
        "takes national currencies alone; the format allows a virtual one, which a custom currency is"
    ),
}
"""Rule of the validator → why its verdict is false."""


@pytest.fixture(scope="module")
def validator() -> Validator:
    try:
        return installed()
    except Unavailable as reason:
        pytest.skip(f"official validator not run: {reason}")


@pytest.fixture(scope="module")
def rows(company: Path) -> pl.LazyFrame:
    return focus_rows(company)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_sample_company_breaks_no_rule_of_any_version(rows: pl.LazyFrame, version: str) -> None:
    assert [result.sentence for result in check(project(rows, version), rules_for(version)).violated] == []


@pytest.fixture(scope="module")
def file(rows: pl.LazyFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FOCUS 1.2 of the sample company, as it is delivered, without columns of our own."""
    frame = project(rows, "1.2")
    assert check(frame, rules_for("1.2")).clean
    path = tmp_path_factory.mktemp("file") / "focus.parquet"
    frame.sink_parquet(path)
    return path


def test_the_official_validator_finds_its_known_false_failures_and_nothing_else(
    validator: Validator, file: Path, tmp_path: Path
) -> None:
    verdict = validator.judge(file, ALL, tmp_path)
    assert verdict.failed == set(EXPECTED_FALSE_FAILURES), "unexpected, or a stale entry of the list"
    assert verdict.passed > 300


def test_the_referee_bites(validator: Validator, tmp_path: Path) -> None:
    wrong = project(clean(), "1.2").with_columns(pl.lit(None, pl.String).alias("BillingAccountId"))
    wrong.sink_parquet(tmp_path / "wrong.parquet")
    assert "BillingAccountId-C-001-M" in validator.judge(tmp_path / "wrong.parquet", ALL, tmp_path).failed
