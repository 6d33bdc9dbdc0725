"""Late usage of a closed week that nobody bills moves nothing of the weeks after, where a charge goes on in them.

Tokens are counted for four weeks from 1 August and invoiced by the week. 139 are used in the first week and 80 on the
9th. 30 more of the 2nd come when the first week has closed. Figures are worked out by hand.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.billing_stages import periods_closed_otherwise
from focus_assets.closed_stages import not_kept
from focus_assets.settings import BillingSettings
from focus_assets_tests.billing.test_late_usage_of_invoices import invoice
from focus_assets_tests.billing.test_late_usage_of_parts import EITHER, NOT_BILLED, Amounts, amounts, keep_as
from focus_assets_tests.billing.test_progressive_billing import LATE
from focus_assets_tests.billing.weeks import AFTER, BEFORE, Weeks, configuration, price

D = Decimal
WEEK = dt.timedelta(days=7)
FIRST = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
DAYS = [dt.date(2026, 8, day) for day in range(1, 29)]
USED = (
    (1, "ann", "tokens", "large", "61"),
    (3, "ann", "tokens", "large", "60"),
    (3, "ann", "tokens", "small", "7"),
    (7, "ann", "tokens", "small", "11"),
    (9, "ann", "tokens", "large", "80"),
)


def volume(bound: str) -> dict[str, Any]:
    tiers = [{"up_to_amount": bound, "unit_price": "10"}, {"unit_price": "5"}]
    return {"price": {"type": "tiered", "mode": "volume", "tiers": tiers}}


GRADUATED = {
    "type": "tiered",
    "mode": "graduated",
    "tiers": [
        {"up_to_amount": "150", "unit_price": "0.10", "flat_price": "1"},
        {"unit_price": "0.01", "flat_price": "2"},
    ],
}
CARDS = {
    "a maximum": (
        {"price": price("1", maximum_amount="200")},
        # 200 - 139; rebilled, 200 - 169.
        {NOT_BILLED: amounts("139", "61", "0"), "rebilled": amounts("139", "31", "30")},
    ),
    "a percentage and a maximum": (
        {"price": price("1", maximum_amount="150"), "discounts": {"percentage": "20"}},
        # 150 - 111.20; rebilled, the late 30 are 24, and 150 - 135.20.
        {NOT_BILLED: amounts("111.20", "38.80", "0"), "rebilled": amounts("111.20", "14.80", "24")},
    ),
    "graduated tiers": (
        {"price": GRADUATED},
        # 13.90 and a fee of 1. 11 at 0.10, 69 at 0.01 and a fee of 2; rebilled, the late 30 are 11 at 0.10, 19 at 0.01
        # and the fee of 2, so that 80 at 0.01 follow.
        {NOT_BILLED: amounts("14.90", "3.79", "0"), "rebilled": amounts("14.90", "0.80", "3.29")},
    ),
    "free units": (
        {"price": price("1"), "discounts": {"usage": "150"}},
        # 11 are left free; rebilled, these are 11 of the late 30.
        {NOT_BILLED: amounts("0", "69", "0"), "rebilled": amounts("0", "80", "19")},
    ),
    "packages": (
        {"price": {"type": "package", "amount": "2", "quantity_per_package": "50"}},
        # 139 open three, 219 five; rebilled, 169 four and 249 five.
        {NOT_BILLED: amounts("6", "4", "0"), "rebilled": amounts("6", "2", "2")},
    ),
    "converted units": (
        {
            "price": price("3"),
            "unit_config": {"operation": "divide", "conversion_factor": "70", "rounding": "ceiling"},
        },
        # 139 are two, 219 four; rebilled, 169 three and 249 four.
        {NOT_BILLED: amounts("6", "6", "0"), "rebilled": amounts("6", "3", "3")},
    ),
    "a volume tier that all usage passes": (
        volume("230"),
        # 219 stay at 10; rebilled, 249 at 5 less 169 at 10.
        {NOT_BILLED: amounts("1390", "800", "0"), "rebilled": amounts("1390", "-445", "300")},
    ),
    "a volume tier that billed usage passes": (
        volume("200"),
        # 219 at 5 less 139 at 10; rebilled, as above.
        {NOT_BILLED: amounts("1390", "-295", "0"), "rebilled": amounts("1390", "-445", "300")},
    ),
}


def company(
    root: Path, card: dict[str, Any], late_usage: Any = NOT_BILLED, usage: Any = USED, **changes: Any
) -> Weeks:
    card = {"feature": "tokens", "billing_cadence": "P4W", **card}
    plan = configuration()["plans"][0] | {"rate_cards": [card]}
    changes = {"subscriptions": configuration()["subscriptions"][:1], **changes}
    terms = BillingSettings(late_usage=late_usage)
    return Weeks(root, usage=usage, catalog=configuration(plans=[plan], **changes), as_of=AFTER, terms=terms)


def late_after(found: Weeks, late: Any = LATE) -> Weeks:
    """The first week is computed and closes; then the late tokens come."""
    found.compute(1, 7)
    found.usage = [*found.usage, late]
    return found


def as_of(found: Weeks, weeks: int) -> Weeks:
    """When so many weeks have closed, computed to the end of the last of them."""
    found.as_of = FIRST + weeks * WEEK + dt.timedelta(days=3)
    return found.compute(1, 7 * weeks)


def paid(found: Weeks) -> list[Decimal]:
    """By week, what is billed of it, and last what corrections are."""
    rows = found.rows()
    corrects = pl.col("x_CorrectedInvoiceId").is_not_null()
    weeks = rows.filter(~corrects).group_by("BillingPeriodStart").agg(pl.col("BilledCost").sum())
    return [*weeks.sort("BillingPeriodStart")["BilledCost"], rows.filter(corrects)["BilledCost"].sum()]


def require_sound(found: Weeks, consumed: int | Decimal) -> None:
    assert found.rows()["ConsumedQuantity"].sum() == consumed
    assert set(found.reconciled().select("difference", "finding").rows()) == {(D(0), None)}
    assert [problem for day in found.lake.days("catalog") for problem in not_kept(found.lake, day)] == []


@EITHER
@pytest.mark.parametrize("of", CARDS)
def test_a_later_week_counts_what_was_billed_of_the_weeks_before(
    tmp_path: Path, of: str, late_usage: str
) -> None:
    card, expected = CARDS[of]
    found = as_of(late_after(company(tmp_path, card, late_usage)), 2)
    assert Amounts(*paid(found)) == expected[late_usage]
    require_sound(found, 249)


@pytest.mark.parametrize("of", ["converted units", "a volume tier that all usage passes"])
def test_the_last_week_of_a_charge_counts_it_too(tmp_path: Path, of: str) -> None:
    """What is charged to its end less what was charged before; of volume tiers nothing else could be told."""
    card, expected = CARDS[of]
    found = as_of(late_after(company(tmp_path, card | {"billing_cadence": "P2W"})), 2)
    assert Amounts(*paid(found)) == expected[NOT_BILLED]
    require_sound(found, 249)


def test_days_of_a_later_week_that_were_computed_before_stay_as_they_are(tmp_path: Path) -> None:
    found = company(tmp_path, {"price": GRADUATED}).compute(1, 10)
    of_second = pl.col("BillingPeriodStart") > FIRST, pl.col("x_CorrectedInvoiceId").is_null()
    before = found.rows().filter(*of_second)
    assert before["BilledCost"].sum() == D("3.79")
    found.usage = [*found.usage, LATE]
    assert periods_closed_otherwise(found.lake, DAYS[7:10], found.close, NOT_BILLED) == set()
    rows = found.compute(1, 10).rows()
    assert rows.filter(*of_second).equals(before)
    assert found.compute(1, 10).rows().equals(rows)
    assert periods_closed_otherwise(found.lake, DAYS[:10], found.close, NOT_BILLED) == set()


def test_days_are_stale_that_counted_what_the_week_before_them_did_not_bill(tmp_path: Path) -> None:
    """At most 200: 31 of the second week's 80 are billed after 169, and 61 after the 139 that are kept."""
    card = {"price": price("1", maximum_amount="200")}
    kept = company(tmp_path / "kept", card).compute(1, 7)
    found = company(tmp_path / "found", card, usage=[*USED, LATE])
    found.as_of = BEFORE
    found.compute(1, 10)
    assert found.rows().filter(pl.col("BillingPeriodStart") > FIRST)["BilledCost"].sum() == 31
    found.as_of = AFTER
    keep_as(found, kept, DAYS[:7])
    assert periods_closed_otherwise(found.lake, DAYS[7:10], found.close, NOT_BILLED) == set(DAYS[7:10])
    found.compute(8, 10)
    assert periods_closed_otherwise(found.lake, DAYS[7:10], found.close, NOT_BILLED) == set()
    assert found.rows().filter(pl.col("BillingPeriodStart") > FIRST)["BilledCost"].sum() == 61


