"""A subscription whose usage is invoiced in the middle of its period too, where the platform closes periods itself.

Tokens cost 0.0333 up to 100 with a fee of 0.555, then 0.0123; requests 0.0107 less ten percent. Ann uses 61 tokens on
the 1st, 67 on the 3rd at noon and 11 on the 7th.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from focus_assets.billing_stages import periods_closed_otherwise
from focus_assets.catalog.snapshot import Catalog
from focus_assets.closed_stages import not_kept
from focus_assets_tests.billing.weeks import AFTER, Weeks, configuration, price

D = Decimal
MIDDLE = dt.datetime(2026, 8, 3, 12, tzinfo=dt.UTC)
FIRST = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
PART = "ann/20260801-20260803T120000Z/USD"
WEEK = "ann/20260801-20260808/USD"
HOUR = dt.timedelta(hours=1)
HOUR_PART = "ann/20260803T120000Z-20260803T130000Z/USD"
DAYS = [dt.date(2026, 8, day) for day in range(1, 11)]


def split(
    root: Path, as_of: dt.datetime = AFTER, at: Sequence[dt.datetime] = (MIDDLE,), **changes: object
) -> Weeks:
    catalog = configuration(**changes)
    catalog["subscriptions"][0]["progressive_billing"] = list(at)
    return Weeks(root, catalog=catalog, as_of=as_of)


def billed(found: Weeks) -> dict[str, Decimal]:
    """Of Ann's first week, by InvoiceId."""
    rows = found.rows().filter(pl.col("x_CustomerKey") == "ann", pl.col("BillingPeriodStart") == FIRST)
    sums = rows.group_by("InvoiceId").agg(pl.col("BilledCost").sum())
    return dict(sums.iter_rows())


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return split(tmp_path_factory.mktemp("closed")).compute()


def test_the_usage_so_far_is_on_an_invoice_of_its_own(closed: Weeks) -> None:
    """61 x 0.0333 = 2.0313 = 2.03, the fee 0.56, 33 requests 0.3531 = 0.35 less 0.04 = 0.31. Then 39 x 0.0333 = 1.30,
    39 x 0.0123 = 0.48, and 8 requests 0.0856 = 0.09 less 0.01 = 0.08."""
    assert billed(closed) == {PART: D("2.90"), WEEK: D("1.86")}


def test_each_part_is_rounded_by_itself_and_rows_are_cut_where_it_ends(closed: Weeks) -> None:
    rows = closed.rows().filter(pl.col("x_FeatureKey") == "tokens", pl.col("ChargeCategory") == "Usage")
    third = rows.filter(pl.col("ChargePeriodStart").dt.day() == 3, pl.col("x_CustomerKey") == "ann")
    assert set(third.select("ChargePeriodStart", "InvoiceId").rows()) == {(MIDDLE, WEEK)}
    adjusted = closed.rows().filter(pl.col("x_AdjustmentReason") == "rounding", pl.col("InvoiceId") == PART)
    assert adjusted["ChargePeriodEnd"].unique().to_list() == [MIDDLE]


def test_both_invoices_reconcile_with_zero_difference(closed: Weeks) -> None:
    lines = closed.reconciled().filter(pl.col("InvoiceId").is_in([PART, WEEK]))
    assert set(lines["InvoiceId"]) == {PART, WEEK}
    assert set(lines.select("difference", "finding").rows()) == {(D(0), None)}
    assert lines["stated"].sum() == D("4.76")


def test_a_maximum_counts_the_gross_amount_of_the_first_part(tmp_path: Path) -> None:
    """As OpenMeter's classic lines: 61 at 1.00 less 20 percent are 48.80. Of the next 78, 62.40 after the percentage,
    39 are left below the maximum when the gross 61 count: one pass over all 139 would be 100 in all."""
    card = {"feature": "tokens", "price": price("1", maximum_amount="100"), "discounts": {"percentage": "20"}}
    plan = configuration()["plans"][0] | {"rate_cards": [card]}
    found = split(tmp_path, plans=[plan]).compute()
    assert billed(found) == {PART: D("48.80"), WEEK: D("39.00")}
    assert set(found.reconciled()["finding"]) == {None}


