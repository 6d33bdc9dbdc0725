"""Credit of ``focus.yaml`` that an invoice of several lines states on other lines than days used it on.

Ann's tokens of the week come to 3.33, 0.56 and 0.48, together 4.37, and her 41 requests at 0.0107 to 0.4387, on the
invoice 0.44. Requests of the 2nd are used after the 61 tokens of the 1st, 2.0313 and the fee of 0.555, and before the
others. Figures are made by hand.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets_tests.billing.test_issued_after_close import ONLY_ANN, REQUESTS
from focus_assets_tests.billing.test_late_usage_of_invoices import TIERS, USED, invoice
from focus_assets_tests.billing.test_late_usage_of_invoices import weeks as invoiced
from focus_assets_tests.billing.test_paid_in_advance import adjusted, findings, gift, of_invoice, pack
from focus_assets_tests.billing.weeks import Weeks, configuration, price

D = Decimal


def made(tokens: str, requests: str, charged: str) -> dict[str, Any]:
    """One invoice of both, with the credit that each line states."""
    whole = invoice("139", TIERS)
    other = invoice("41", [("41", "0.0107", charged)], item="requests", number="OTHER")
    lines = [whole["lines"][0] | {"credits": tokens}, other["lines"][0] | {"credits": requests}]
    return whole | {"lines": lines, "total": D("4.37") + D(charged) - D(tokens) - D(requests)}


def weeks(root: Path, tokens: str, requests: str, *grants: dict[str, Any], charged: str = "0.44") -> Weeks:
    sold = [*configuration()["plans"][0]["rate_cards"][:1], {"feature": "requests", "price": price("0.0107")}]
    plans = [configuration()["plans"][0] | {"rate_cards": sold}]
    usage = (*USED, *REQUESTS)
    found = invoiced(
        root, made(tokens, requests, charged), usage=usage, credits=list(grants), plans=plans, **ONLY_ANN
    )
    return found.compute(1, 8)


def total(found: Weeks) -> Decimal:
    return of_invoice(found)["BilledCost"].sum()


@pytest.mark.parametrize("grant", [gift, pack])
@pytest.mark.parametrize(
    ("tokens", "requests"),
    # 2.5913 of the tokens and 0.3531 of the requests are used on the 1st and 2nd; 0.0556 of the tokens are left of 3.
    [("3", "0"), ("2.56", "0.44"), ("2.65", "0.35")],
)
def test_an_invoice_may_spread_credit_otherwise(
    tmp_path: Path, grant: Any, tokens: str, requests: str
) -> None:
    found = weeks(tmp_path, tokens, requests, grant("3"))
    assert findings(found) == []
    assert total(found) == D("1.81")
    reasons = {reason for _, reason, _ in adjusted(found)}
    assert reasons <= {"rounding", "credit_allocation"}
    assert ("credit_allocation" in reasons) == (requests != "0.35")
    sums = of_invoice(found).filter(pl.col("ChargeCategory") != "Tax").group_by("x_FeatureKey")
    asked = dict(sums.agg(pl.col("BilledCost").sum()).iter_rows())
    assert asked == {"tokens": D("4.37") - D(tokens), "requests": D("0.44") - D(requests)}


@pytest.mark.parametrize("grant", [gift, pack])
@pytest.mark.parametrize(("tokens", "requests"), [("3.20", "0"), ("2", "0.44"), ("0", "0")])
def test_an_invoice_that_states_another_credit_in_all_is_wrong(
    tmp_path: Path, grant: Any, tokens: str, requests: str
) -> None:
    found = weeks(tmp_path, tokens, requests, grant("3"))
    told = "the credit that its lines state in all is not what the settings pay of them"
    [(difference, finding)] = findings(found)
    assert finding == told
    assert abs(difference - (D(tokens) + D(requests) - 3)) < D("0.01")
    assert total(found) == D("4.81") - D(tokens) - D(requests)


def test_a_price_that_does_not_explain_a_line_is_not_taken_for_credit(tmp_path: Path) -> None:
    """41 requests are 0.44, and 0.60 on the line."""
    found = weeks(tmp_path, "3", "0", gift("3"), charged="0.60")
    wrong = {finding for _, finding in findings(found)}
    assert "usage and prices do not explain the line of OpenMeter's invoice" in wrong
    assert total(found) == D("1.97")