def test_each_week_counts_what_all_before_it_billed_of_the_charge_and_so_does_a_minimum(
    tmp_path: Path,
) -> None:
    """139, 80 and 20 are billed; 61 are left to the minimum of 300 in the fourth week, whatever came late."""
    used = [*USED, (16, "ann", "tokens", "large", "20")]
    found = company(tmp_path, {"price": price("1", minimum_amount="300")}, usage=used)
    as_of(late_after(found), 2)
    found.usage = [*found.usage, (9, "ann", "tokens", "large", "5")]
    as_of(found, 4)
    assert paid(found) == [D(139), D(80), D(20), D(61), D(0)]
    require_sound(found, 274)


def test_parts_within_the_weeks_count_it_too(tmp_path: Path) -> None:
    """At most 250: 139, then 40 until noon of the 10th and 40 after it, and 31 of the third week's 50.

    Of what is after the 10th at noon five come when the second week has closed.
    """
    noon = dt.datetime(2026, 8, 10, 12, tzinfo=dt.UTC)
    used = [
        *USED[:4],
        *((day, "ann", "tokens", "large", n) for day, n in ((9, "40"), (12, "40"), (16, "50"))),
    ]
    ann = configuration()["subscriptions"][0] | {"progressive_billing": [noon]}
    found = company(tmp_path, {"price": price("1", maximum_amount="250")}, usage=used, subscriptions=[ann])
    as_of(late_after(found), 2)
    found.usage = [*found.usage, (12, "ann", "tokens", "large", "5")]
    as_of(found, 3)
    assert paid(found) == [D(139), D(80), D(31), D(0)]
    part = found.rows().filter(pl.col("InvoiceId") == "ann/20260808-20260810T120000Z/USD")
    assert part["BilledCost"].sum() == 40
    require_sound(found, 304)


