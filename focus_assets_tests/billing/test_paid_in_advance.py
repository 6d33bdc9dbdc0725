"""Bought credit of ``focus.yaml`` beside imported invoices that state it as credit of their lines.

139 tokens of Ann's first week are 3.33, 0.56 and 0.48, together 4.37; their rows 3.33, 0.56, for a fee is rounded where
it stands, and 0.4797. Figures are made by hand.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets_tests.billing.test_issued_after_close import ONLY_ANN
from focus_assets_tests.billing.test_late_usage_of_invoices import TIERS, USED, invoice
from focus_assets_tests.billing.test_late_usage_of_invoices import weeks as invoiced
from focus_assets_tests.billing.weeks import Weeks, configuration, price

D = Decimal
USED_IN_ALL = D("4.3697")
SINCE = {"customer": "ann", "effective_at": "2026-08-01T00:00:00Z"}


def pack(amount: str, **changes: Any) -> dict[str, Any]:
    return {**SINCE, "key": "pack", "amount": amount, "funding_method": "invoice", **changes}


def gift(amount: str, **changes: Any) -> dict[str, Any]:
    return {**SINCE, "key": "gift", "amount": amount, **changes}


def less(credits: str, made: dict[str, Any] | None = None) -> dict[str, Any]:
    """The invoice of the week, of which credit paid this much."""
    made = made or invoice("139", TIERS)
    [line] = made["lines"]
    return made | {"lines": [line | {"credits": credits}], "total": line["net"] - D(credits)}


def weeks(root: Path, made: dict[str, Any], *grants: dict[str, Any], **catalog: Any) -> Weeks:
    return invoiced(root, made, usage=USED, credits=list(grants), **{**ONLY_ANN, **catalog}).compute(1, 8)


def details(found: Weeks) -> dict[str, Decimal]:
    stated = found.rows("focus_invoice_detail").filter(pl.col("InvoiceId") == "ANN-01")
    return dict(stated.select("InvoiceDetailId", "BilledCost").iter_rows())


def of_invoice(found: Weeks) -> pl.DataFrame:
    return found.rows().filter(pl.col("InvoiceId") == "ANN-01")


def by_detail(found: Weeks) -> dict[str, Decimal]:
    sums = of_invoice(found).group_by("InvoiceDetailId").agg(pl.col("BilledCost").sum())
    return dict(sums.iter_rows())


def adjusted(found: Weeks) -> list[tuple[str, str, Decimal]]:
    rows = of_invoice(found).filter(pl.col("ChargeCategory") == "Adjustment")
    return sorted(rows.select("InvoiceDetailId", "x_AdjustmentReason", "BilledCost").rows())


def findings(found: Weeks) -> list[Any]:
    lines = found.reconciled().filter(pl.col("InvoiceId") == "ANN-01")
    assert not lines.is_empty()
    return [each for each in lines.select("difference", "finding").rows() if each != (D(0), None)]


def effective(found: Weeks) -> Decimal:
    """Of the tokens, rounding aside."""
    rows = of_invoice(found).filter(pl.col("x_PriceComponent") != "rounding")
    return rows["EffectiveCost"].sum()


def test_a_line_that_bought_credit_pays_in_full_has_nothing_to_pay_and_nothing_unexplained(
    tmp_path: Path,
) -> None:
    found = weeks(tmp_path, less("4.37"), pack("100"))
    assert findings(found) == []
    assert adjusted(found) == []
    assert by_detail(found) == details(found) == {f"ANN-01/{n}": D(0) for n in range(3)}
    assert effective(found) == USED_IN_ALL
    assert of_invoice(found).filter(pl.col("ChargeCategory") == "Credit").is_empty()


def test_what_is_left_of_a_line_is_what_its_invoice_asks_for_to_the_cent(tmp_path: Path) -> None:
    """2.505 are 2.51 of credit; 1.86 are left, 1.8647 in the rows: 1.385 of the first tier and 0.4797 of the second."""
    found = weeks(tmp_path, less("2.51"), pack("2.505"))
    assert findings(found) == []
    assert sum(by_detail(found).values()) == D("1.86")
    assert by_detail(found) == details(found)
    assert by_detail(found)["ANN-01/2"] == D("0.48")
    assert {reason for _, reason, _ in adjusted(found)} == {"rounding"}
    assert effective(found) == USED_IN_ALL


@pytest.mark.parametrize(
    ("bought", "stated"),
    # Left are 4.2697, 0.0597, 0.005, 4.3647 and 1.0367 in the rows, which are 4.27, 0.06, 0.01, 4.36 and 1.04 to pay.
    [("0.10", "0.10"), ("4.31", "4.31"), ("4.3647", "4.36"), ("0.005", "0.01"), ("3.333", "3.33")],
)
def test_half_cents_of_credit_are_rounding_of_the_line(tmp_path: Path, bought: str, stated: str) -> None:
    found = weeks(tmp_path, less(stated), pack(bought))
    assert findings(found) == []
    assert sum(by_detail(found).values()) == D("4.37") - D(stated)
    assert by_detail(found) == details(found)
    assert {reason for _, reason, _ in adjusted(found)} <= {"rounding"}
    assert effective(found) == USED_IN_ALL


def test_gifts_and_bought_credit_of_one_line_are_told_apart(tmp_path: Path) -> None:
    """The gift pays 1.111 first and is a Credit of 1.11, rounded; what was bought pays 2, which nobody bills again."""
    found = weeks(tmp_path, less("3.11"), gift("1.111", priority=1), pack("2"))
    assert findings(found) == []
    sums = by_detail(found)
    assert sums["line-ANN-01/credit"] == D("-1.11")
    assert sum(sums.values()) == D("1.26")
    assert sums == details(found)
    given = of_invoice(found).filter(pl.col("ChargeCategory") == "Credit")
    assert given["BilledCost"].sum() == D("-1.111")


@pytest.mark.parametrize(("stated", "difference"), [("3", "-1"), ("0", "2"), ("1.5", "0.5")])
def test_what_an_invoice_says_otherwise_is_unexplained(tmp_path: Path, stated: str, difference: str) -> None:
    """The settings say that 2 were bought and used."""
    found = weeks(tmp_path, less(stated), pack("2"))
    told = "usage and prices do not explain the line of OpenMeter's invoice"
    assert {finding for _, finding in findings(found)} == {told}
    assert sum(D(amount) for amount, _ in findings(found)) == -D(difference)
    of_reason = [cost for _, reason, cost in adjusted(found) if reason == "unexplained"]
    assert sum(of_reason) == D(difference)
    assert sum(by_detail(found).values()) == D("4.37") - D(stated)


def test_a_line_below_a_maximum_is_paid_as_a_whole(tmp_path: Path) -> None:
    """139 at 1.0005, at most 100: 40 were bought, 60 are left."""
    sold = [{"feature": "tokens", "price": price("1.0005", maximum_amount="100")}]
    plans = [configuration()["plans"][0] | {"rate_cards": sold}]
    made = less("40", invoice("139", [("139", "1.0005", "100")]))
    found = weeks(tmp_path, made, pack("40"), plans=plans)
    assert findings(found) == []
    assert sum(by_detail(found).values()) == 60
    assert adjusted(found) == []
    assert by_detail(found) == details(found)


def test_a_fee_that_bought_credit_pays_in_part(tmp_path: Path) -> None:
    """7.777 are 7.78; 3.335 were bought, 3.34 by the invoice: 4.44 are left, and 4.445 in the row."""
    sold = [{"key": "platform", "price": {"type": "flat", "amount": "7.777"}}]
    plans = [configuration()["plans"][0] | {"rate_cards": sold}]
    made = invoice("139", [("1", "7.777", "7.78")], item="platform")
    [line] = made["lines"]
    made |= {"lines": [line | {"is_fee": True, "metered": None, "feature": None}]}
    found = weeks(tmp_path, less("3.34", made), pack("3.335"), plans=plans)
    assert findings(found) == []
    assert sum(by_detail(found).values()) == D("4.44")
    assert by_detail(found) == details(found)
    assert effective(found) == D("7.78")


def test_tax_is_of_what_is_left_and_of_what_is_effective(tmp_path: Path) -> None:
    """A tenth of 2.37 is 0.24; of the 4.37 that are used 0.44."""
    made = less("2")
    made = made | {"lines": [made["lines"][0] | {"tax": "0.24"}], "total": D("2.61"), "tax": "0.24"}
    found = weeks(tmp_path, made, pack("2"))
    assert findings(found) == []
    tax = of_invoice(found).filter(pl.col("ChargeCategory") == "Tax").row(0, named=True)
    assert (tax["BilledCost"], tax["EffectiveCost"]) == (D("0.24"), D("0.44"))


def test_computing_the_days_again_changes_nothing(tmp_path: Path) -> None:
    found = weeks(tmp_path, less("2.51"), pack("2.505"))
    rows = found.rows()
    assert found.compute(1, 8, anew=True).rows().equals(rows)


def test_credit_in_a_custom_currency_is_worth_what_its_prices_are(tmp_path: Path) -> None:
    """139 tokens at half a point, 69.5 points at 0.02 = 1.39; 30 points that cost 0.015 each pay 0.60 of it."""
    points = [{"code": "POINTS", "cost_bases": [{"fiat_code": "USD", "rate": "0.02"}]}]
    sold = [{"feature": "tokens", "price": price("0.5")}]
    plans = [configuration()["plans"][0] | {"rate_cards": sold, "currency": "POINTS"}]
    bought = pack("30", currency="POINTS", purchase={"per_unit_cost_basis": "0.015"})
    made = less("0.60", invoice("139", [("139", "0.01", "1.39")]))
    found = weeks(tmp_path, made, bought, plans=plans, custom_currencies=points)
    assert findings(found) == []
    assert sum(by_detail(found).values()) == D("0.79")
    assert by_detail(found) == details(found)
    # Shares of a row have twelve places.
    assert all(reason == "rounding" and abs(cost) < D("1e-12") for _, reason, cost in adjusted(found))
    assert effective(found) == D("0.79") + D("0.45") + D("3e-14")
