"""A price that changes in the middle of a billing period, where its charge is invoiced in parts or goes on longer.

Days before the change do not know of it: what they say of lines and invoices has to be what the last day settles. Ann
uses 61 tokens on the 1st, 67 on the 3rd at noon and 11 on the 7th, at 1.0051 and from the change on at 2.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.billing_stages import reconciled_month
from focus_assets.closed_stages import not_kept
from focus_assets_tests.billing.test_progressive_billing import DAYS, MIDDLE, PART, WEEK, billed
from focus_assets_tests.billing.weeks import AFTER, Weeks, configuration, price

D = Decimal
SIXTH = dt.datetime(2026, 8, 6, tzinfo=dt.UTC)
SECOND_PART = "ann/20260803T120000Z-20260806/USD"
OPEN = dt.datetime(2026, 8, 10, tzinfo=dt.UTC)
"""Both invoices in the middle are issued; the week is open."""


def company(
    root: Path, changes_at: str, instants: list[dt.datetime], as_of: dt.datetime, **card: Any
) -> Weeks:
    versions = [
        {"feature": "tokens", "price": price("1.0051", **card.get("limits", {})), **card.get("terms", {})},
        {"feature": "tokens", "price": price("2"), "valid_from": changes_at, **card.get("terms", {})},
    ]
    plan = configuration()["plans"][0] | {"rate_cards": versions}
    ann = configuration()["subscriptions"][0] | {"progressive_billing": instants}
    found = Weeks(root, catalog=configuration(plans=[plan], subscriptions=[ann]), as_of=as_of)
    found.usage = [each for each in found.usage if each[1:3] == ("ann", "tokens") and each[0] < 8]
    return found.compute()


def require_settled(found: Weeks) -> None:
    lines, _ = reconciled_month(found.lake, "2026-08")
    assert not lines.is_empty()
    assert set(lines.select("difference", "finding").rows()) == {(D(0), None)}
    assert [problem for day in DAYS for problem in not_kept(found.lake, day)] == []
    key = ("InvoiceId", "InvoiceDetailId")
    rows = found.rows().filter(pl.col("InvoiceId").is_not_null())
    charged = rows.group_by(key).agg(pl.col("BilledCost").sum()).sort(key)
    assert charged.rows() == found.rows("focus_invoice_detail").select(*key, "BilledCost").sort(key).rows()


@pytest.mark.parametrize("as_of", [OPEN, AFTER], ids=["open", "closed"])
@pytest.mark.parametrize(
    ("changes_at", "expected"),
    [
        # 61 are 61.3111. The 67 of the part that ends with the price are 67.3417; 22 follow.
        ("2026-08-04T00:00:00Z", {PART: "61.31", SECOND_PART: "67.34", WEEK: "22"}),
        # All of the first price is on the first invoice: there is no instant within it.
        ("2026-08-02T00:00:00Z", {PART: "61.31", SECOND_PART: "134", WEEK: "22"}),
        # The rest of the first price is in the week's last part.
        ("2026-08-06T12:00:00Z", {PART: "61.31", SECOND_PART: "67.34", WEEK: "22"}),
    ],
)
def test_what_a_price_was_for_until_it_changed_is_on_the_next_invoice(
    tmp_path: Path, changes_at: str, expected: dict[str, str], as_of: dt.datetime
) -> None:
    found = company(tmp_path, changes_at, [MIDDLE, SIXTH], as_of)
    issued = {name: D(cost) for name, cost in expected.items() if name != WEEK or as_of == AFTER}
    assert {name: cost for name, cost in billed(found).items() if name} == issued
    require_settled(found)


@pytest.mark.parametrize("as_of", [OPEN, AFTER], ids=["open", "closed"])
def test_its_minimum_is_on_that_invoice(tmp_path: Path, as_of: dt.datetime) -> None:
    """Of at least 150 are 128.65 billed: 61.31 and 67.34; the rest is 21.35 beside the latter."""
    limits = {"limits": {"minimum_amount": "150"}}
    found = company(tmp_path, "2026-08-04T00:00:00Z", [MIDDLE, SIXTH], as_of, **limits)
    assert billed(found)[PART] == D("61.31")
    assert billed(found)[SECOND_PART] == D("88.69")
    require_settled(found)


def test_a_charge_of_several_billing_periods_that_ends_in_its_first_is_one_line_there(tmp_path: Path) -> None:
    """128 are 128.6528, then 11 at 2."""
    terms = {"terms": {"billing_cadence": "P4W"}}
    found = company(tmp_path, "2026-08-05T00:00:00Z", [], AFTER, **terms)
    assert billed(found)[WEEK] == D("150.65")
    require_settled(found)
