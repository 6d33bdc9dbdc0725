"""What becomes of a billing period's rows when it closes: an invoice, and lines that are whole cents."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from focus_assets.focus.columns import VERSIONS
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets_tests.billing.weeks import BEFORE, TIERS, Weeks, configuration, price

TOKENS = "ann/basic/tokens/20260801T000000Z"
REQUESTS = "ann/basic/requests/20260801T000000Z"
INVOICE = "ann/20260801-20260808/USD"
D = Decimal


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return Weeks(tmp_path_factory.mktemp("closed")).compute()


def adjustments(weeks: Weeks) -> pl.DataFrame:
    return weeks.rows().filter(pl.col("ChargeCategory") == "Adjustment")


def test_rows_of_a_closed_period_name_their_invoice_and_those_of_an_open_one_none(closed: Weeks) -> None:
    found = (
        closed.rows().select("BillingAccountId", "BillingPeriodStart", "InvoiceId", "x_IsEstimated").unique()
    )
    assert set(found.iter_rows()) == {
        ("ann", dt.datetime(2026, 8, 1, tzinfo=dt.UTC), INVOICE, False),
        (
            "bob",
            dt.datetime(2026, 8, 1, tzinfo=dt.UTC),
            "bob/20260801-20260808/USD/Test Vendor Europe",
            False,
        ),
        ("ann", dt.datetime(2026, 8, 8, tzinfo=dt.UTC), None, True),
        ("bob", dt.datetime(2026, 8, 8, tzinfo=dt.UTC), None, True),
    }


def test_a_line_of_several_rows_gets_one_adjustment_that_makes_it_whole(closed: Weeks) -> None:
    # 61 + 39 at 0.0333 = 3.33 exactly; 21 + 7 + 11 at 0.0123 = 0.4797; 41 requests at 0.0107 = 0.4387, 0.44 less 0.04.
    lines = {
        line: closed.line(line)["BilledCost"].sum() for line in (f"{TOKENS}/usage:1", f"{TOKENS}/usage:2")
    }
    assert lines == {f"{TOKENS}/usage:1": D("3.33"), f"{TOKENS}/usage:2": D("0.48")}
    assert closed.line(f"{REQUESTS}/usage")["BilledCost"].sum() == D("0.40")
    found = adjustments(closed).select("InvoiceDetailId", "BilledCost").rows()
    assert found == [(f"{REQUESTS}/usage", D("0.40") - D("0.39483")), (f"{TOKENS}/usage:2", D("0.0003"))]


def test_an_adjustment_has_a_sku_an_invoice_and_four_equal_costs_and_neither_prices_nor_quantities(
    closed: Weeks,
) -> None:
    row = adjustments(closed).filter(pl.col("InvoiceDetailId") == f"{TOKENS}/usage:2").row(0, named=True)
    priceless = ("SkuPriceId", "SkuPriceDetails", "PricingCategory")
    assert [row[name] for name in priceless] == [None] * 3
    assert row["SkuId"] == "tokens/model=large"
    assert row["InvoiceId"] == INVOICE
    assert {row[f"{name}Cost"] for name in ("List", "Contracted", "Billed", "Effective")} == {D("0.0003")}
    assert [row[name] for name in row if name.endswith(("Quantity", "UnitPrice", "Unit"))] == [None] * 10
    assert (row["ChargeClass"], row["x_AdjustmentReason"], row["x_PriceComponent"]) == (
        None,
        "rounding",
        "rounding",
    )
    assert (row["ChargePeriodStart"].day, row["ChargePeriodEnd"].day) == (1, 8)


def test_it_stands_on_the_day_its_line_ends(closed: Weeks) -> None:
    last = closed.lake.scan("focus_cost_and_usage", [dt.date(2026, 8, 7)]).collect()
    assert last.filter(pl.col("ChargeCategory") == "Adjustment").height == adjustments(closed).height == 2


def test_one_row_that_is_a_whole_line_is_rounded_in_place(closed: Weeks) -> None:
    """Bob's three requests on the last day come to 0.02889; a fee is rounded on whatever day it is due."""
    bob = closed.line("bob/basic/requests/20260804T000000Z/usage")
    assert bob.select("BilledCost", "EffectiveCost", "ContractedCost").rows() == [
        (D("0.03"), D("0.03"), D("0.0321"))
    ]
    fee = closed.line(f"{TOKENS}/tier_fee:1").row(0, named=True)
    assert (fee["ChargePeriodStart"].day, fee["BilledCost"], fee["ListCost"]) == (1, D("0.56"), D("0.555"))


def test_an_open_period_stays_exact(closed: Weeks) -> None:
    open_rows = closed.rows().filter(pl.col("x_IsEstimated"))
    assert D("0.1665") in set(open_rows["BilledCost"])
    assert D("0.555") in set(open_rows["BilledCost"])
    assert open_rows.filter(pl.col("InvoiceDetailId").is_not_null()).is_empty()


@pytest.mark.parametrize("version", VERSIONS)
def test_closed_and_open_rows_break_no_rule(closed: Weeks, version: str) -> None:
    days = closed.lake.days("focus_cost_and_usage")
    report = check(project(closed.lake.scan("focus_cost_and_usage", days), version), rules_for(version))
    assert [result.sentence for result in report.violated] == []


def test_rows_from_before_the_close_give_the_same_rounding_and_later_the_same_bytes(
    tmp_path: Path, closed: Weeks
) -> None:
    weeks = Weeks(tmp_path, as_of=BEFORE).compute(1, 6)
    assert weeks.rows()["InvoiceId"].null_count() == weeks.rows().height
    weeks.as_of = closed.as_of
    weeks.compute(7, 7)
    assert adjustments(weeks).equals(adjustments(closed))
    weeks.compute(1, 10)
    for dataset in ("focus_cost_and_usage", "focus_invoice_detail", "focus_billing_period"):
        for day in closed.lake.days(dataset):
            assert weeks.lake.record(dataset, day) == closed.lake.record(dataset, day)


