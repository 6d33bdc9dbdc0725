"""What changes on an issued invoice in the middle of a period, corrected in that period and after its close.

Ann's tokens cost 0.0333 up to 100, then 0.0123. 61 of the 1st are on the invoice of the first part, which ends on the
3rd at noon; 67 and 11 follow. ChargeClass is ``Correction`` where a billing period was invoiced before, and only there.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.settings import BillingSettings
from focus_assets_tests.billing.test_progressive_billing import LATE, MIDWEEK, PART, WEEK, split
from focus_assets_tests.billing.weeks import AFTER, Weeks, configuration, price

D = Decimal
VERSIONS = ("1.0", "1.1", "1.2", "1.3", "1.4")
SECOND = dt.datetime(2026, 8, 2, tzinfo=dt.UTC)
THIRD_AT_NOON = dt.datetime(2026, 8, 3, 12, tzinfo=dt.UTC)
FIRST_WEEK = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
SECOND_WEEK = dt.datetime(2026, 8, 8, tzinfo=dt.UTC)
LATER = (2, "ann", "tokens", "large", "5")
SHOWN = ("ChargePeriodStart", "ConsumedQuantity", "ListCost", "ContractedCost", "BilledCost", "EffectiveCost")


def correcting(found: Weeks) -> pl.DataFrame:
    return found.rows().filter(pl.col("x_CorrectedInvoiceId").is_not_null())


def require_conforming(found: Weeks) -> None:
    for version in VERSIONS:
        rows = project(found.rows().lazy(), version)
        assert [result.sentence for result in check(rows, rules_for(version)).violated] == []


def late(root: Path, terms: BillingSettings) -> Weeks:
    """30 tokens of the 2nd come while the first part is invoiced and the week is open."""
    found = split(root, MIDWEEK)
    found.terms = terms
    found.compute(1, 7)
    found.usage = (*found.usage, LATE)
    return found.compute(1, 7)


@pytest.fixture(scope="module")
def rebilled(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return late(tmp_path_factory.mktemp("rebilled"), BillingSettings())


@pytest.fixture(scope="module")
def not_billed(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return late(tmp_path_factory.mktemp("not_billed"), BillingSettings(late_usage="not_billed"))


def test_corrections_within_their_billing_period_have_no_charge_class(rebilled: Weeks) -> None:
    """30 x 0.0333 = 0.999; 91 x 0.0333 = 3.0303 is rounded by 0.0003 less, 61 x 0.0333 = 2.0313 was by 0.0013 less."""
    assert rebilled.rows()["ChargeClass"].null_count() == rebilled.rows().height
    found = correcting(rebilled)
    assert found.select("ChargeCategory", "x_AdjustmentReason", "BilledCost").rows() == [
        ("Usage", None, D("0.999")),
        ("Adjustment", "rounding", D("0.001")),
    ]
    assert set(found.select("BillingPeriodStart", "x_CorrectedInvoiceId", "InvoiceId").rows()) == {
        (FIRST_WEEK, PART, None)
    }
    require_conforming(rebilled)


def test_usage_that_is_not_billed_keeps_its_prices_within_its_billing_period(not_billed: Weeks) -> None:
    """30 x 0.0333 = 0.999 at the prices as listed and agreed, of which nothing is billed."""
    assert not_billed.rows()["ChargeClass"].null_count() == not_billed.rows().height
    (row,) = correcting(not_billed).to_dicts()
    assert [row[name] for name in SHOWN] == [SECOND, D(30), D("0.999"), D("0.999"), 0, 0]
    assert [row[name] for name in ("ListUnitPrice", "ContractedUnitPrice", "PricingCategory")] == [
        D("0.0333"),
        D("0.0333"),
        "Standard",
    ]
    assert (row["InvoiceId"], row["InvoiceDetailId"], row["x_IsEstimated"]) == (None, None, True)
    require_conforming(not_billed)


@pytest.mark.parametrize("terms", ["rebilled", "not_billed"])
def test_what_comes_after_the_close_is_a_correction_in_the_next_period(
    request: pytest.FixtureRequest, terms: str
) -> None:
    """5 more of the 2nd at 0.0333 are 0.1665: 96 are 3.1968, 3.20 where 3.03 were, so rounding gives 0.0035 more.

    The rest began at 91 and begins at 96, so that 5 of the 3rd move to the second tier: -0.1665 and +0.0615, and
    0.2997 = 0.30 is 4 x 0.0333 = 0.1332 = 0.13, 0.8487 = 0.85 is 74 x 0.0123 = 0.9102 = 0.91: by 0.0035 and by
    0.0015 less.
    """
    found: Weeks = request.getfixturevalue(terms)
    found.as_of = AFTER
    found.compute()
    before = found.rows()
    within = correcting(found)
    assert set(within["ChargeClass"]) == {None}
    found.usage = (*found.usage, LATER)
    found.compute()
    added = found.rows().filter(pl.col("ChargeClass") == "Correction")
    assert correcting(found).filter(pl.col("ChargeClass").is_null()).equals(within)
    closed = pl.col("BillingPeriodStart") == FIRST_WEEK
    assert found.rows().filter(closed).equals(before.filter(closed))
    assert set(added["BillingPeriodStart"]) == {SECOND_WEEK}
    of_part = added.filter(pl.col("x_CorrectedInvoiceId") == PART)
    usage = of_part.filter(pl.col("ChargeCategory") == "Usage")
    if terms == "not_billed":
        assert usage.select(SHOWN).rows() == [(SECOND, D(5), 0, 0, 0, 0)]
        assert usage["ListUnitPrice"].to_list() == [None]
        assert added.height == 1
    else:
        assert usage.select(SHOWN).rows() == [(SECOND, D(5), *[D("0.1665")] * 4)]
        assert of_part["BilledCost"].sum() == D("0.17")
        of_week = added.filter(pl.col("x_CorrectedInvoiceId") == WEEK)
        assert of_week.filter(pl.col("ChargeCategory") == "Usage").select(SHOWN[:3]).rows() == [
            (THIRD_AT_NOON, D(-5), D("-0.1665")),
            (THIRD_AT_NOON, D(5), D("0.0615")),
        ]
        assert of_week["BilledCost"].sum() == D("-0.17") + D("0.06")
    assert found.reconciled()["finding"].drop_nulls().to_list() == []
    require_conforming(found)

    last, files = found.rows(), [found.lake.record("focus_cost_and_usage", dt.date(2026, 8, 2))]
    for n in (7, 3, 2):
        found.compute(n, n)
    assert found.rows().equals(last)
    again = [found.lake.record("focus_cost_and_usage", dt.date(2026, 8, 2))]
    assert [record and record.sha256 for record in again] == [record and record.sha256 for record in files]


def test_a_cost_is_its_price_times_its_quantity_to_the_last_place(tmp_path: Path) -> None:
    """61 sevenths at 0.012345678901 are 0.107583773280142857 and 65 are 0.114638446937857143, rounded to 18 places.

    They differ by 0.007054673657714286, but 0.5714285714285714, by which their quantities do, come to ...285.
    """
    card = {
        "feature": "tokens",
        "price": price("0.012345678901"),
        "unit_config": {"operation": "divide", "conversion_factor": "7"},
    }
    plan = configuration()["plans"][0] | {"rate_cards": [card]}
    found = split(tmp_path, MIDWEEK, plans=[plan])
    found.usage = [(1, "ann", "tokens", "large", "61")]
    found.compute(1, 7)
    found.usage = [(1, "ann", "tokens", "large", "65")]
    found.compute(1, 7)
    rows = correcting(found).filter(pl.col("x_PriceComponent") == "usage")
    assert rows.select("ChargeCategory", "PricingQuantity", "ListCost", "BilledCost").rows() == [
        ("Usage", D("0.5714285714285714"), D("0.007054673657714285"), D("0.007054673657714286")),
        ("Adjustment", None, D("0.000000000000000001"), 0),
    ]
    require_conforming(found)