def test_usage_that_is_taken_back_late_stays_counted(tmp_path: Path) -> None:
    """139 of at most 200 stay billed, so that 61 are left of the 80."""
    late = (2, "ann", "tokens", "large", "-10")
    found = as_of(late_after(company(tmp_path, {"price": price("1", maximum_amount="200")}), late), 2)
    assert paid(found) == [D(139), D(61), D(0)]
    require_sound(found, 209)


def test_a_week_that_an_invoice_of_openmeter_closed_has_billed_none_of_the_charge_yet(tmp_path: Path) -> None:
    """A fee of 5 is all that it bills. All of the charge goes on, and 61 of the 80 are left below the maximum."""
    plan = configuration()["plans"][0]
    fee = {"key": "support", "price": {"type": "flat", "amount": "5"}}
    tokens = {"feature": "tokens", "billing_cadence": "P4W", "price": price("1", maximum_amount="200")}
    of_fee = invoice("1", [("1", "5", "5")], item="support")
    of_fee["lines"][0] |= {"is_fee": True, "metered": None, "feature": None}
    found = company(tmp_path, {})
    found.catalog = configuration(
        plans=[plan | {"rate_cards": [tokens, fee]}], subscriptions=configuration()["subscriptions"][:1]
    )
    found.catalog["invoices"] = [of_fee]
    found.close_after_days = None
    found.compute(1, 10)
    found.compute(1, 10)
    used = found.rows().filter(pl.col("x_FeatureKey") == "tokens").group_by("BillingPeriodStart")
    sums = used.agg(pl.col("BilledCost").sum(), pl.col("x_IsEstimated").all())
    assert sorted(sums.iter_rows()) == [(FIRST, D(139), True), (FIRST + WEEK, D(61), True)]