def test_a_restated_day_makes_the_day_stale_on_which_its_lines_were_settled(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, 8)
    weeks.usage = [*weeks.usage, (2, "ann", "tokens", "large", "1")]
    weeks.compute(2, 2)
    assert "focus_cost_and_usage/2026-08-02" in weeks.lake.stale_inputs(
        "focus_cost_and_usage", dt.date(2026, 8, 7)
    )


def test_a_period_that_began_before_the_first_day_never_closes(tmp_path: Path) -> None:
    early = configuration()
    early["subscriptions"][0]["active_from"] = "2026-07-28T00:00:00Z"
    rows = Weeks(tmp_path, catalog=early, usage=()).compute(1, 5).rows()
    assert rows.filter(pl.col("InvoiceId").is_not_null(), pl.col("BillingAccountId") == "ann").is_empty()


def test_all_usage_below_a_maximum_is_one_line_and_its_minimum_another(tmp_path: Path) -> None:
    """0.555 and 3.33 pass the maximum of 3; 41 requests come to 0.4387, which leaves 4.5613 to a minimum of 5."""
    limited = configuration()
    cards = limited["plans"][0]["rate_cards"]
    cards[0]["price"] = {**TIERS, "maximum_amount": "3"}
    cards[1] = {"feature": "requests", "price": price("0.0107", minimum_amount="5")}
    weeks = Weeks(tmp_path, catalog=limited).compute(1, 7)
    assert weeks.line(f"{TOKENS}/usage")["BilledCost"].sum() == D(3)
    assert weeks.line(f"{REQUESTS}/usage")["BilledCost"].sum() == D("0.44")
    assert weeks.line(f"{REQUESTS}/minimum_spend")["BilledCost"].to_list() == [D("4.56")]
    assert weeks.reconciled()["difference"].unique().to_list() == [D(0)]


def test_a_price_that_another_replaces_at_midnight_is_settled_on_its_last_day(tmp_path: Path) -> None:
    """Its minimum too: 33 requests until the 4th come to 0.3531 and are short of 5 by 4.65, eight at 0.02 are not."""
    changed = configuration()
    card = {"feature": "requests", "price": price("0.0107", minimum_amount="5")}
    later = {"feature": "requests", "price": price("0.02"), "valid_from": "2026-08-04T00:00:00Z"}
    changed["plans"][0]["rate_cards"][1:] = [card, later]
    changed["subscriptions"] = changed["subscriptions"][:1]
    weeks = Weeks(tmp_path, catalog=changed).compute(1, 7)
    charges = weeks.rows().filter(pl.col("x_FeatureKey") == "requests")
    assert dict(charges.group_by("InvoiceDetailId").agg(pl.col("BilledCost").sum()).rows()) == {
        f"{REQUESTS}/usage": D("0.35"),
        f"{REQUESTS}/minimum_spend": D("4.65"),
        "ann/basic/requests/20260804T000000Z/usage": D("0.16"),
    }
    assert set(charges["InvoiceDetailId"]) <= set(weeks.rows("focus_invoice_detail")["InvoiceDetailId"])
    assert weeks.reconciled()["difference"].unique().to_list() == [D(0)]


def test_a_line_that_two_issuers_share_is_rounded_for_each(tmp_path: Path) -> None:
    catalog = configuration()
    catalog["meters"][0]["dimensions"] = {"InvoiceIssuerName": {"dimension": "model", "default": "US"}}
    catalog["plans"][0]["rate_cards"] = [{"feature": "tokens", "price": price("0.001")}]
    usage = [(7, "ann", "tokens", "EU", "4"), (7, "ann", "tokens", "US", "5004")]

    computed = Weeks(tmp_path, usage=usage, catalog=catalog).compute()

    billed = computed.rows().filter(pl.col("InvoiceId").is_not_null()).group_by("InvoiceIssuerName")
    assert dict(billed.agg(pl.col("BilledCost").sum()).rows()) == {"EU": Decimal(0), "US": Decimal(5)}


def test_a_fee_below_a_maximum_in_a_custom_currency_is_rounded_with_its_line(tmp_path: Path) -> None:
    tiers = [
        {"up_to_amount": "15", "unit_price": "1.337", "flat_price": "2.555"},
        {"up_to_amount": "30", "unit_price": "0.511"},
        {"unit_price": "0.3", "flat_price": "1"},
    ]
    capped = {"type": "tiered", "mode": "graduated", "tiers": tiers, "maximum_amount": "32"}
    plan = configuration()["plans"][0]
    catalog = configuration(
        custom_currencies=[{"code": "AI_CREDITS", "cost_bases": [{"fiat_code": "USD", "rate": "0.0133"}]}],
        plans=[{**plan, "currency": "AI_CREDITS", "rate_cards": [{"feature": "tokens", "price": capped}]}],
    )
    usage = [(1, "ann", "tokens", "large", "20"), (3, "ann", "tokens", "large", "60")]

    computed = Weeks(tmp_path, usage=usage, catalog=catalog).compute()

    # 32 credits at 0.0133 are 0.4256.
    billed = computed.rows().filter(pl.col("InvoiceId").str.starts_with("ann/"))["BilledCost"].sum()
    assert billed == Decimal("0.43")
    assert computed.reconciled()["finding"].drop_nulls().to_list() == []
