"""Usage of an invoiced part that comes late and is never billed moves nothing of what is billed after it.

The company is that of ``test_progressive_billing``: 61 tokens until noon of the 3rd are on an invoice of their own, 78
more follow in the week. Tokens of the 2nd come when the first invoice is issued. Figures are worked out by hand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

import focus_assets.issued_parts
from focus_assets.billing.closed import ClosedDay, closed_on
from focus_assets.billing_stages import closed_period_days, periods_closed_otherwise
from focus_assets.chain import Upstream
from focus_assets.closed_stages import not_kept
from focus_assets.lake import Lake
from focus_assets.settings import BillingSettings
from focus_assets_tests.billing.test_progressive_billing import DAYS, LATE, MIDDLE, MIDWEEK, PART, WEEK, split
from focus_assets_tests.billing.weeks import AFTER, TIERS, Weeks, configuration, price

D = Decimal
NOT_BILLED = "not_billed"
EITHER = pytest.mark.parametrize("late_usage", ["rebilled", NOT_BILLED])


class Amounts(NamedTuple):
    """What Ann pays: for the part, for the rest of the week, and for what came late of the part."""

    part: Decimal
    rest: Decimal
    late: Decimal


def amounts(*texts: str) -> Amounts:
    return Amounts(*map(D, texts))


def company(root: Path, card: dict[str, Any], late_usage: Any = NOT_BILLED, **instants: Any) -> Weeks:
    """Tokens alone are sold, at ``card``."""
    plan = configuration()["plans"][0] | {"rate_cards": [{"feature": "tokens", **card}]}
    found = split(root, MIDWEEK, plans=[plan], subscriptions=configuration()["subscriptions"][:1], **instants)
    found.usage = [each for each in found.usage if each[1:3] == ("ann", "tokens") and each[0] < 8]
    found.terms = BillingSettings(late_usage=late_usage)
    return found


def paid(found: Weeks) -> Amounts:
    rows = found.rows().filter(pl.col("x_CustomerKey") == "ann", pl.col("BillingPeriodStart").dt.day() == 1)
    of_part, late = pl.col("InvoiceId") == PART, pl.col("x_CorrectedInvoiceId").is_not_null()
    which = [of_part.fill_null(False), ~late & ~of_part.fill_null(False), late]
    return Amounts(*(rows.filter(each)["BilledCost"].sum() for each in which))


MAXIMUM = price("1", maximum_amount="100")
AT_ONE = {
    "a maximum": (
        {"price": MAXIMUM},
        # 100 - 61; rebilled, 30 are late and 100 - 91 are left.
        {NOT_BILLED: amounts("61", "39", "0"), "rebilled": amounts("61", "9", "30")},
    ),
    "a percentage and a maximum": (
        {"price": MAXIMUM, "discounts": {"percentage": "20"}},
        # 48.80 are paid of the gross 61, which count; rebilled, 24 of the late 30.
        {NOT_BILLED: amounts("48.80", "39", "0"), "rebilled": amounts("48.80", "9", "24")},
    ),
    "a minimum": (
        {"price": price("1", minimum_amount="200")},
        # 78, and 61 that 139 are short of 200; rebilled, 169 are short of it by 31.
        {NOT_BILLED: amounts("61", "139", "0"), "rebilled": amounts("61", "109", "30")},
    ),
    "graduated tiers": (
        {"price": TIERS},
        # 2.0313 = 2.03 and 0.555 = 0.56; 39 x 0.0333 = 1.2987 = 1.30 and 39 x 0.0123 = 0.4797 = 0.48.
        # Rebilled, 91 are 3.03: 1.00 more. 9 x 0.0333 = 0.2997 = 0.30 and 69 x 0.0123 = 0.8487 = 0.85 follow.
        {NOT_BILLED: amounts("2.59", "1.78", "0"), "rebilled": amounts("2.59", "1.15", "1.00")},
    ),
    "free units": (
        {"price": price("1"), "discounts": {"usage": "100"}},
        # 39 of 100 are left free; rebilled, 9 are.
        {NOT_BILLED: amounts("0", "39", "0"), "rebilled": amounts("0", "69", "0")},
    ),
    "packages": (
        {"price": {"type": "package", "amount": "2", "quantity_per_package": "50"}},
        # 61 open two, 139 a third. Rebilled, 91 are in those two, and 169 open two more.
        {NOT_BILLED: amounts("4", "2", "0"), "rebilled": amounts("4", "4", "0")},
    ),
}


@EITHER
@pytest.mark.parametrize("of", AT_ONE)
def test_the_rest_of_a_period_counts_what_was_billed_of_it(tmp_path: Path, of: str, late_usage: str) -> None:
    card, expected = AT_ONE[of]
    found = company(tmp_path, card, late_usage).compute(1, 3)
    found.usage, found.as_of = [*found.usage, LATE], AFTER
    found.compute(1, 7)
    assert paid(found) == expected[late_usage]
    assert found.rows()["ConsumedQuantity"].sum() == 169
    lines = found.reconciled()
    assert {WEEK} <= set(lines["InvoiceId"]) <= {PART, WEEK}
    assert set(lines.select("difference", "finding").rows()) == {(D(0), None)}


def test_rows_of_the_part_stay_and_computing_the_week_again_changes_nothing(tmp_path: Path) -> None:
    """1.2987 and 0.4797 are rounded when the week closes."""
    found = company(tmp_path, {"price": TIERS}).compute(1, 7)
    before = found.rows().filter(pl.col("InvoiceId") == PART)
    found.usage = [*found.usage, LATE]
    found.compute(1, 7)
    assert paid(found) == amounts("2.59", "1.7784", "0")
    kept = found.rows().filter(pl.col("InvoiceId") == PART)
    assert kept.sort(kept.columns).equals(before.sort(kept.columns))
    found.as_of = AFTER
    rows = found.compute(1, 7).rows()
    assert paid(found) == amounts("2.59", "1.78", "0")
    assert found.compute(1, 7).rows().equals(rows)
    assert [problem for day in DAYS[:7] for problem in not_kept(found.lake, day)] == []


def test_usage_of_a_part_that_is_taken_back_late_stays_billed_and_counted(tmp_path: Path) -> None:
    """61 of at most 100 stay billed, so that 39 are left of the 78."""
    found = company(tmp_path, {"price": MAXIMUM}).compute(1, 3)
    found.usage, found.as_of = [*found.usage, (2, "ann", "tokens", "large", "-10")], AFTER
    found.compute(1, 7)
    assert paid(found) == amounts("61", "39", "0")
    assert found.rows()["ConsumedQuantity"].sum() == 129
    assert set(found.reconciled().select("difference", "finding").rows()) == {(D(0), None)}


def test_each_of_several_parts_counts_what_the_earlier_ones_billed(tmp_path: Path) -> None:
    """At most 150: 61, then 67 until noon of the 5th, and 11 of the 22 that are left; not 150 less 61, 30, 67 and 5."""
    second = dt.datetime(2026, 8, 5, 12, tzinfo=dt.UTC)
    found = company(tmp_path, {"price": price("1", maximum_amount="150")}, at=[MIDDLE, second]).compute(1, 3)
    found.usage, found.as_of = [*found.usage, LATE], dt.datetime(2026, 8, 8, 13, tzinfo=dt.UTC)
    found.compute(1, 5)
    found.usage, found.as_of = [*found.usage, (4, "ann", "tokens", "large", "5")], AFTER
    rows = found.compute(1, 7).rows()
    sums = rows.drop_nulls("InvoiceId").group_by("InvoiceId").agg(pl.col("BilledCost").sum())
    part_two = "ann/20260803T120000Z-20260805T120000Z/USD"
    assert dict(sums.iter_rows()) == {PART: D(61), part_two: D(67), WEEK: D(11)}
    assert rows["ConsumedQuantity"].sum() == 174
    assert set(found.reconciled().select("difference", "finding").rows()) == {(D(0), None)}


def test_what_came_before_the_part_was_issued_is_billed_with_it(tmp_path: Path) -> None:
    """91 of at most 100, so that 9 are left."""
    found = company(tmp_path, {"price": MAXIMUM})
    found.as_of = dt.datetime(2026, 8, 5, tzinfo=dt.UTC)
    found.compute(1, 3)
    found.usage, found.as_of = [*found.usage, LATE], MIDWEEK
    found.compute(1, 7)
    assert paid(found) == amounts("91", "9", "0")


def test_days_come_to_the_same_bytes_in_whatever_order_they_are_computed_again(tmp_path: Path) -> None:
    found = [company(tmp_path / name, {"price": TIERS}).compute(1, 7) for name in ("in order", "in another")]
    for weeks, order in zip(found, [(1, 2, 3, 4, 5, 6, 7), (3, 7, 2, 5, 1, 4, 6)], strict=True):
        weeks.usage = [*weeks.usage, LATE]
        for day in order:
            weeks.compute(day, day)
    # Days that were computed before what they read, the line of the part on the 3rd for one.
    of_changed = found[1].lake.stale_inputs_of("focus_cost_and_usage", DAYS[:7])
    for day in [day.day for day, inputs in of_changed.items() if inputs]:
        found[1].compute(day, day)
    assert digests(found[0], DAYS[:7]) == digests(found[1], DAYS[:7])
    assert paid(found[1]) == amounts("2.59", "1.7784", "0")


def digests(found: Weeks, days: Sequence[dt.date]) -> list[str]:
    records = [found.lake.record("focus_cost_and_usage", day) for day in days]
    return [record.sha256 for record in records if record is not None]


def keep_as(found: Weeks, kept: Weeks, days: Sequence[dt.date]) -> None:
    """Close ``days`` of a lake as another one has computed them, of usage that they had then."""
    for day in days:
        record = kept.lake.record("focus_cost_and_usage", day)
        assert record is not None
        rows = kept.lake.scan("focus_cost_and_usage", [day])
        found.lake.write(
            "focus_cost_and_usage", day, rows, inputs=record.inputs, facts=lambda _, of=record: of.facts
        )
        focus, catalog = (Upstream(found.lake, name, [day]) for name in ("focus_cost_and_usage", "catalog"))
        list(closed_period_days(focus, catalog, found.close))


def test_days_are_stale_that_counted_otherwise_than_the_part_before_them_is_kept(tmp_path: Path) -> None:
    """They counted 91. What is kept of the part then was computed when it was 61.

    Of at most 140 nothing is left for the 7th after 91 and 67; after 61 and 67 its 11 are.
    """
    card = {"price": price("1", maximum_amount="140")}
    issued = company(tmp_path / "issued", card).compute(1, 3)
    found = company(tmp_path / "found", card)
    found.usage, found.as_of = [*found.usage, LATE], dt.datetime(2026, 8, 5, tzinfo=dt.UTC)
    found.compute(1, 7)
    found.as_of = MIDWEEK
    assert periods_closed_otherwise(found.lake, DAYS[3:7], found.close, NOT_BILLED) == set()
    keep_as(found, issued, DAYS[:3])
    assert periods_closed_otherwise(found.lake, DAYS[3:7], found.close, NOT_BILLED) == set(DAYS[3:7])
    found.compute(4, 7)
    assert periods_closed_otherwise(found.lake, DAYS[3:7], found.close, NOT_BILLED) == set()
    assert found.rows().filter(pl.col("ChargePeriodStart").dt.day() > 3)["BilledCost"].sum() == D(11)


def test_kept_rows_are_read_only_of_days_that_can_differ_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 1.00 the late tokens change rows of the 2nd alone. The 3rd, when it is computed, has not been computed since.

    Each day from the 3rd on asks for the kept rows of all three days of the part: 15 times in all.
    """
    found = company(tmp_path, {"price": price("1")}).compute(1, 7)
    read: list[dt.date] = []

    @contextmanager
    def counted(lake: Lake, day: dt.date) -> Iterator[ClosedDay]:
        read.append(day)
        with closed_on(lake, day) as closed:
            yield closed

    monkeypatch.setattr(focus_assets.issued_parts, "closed_on", counted)
    found.compute(4, 7, anew=True)
    assert read == []
    found.usage = [*found.usage, LATE]
    found.compute(1, 7, anew=True)
    assert read == [DAYS[1], DAYS[2], *[DAYS[1]] * 4]
    assert paid(found) == amounts("61", "78", "0")
