"""Limits of a charge that is invoiced in several lines count what these stated: rounded amounts, as OpenMeter does.

20 tokens of the first two tiers are 0.005 and 0.005, and their fees 0.555 and 0.555: on an invoice 0.01, 0.01, 0.56
and 0.56, so 1.14, where the exact amounts are 1.12. A token above 20 costs 1.00. Figures are worked out by hand.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets_tests.billing.test_late_usage_of_invoices import FIRST, NEXT, billed, invoice
from focus_assets_tests.billing.weeks import AFTER, Weeks, configuration

D = Decimal
MIDDLE = dt.datetime(2026, 8, 3, 12, tzinfo=dt.UTC)
PRICE = {
    "type": "tiered",
    "mode": "graduated",
    "tiers": [
        {"up_to_amount": "10", "unit_price": "0.0005", "flat_price": "0.555"},
        {"up_to_amount": "20", "unit_price": "0.0005", "flat_price": "0.555"},
        {"unit_price": "1"},
    ],
}
LIMITS = {"maximum_amount": "100", "minimum_amount": "5"}
"""With each the later usage: 100 pass the 40, 5 stay below it."""


def company(root: Path, limit: str, cadence: str, later: int, **subscribed: Any) -> Weeks:
    card = {"feature": "tokens", "price": PRICE | {limit: "40"}, "billing_cadence": cadence}
    plan = configuration()["plans"][0] | {"rate_cards": [card]}
    ann = configuration()["subscriptions"][0] | subscribed
    used = ((1, "ann", "tokens", "large", "20"), (later, "ann", "tokens", "large", LIMITS[limit]))
    return Weeks(root, usage=used, catalog=configuration(plans=[plan], subscriptions=[ann]))


def findings(found: Weeks) -> set[Any]:
    return set(found.reconciled().select("difference", "finding").rows())


def billed_of_two_weeks(found: Weeks) -> dict[str, Decimal]:
    """By invoice, when both weeks have closed."""
    found.as_of = AFTER + dt.timedelta(days=7)
    return billed(found.compute(1, 14).rows())


@pytest.mark.parametrize("limit", LIMITS)
def test_two_parts_of_a_period_come_to_the_limit_to_the_cent(tmp_path: Path, limit: str) -> None:
    """40 - 1.14 = 38.86: below the maximum what is left of it, and 5 and a top-up of 33.86 to the minimum."""
    found = company(tmp_path, limit, "P1W", 5, progressive_billing=[MIDDLE]).compute(1, 7)
    assert billed(found.rows()) == {
        "ann/20260801-20260803T120000Z/USD": D("1.14"),
        "ann/20260801-20260808/USD": D("38.86"),
    }
    assert findings(found) == {(D(0), None)}


@pytest.mark.parametrize("limit", LIMITS)
def test_two_weeks_of_a_charge_come_to_the_limit_to_the_cent(tmp_path: Path, limit: str) -> None:
    """As rating both weeks at once does, which is 40.00."""
    found = company(tmp_path, limit, "P2W", 9)
    assert billed_of_two_weeks(found) == {
        "ann/20260801-20260808/USD": D("1.14"),
        "ann/20260808-20260815/USD": D("38.86"),
    }
    assert findings(found) == {(D(0), None)}


def test_a_percentage_is_taken_off_the_rounded_amounts_of_earlier_weeks(tmp_path: Path) -> None:
    """Less 10 percent 0.56, 0.56, 0.01 and 0.01 are 0.50, 0.50, 0.01 and 0.01; exactly they would be 1.008."""
    found = company(tmp_path, "maximum_amount", "P2W", 9)
    found.catalog["plans"][0]["rate_cards"][0]["discounts"] = {"percentage": "10"}
    assert billed_of_two_weeks(found) == {
        "ann/20260801-20260808/USD": D("1.02"),
        "ann/20260808-20260815/USD": D("38.98"),
    }
    assert findings(found) == {(D(0), None)}


def test_openmeters_second_invoice_is_explained_by_the_rounded_first(tmp_path: Path) -> None:
    found = company(tmp_path, "maximum_amount", "P1W", 5)
    details = [
        ("10", "0.0005", "0.01"),
        ("1", "0.555", "0.56"),
        ("10", "0.0005", "0.01"),
        ("1", "0.555", "0.56"),
    ]
    found.catalog["invoices"] = [
        invoice("20", details, (FIRST, MIDDLE), "0"),
        invoice("100", [("100", "1", "38.86")], (MIDDLE, NEXT), "20"),
    ]
    found.close_after_days = None
    rows = found.compute(1, 7).rows()
    assert billed(rows) == {"ANN-01": D("1.14"), "ANN-03": D("38.86")}
    assert findings(found) == {(D(0), None)}
    assert set(rows.filter(pl.col("ChargeCategory") == "Adjustment")["x_AdjustmentReason"]) == {"rounding"}


def test_a_line_that_books_the_difference_is_explained_by_what_was_rounded_twice(tmp_path: Path) -> None:
    """At 0.005 a token the first is 0.005 = 0.01; 2.98 are 0.0149 = 0.01 too, so that nothing is left to book."""
    found = company(tmp_path, "maximum_amount", "P1W", 5)
    card = {"feature": "tokens", "price": {"type": "unit", "amount": "0.005"}}
    found.catalog["plans"][0]["rate_cards"] = [card]
    found.usage = [(1, "ann", "tokens", "large", "1"), (5, "ann", "tokens", "large", "1.98")]
    found.catalog["invoices"] = [
        invoice("1", [("1", "0.005", "0.01")], (FIRST, MIDDLE)),
        invoice("1.98", [("1.98", "0.005", "0")], (MIDDLE, NEXT)),
    ]
    found.close_after_days = None
    assert billed(found.compute(1, 7).rows()) == {"ANN-01": D("0.01"), "ANN-03": D(0)}
    assert findings(found) == {(D(0), None)}