@pytest.fixture(scope="module")
def twice_in_a_day(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    """Invoices at noon of the 3rd and an hour later: 67 tokens and 9 requests of that hour are a part of their own."""
    found = split(tmp_path_factory.mktemp("twice"), at=[MIDDLE, MIDDLE + HOUR])
    found.usage = [*found.usage, (3, "ann", "requests", None, "9")]
    return found.compute()


def test_two_parts_that_end_on_one_day_are_each_rated_and_rounded_by_themselves(
    twice_in_a_day: Weeks,
) -> None:
    """The first part as above. 67 tokens after 61: 39 x 0.0333 = 1.2987 = 1.30 and 28 x 0.0123 = 0.3444 = 0.34, and 9
    requests 0.0963 = 0.10 less 0.01 = 0.09. Then 11 x 0.0123 = 0.1353 = 0.14, and 8 requests for 0.08."""
    assert billed(twice_in_a_day) == {PART: D("2.90"), HOUR_PART: D("1.73"), WEEK: D("0.22")}
    assert set(twice_in_a_day.reconciled().select("difference", "finding").rows()) == {(D(0), None)}


def test_two_parts_that_end_on_one_day_are_issued_each_at_its_own_time(twice_in_a_day: Weeks) -> None:
    """Three days after they end."""
    details = twice_in_a_day.rows("focus_invoice_detail").filter(pl.col("InvoiceId").is_in([PART, HOUR_PART]))
    issued = {row["InvoiceId"]: row["InvoiceIssueDate"] for row in details.to_dicts()}
    assert issued == {PART: MIDDLE + 72 * HOUR, HOUR_PART: MIDDLE + 73 * HOUR}


@pytest.mark.parametrize("percentage", ["20", "100"])
def test_a_maximum_counts_gross_amounts_of_a_negotiated_percentage_too(
    tmp_path: Path, percentage: str
) -> None:
    """As above, but no other customer has the percentage, so that 0.80 of the published 1.00 is contracted.

    All of it off leaves nothing to pay of either part, and the gross 61 are no less than the minimum of 60.
    """
    plan = configuration()["plans"][0] | {"rate_cards": [{"feature": "tokens", "price": price("1")}]}
    limits = {"maximum_amount": "100"} if percentage == "20" else {"minimum_amount": "60"}
    own = {
        "feature": "tokens",
        "price": price("1", **limits),
        "discounts": {"percentage": percentage},
    }
    ann, _ = configuration()["subscriptions"]
    found = split(tmp_path, plans=[plan], subscriptions=[ann | {"rate_cards": [own]}]).compute()
    usage = found.rows().filter(pl.col("x_CustomerKey") == "ann", pl.col("x_PriceComponent") == "usage")
    assert set(usage["ContractedUnitPrice"]) == {1 - D(percentage) / 100}
    amounts = {"20": {PART: D("48.80"), WEEK: D("39.00")}, "100": {PART: D(0), WEEK: D(0)}}
    assert billed(found) == amounts[percentage]
    assert found.reconciled()["finding"].drop_nulls().to_list() == []


def test_a_minimum_counts_gross_amounts_too_so_that_parts_can_stay_below_it(tmp_path: Path) -> None:
    """61 at 1.00 less 20 percent are 48.80, the next 78 are 62.40. The gross 61 and 62.40 are 26.60 short of 150.

    So the charge comes to 137.80: one pass over all 139 would pay 111.20 and the other 38.80.
    """
    limited = price("1", minimum_amount="150")
    card = {"feature": "tokens", "price": limited, "discounts": {"percentage": "20"}}
    plan = configuration()["plans"][0] | {"rate_cards": [card]}
    found = split(tmp_path, plans=[plan]).compute()
    assert billed(found) == {PART: D("48.80"), WEEK: D("89.00")}
    top_up = found.rows().filter(pl.col("x_PriceComponent") == "minimum_spend", pl.col("InvoiceId") == WEEK)
    assert top_up["BilledCost"].to_list() == [D("26.60")]
    counted = found.rows().filter(
        pl.col("ContractApplied").is_not_null(), pl.col("InvoiceId").is_in([PART, WEEK])
    )
    assert counted["EffectiveCost"].sum() == D("137.80")
    assert found.reconciled()["finding"].drop_nulls().to_list() == []


def test_volume_tiers_and_meters_that_can_fall_wait_for_the_end_of_the_period(tmp_path: Path) -> None:
    tiers = {
        "type": "tiered",
        "mode": "volume",
        "tiers": [{"up_to_amount": "100", "unit_price": "2"}, {"unit_price": "1"}],
    }
    plan = configuration()["plans"][0] | {"rate_cards": [{"feature": "tokens", "price": tiers}]}
    found = split(tmp_path, plans=[plan]).compute()
    assert billed(found) == {WEEK: D(139)}


def test_a_single_volume_tier_waits_for_the_end_of_the_period_too(tmp_path: Path) -> None:
    """139 at 0.10 are 13.90. OpenMeter refuses to bill volume tiers in parts, however many there are."""
    sold = {"type": "tiered", "mode": "volume", "tiers": [{"unit_price": "0.10"}]}
    plan = configuration()["plans"][0] | {"rate_cards": [{"feature": "tokens", "price": sold}]}
    found = split(tmp_path, plans=[plan]).compute()
    assert billed(found) == {WEEK: D("13.90")}
    assert set(found.reconciled()["finding"]) == {None}


def test_it_is_issued_while_the_period_is_open_and_kept_when_that_closes(tmp_path: Path) -> None:
    # 39 x 0.0333 = 1.2987, 39 x 0.0123 = 0.4797, 8 x 0.00963 = 0.07704.
    found = split(tmp_path, dt.datetime(2026, 8, 7, tzinfo=dt.UTC))
    found.others = True
    found.compute(1, 7)
    assert billed(found) == {PART: D("2.90"), None: D("1.85544")}
    final = found.rows().filter(pl.col("InvoiceId") == PART)
    assert not final["x_IsEstimated"].any()
    assert found.rows("closed_periods").is_empty()
    assert [problem for day in DAYS[:7] for problem in not_kept(found.lake, day)] == []
    statuses = found.rows("focus_billing_period").filter(pl.col("x_CustomerKey") == "ann")
    assert statuses["BillingPeriodStatus"].to_list() == ["Open"]
    assert found.reconciled()["finding"].null_count() == found.reconciled().height

    found.as_of = AFTER
    assert set(DAYS[:7]) <= periods_closed_otherwise(found.lake, DAYS[:7], found.close)
    found.compute()
    assert billed(found) == {PART: D("2.90"), WEEK: D("1.86")}
    assert [problem for day in DAYS for problem in not_kept(found.lake, day)] == []
    assert found.rows().filter(pl.col("ChargeClass").is_not_null()).is_empty()


def test_instants_out_of_order_are_refused() -> None:
    catalog = configuration()
    catalog["subscriptions"][0]["progressive_billing"] = [MIDDLE, FIRST]
    with pytest.raises(ValueError, match="progressive_billing has instants that are not one after the other"):
        Catalog.model_validate(catalog)


LATE = (2, "ann", "tokens", "large", "30")
MIDWEEK = dt.datetime(2026, 8, 7, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    """The first part is invoiced and the week still open when 30 tokens of the 2nd come."""
    found = split(tmp_path_factory.mktemp("late"), MIDWEEK).compute(1, 7)
    found.before = found.rows()  # type: ignore[attr-defined]
    found.usage = (*found.usage, LATE)
    return found.compute(1, 7)


def test_rows_of_an_issued_part_stay_when_usage_comes_late(late: Weeks) -> None:
    before = late.before.filter(pl.col("InvoiceId") == PART)  # type: ignore[attr-defined]
    kept = late.rows().filter(pl.col("InvoiceId") == PART)
    assert kept.sort(kept.columns).equals(before.sort(kept.columns))
    assert late.rows("closed_periods").is_empty()


def test_late_usage_of_an_issued_part_is_billed_with_the_rest_of_its_period(late: Weeks) -> None:
    """30 x 0.0333 = 0.999: 91 are 3.0303 = 3.03, which is 1.00 more than 2.03. The rest begins at 91: 9 x 0.0333 =
    0.2997, 69 x 0.0123 = 0.8487, and requests 0.07704."""
    assert billed(late) == {PART: D("2.90"), None: D("0.2997") + D("0.8487") + D("0.07704") + D("1.00")}
    found = late.rows().filter(pl.col("x_CorrectedInvoiceId").is_not_null())
    used = found.filter(pl.col("ChargeCategory") == "Usage")
    second = dt.datetime(2026, 8, 2, tzinfo=dt.UTC)
    assert used.select("ChargePeriodStart", "ConsumedQuantity", "BilledCost").rows() == [
        (second, D(30), D("0.999"))
    ]
    assert set(found.select("BillingPeriodStart", "x_CorrectedInvoiceId", "x_IsEstimated").rows()) == {
        (FIRST, PART, True)
    }
    assert late.reconciled()["finding"].null_count() == late.reconciled().height


def test_late_usage_is_a_line_of_the_period_s_invoice_and_stays_when_that_closes(
    late: Weeks, tmp_path: Path
) -> None:
    """0.2997 = 0.30, 0.8487 = 0.85, requests 0.08 and the late 1.00. A week that knew all from the start has 3.90 and
    1.23: the same in all."""
    late.as_of = AFTER
    late.compute()
    assert billed(late) == {PART: D("2.90"), WEEK: D("2.23")}
    lines = late.reconciled().filter(pl.col("InvoiceId").is_in([PART, WEEK]))
    assert set(lines.select("difference", "finding").rows()) == {(D(0), None)}
    stated = late.rows("focus_invoice_detail").filter(pl.col("InvoiceId").is_in([PART, WEEK]))
    assert dict(stated.group_by("InvoiceId").agg(pl.col("BilledCost").sum()).iter_rows()) == billed(late)
    corrected = stated.filter(pl.col("InvoiceDetailId").str.contains("/corrected/"))
    assert corrected.select("InvoiceId", "ReferenceInvoiceId", "BilledCost").rows() == [
        (WEEK, PART, D("1.00"))
    ]
    known = Weeks(tmp_path, usage=late.usage, catalog=late.catalog, as_of=AFTER).compute()
    assert billed(known) == {PART: D("3.90"), WEEK: D("1.23")}
    assert known.rows()["ConsumedQuantity"].sum() == late.rows()["ConsumedQuantity"].sum()

    rows = late.rows()
    assert late.compute().rows().equals(rows)
    assert [problem for day in DAYS for problem in not_kept(late.lake, day)] == []


def test_late_usage_on_a_day_of_an_issued_part_that_had_none_is_no_row_of_its_invoice(tmp_path: Path) -> None:
    """61 x 0.0333 = 2.03 and the fee of 0.56, whatever is used on the 2nd by now."""
    found = split(tmp_path, MIDWEEK)
    found.usage = [each for each in found.usage if each[2] == "tokens"]
    found.compute(1, 7)
    assert found.rows().filter(pl.col("ChargePeriodStart").dt.day() == 2).is_empty()
    found.usage = [*found.usage, LATE]
    found.compute(1, 7)
    assert billed(found)[PART] == D("2.59")
