"""Late usage that nobody bills takes nothing of a credit: what is invoiced keeps what it was paid, others get the rest.

Tokens cost 1.00. 61 until noon of the 3rd are on an invoice of their own, 67 and 11 follow in the week. 30 of the 2nd
come when that invoice is issued.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.stage_controls import credits_not_overdrawn
from focus_assets_tests.billing.test_late_usage_of_parts import NOT_BILLED, Amounts, amounts, company, paid
from focus_assets_tests.billing.test_progressive_billing import DAYS, HOUR, LATE, MIDDLE
from focus_assets_tests.billing.weeks import AFTER, Weeks, price

D = Decimal
BEGINS = "2026-08-01T00:00:00Z"
AT_ONE = {"price": price("1")}
FEE = {"key": "platform", "price": {"type": "flat", "amount": "70"}}
"""For five days of seven 50."""


def grant(**changes: Any) -> dict[str, Any]:
    return {"customer": "ann", "key": "gift", "amount": "100", "effective_at": BEGINS, **changes}


def late(root: Path, late_usage: str, *grants: dict[str, Any], **changes: Any) -> Weeks:
    """Until the week is over."""
    found = company(root, AT_ONE, late_usage, credits=list(grants), **changes).compute(1, 3)
    found.usage, found.as_of = [*found.usage, LATE], AFTER
    return found.compute(1, 7)


def require_sound(found: Weeks) -> None:
    assert [day for day in DAYS[:7] if not credits_not_overdrawn(found.lake, day).is_empty()] == []
    assert set(found.reconciled().select("difference", "finding").rows()) == {(D(0), None)}
    rows = found.rows()
    assert found.compute(1, 7).rows().equals(rows)


@pytest.mark.parametrize(
    ("late_usage", "expected"),
    [
        # 61 of the 100 are gone with the part, so that 39 pay for the 78.
        (NOT_BILLED, amounts("0", "39", "0")),
        # The late 30 are paid too, and 9 of the 78.
        ("rebilled", amounts("0", "69", "0")),
    ],
)
def test_a_gift_pays_what_is_billed(tmp_path: Path, late_usage: str, expected: Amounts) -> None:
    found = late(tmp_path, late_usage, grant())
    assert paid(found) == expected
    given = found.rows().filter(pl.col("ChargeCategory") == "Credit")
    assert given["BilledCost"].sum() == -100
    assert found.rows()["ConsumedQuantity"].sum() == 169
    require_sound(found)


@pytest.mark.parametrize(
    ("late_usage", "rest", "expected"),
    [
        # Of the 150, 61 and 78 are used, and 11 are lost on the 7th.
        (NOT_BILLED, "150", {"usage": D(139), "credit_expiry": D(11)}),
        # Of 169 that are used 150 are paid.
        ("rebilled", "169", {"usage": D(169)}),
    ],
)
def test_credit_that_was_bought_pays_what_is_billed_and_the_rest_of_it_expires(
    tmp_path: Path, late_usage: str, rest: str, expected: dict[str, Decimal]
) -> None:
    """The 150 that it costs are billed with the invoice of the week."""
    bought = grant(key="pack", amount="150", funding_method="invoice", expires_at="2026-08-08T00:00:00Z")
    found = late(tmp_path, late_usage, bought)
    assert paid(found) == amounts("0", rest, "0")
    effective = found.rows().group_by("x_PriceComponent").agg(pl.col("EffectiveCost").sum())
    assert {name: cost for name, cost in effective.iter_rows() if cost} == expected
    require_sound(found)


def test_what_is_taken_back_late_of_the_part_gives_no_credit_back(tmp_path: Path) -> None:
    """All 61 stay invoiced and paid: 39 of the gift are left for the 78."""
    found = company(tmp_path, AT_ONE, NOT_BILLED, credits=[grant()]).compute(1, 3)
    found.usage, found.as_of = [*found.usage, (2, "ann", "tokens", "large", "-10")], AFTER
    found.compute(1, 7)
    assert paid(found) == amounts("0", "39", "0")
    assert found.rows()["ConsumedQuantity"].sum() == 129
    require_sound(found)


def test_others_of_the_day_on_which_a_part_ends_draw_on_what_the_part_left(tmp_path: Path) -> None:
    """The part holds 61 and 67 until 13:00 of the 3rd, 128 of 170 that were given. Ten of the 3rd come late.

    The fee of 50 is due that day and on the invoice of the week: 42 are left for it, so that 8 of it and the 11 tokens
    of the 7th are billed. Were the ten paid, it would be 18 of the fee.
    """
    plans = company(tmp_path / "plan", AT_ONE).catalog["plans"]
    fees = {"key": "fees", "billing_cadence": "P1W", "rate_cards": [FEE]}
    ann = {"customer": "ann", "plan": "basic", "active_from": BEGINS, "progressive_billing": [MIDDLE + HOUR]}
    since = {
        "customer": "ann",
        "plan": "fees",
        "active_from": "2026-08-03T00:00:00Z",
        "billing_anchor": BEGINS,
    }
    found = company(tmp_path, AT_ONE, NOT_BILLED, credits=[grant(amount="170")])
    found.catalog = {**found.catalog, "plans": [*plans, fees], "subscriptions": [ann, since]}
    found.compute(1, 3)
    found.usage, found.as_of = [*found.usage, (3, "ann", "tokens", "large", "10")], AFTER
    rows = found.compute(1, 7).rows()
    sums = rows.group_by("x_ChargeId").agg(pl.col("BilledCost").sum())
    assert sorted(sums.iter_rows()) == [
        ("ann/basic/tokens/20260801T000000Z", D(11)),
        ("ann/fees/platform/20260803T000000Z", D(8)),
    ]
    require_sound(found)


def test_late_usage_of_a_closed_week_leaves_the_gift_to_the_week_after(tmp_path: Path) -> None:
    """139 of 180 are paid for the first week. 30 more of it are not billed, and 41 are left for 50 of the 9th."""
    found = company(tmp_path, AT_ONE, NOT_BILLED, credits=[grant(amount="180")])
    found.as_of = AFTER
    found.compute(1, 8)
    found.usage = [*found.usage, LATE, (9, "ann", "tokens", "large", "50")]
    found.compute(1, 9)
    of_9th = found.rows().filter(pl.col("ChargePeriodStart") == dt.datetime(2026, 8, 9, tzinfo=dt.UTC))
    assert of_9th["BilledCost"].sum() == 9
    assert found.rows()["BilledCost"].sum() == 9
