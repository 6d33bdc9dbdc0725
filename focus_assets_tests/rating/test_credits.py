"""Drawing credits down: order, limits, giving back, and days that add up to the whole period."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_assets.decimals import COST
from focus_assets.rating.credits import BILLED, GRANTS, PAYABLE, USED, draw_down
from focus_assets.rating.detailed_lines.credits import credits_applied

EXAMPLES = int(os.environ.get("FOCUS_ASSETS_EXAMPLES", "60"))
Line = tuple[str, str | None, str]
"""(charge, feature, cost)"""


def grant(name: str, amount: str, rank: int = 0, *features: str, customer: str = "acme") -> tuple[Any, ...]:
    return name, customer, "USD", rank, Decimal(amount), list(features), True


def paid(
    lines: Sequence[Line],
    grants: Iterable[tuple[Any, ...]],
    used: dict[tuple[str, str], str] | None = None,
    billed: dict[str, str] | None = None,
    customer: str = "acme",
) -> list[tuple[int, str, str]]:
    """(line, grant, amount) of a day."""
    payable = [
        (n, customer, "USD", charge, feature, Decimal(cost))
        for n, (charge, feature, cost) in enumerate(lines)
    ]
    found = draw_down(
        pl.DataFrame(payable, schema=PAYABLE, orient="row"),
        pl.DataFrame(list(grants), schema=GRANTS, orient="row"),
        pl.DataFrame([(*key, Decimal(v)) for key, v in (used or {}).items()], schema=USED, orient="row"),
        pl.DataFrame([(k, Decimal(v)) for k, v in (billed or {}).items()], schema=BILLED, orient="row"),
    )
    return [(line, name, f"{amount.normalize():f}") for line, name, _, amount in found.iter_rows()]


def test_grants_pay_in_their_order_and_lines_in_theirs() -> None:
    lines = [("a", None, "4"), ("b", None, "5"), ("c", None, "6")]
    assert paid(lines, [grant("first", "6", 0), grant("second", "100", 1)]) == [
        (0, "first", "4"),
        (1, "first", "2"),
        (1, "second", "3"),
        (2, "second", "6"),
    ]


def test_what_was_used_before_is_no_longer_there() -> None:
    used = {("first", "a"): "4", ("first", "z"): "1.5"}
    assert paid([("a", None, "4")], [grant("first", "6")], used) == [(0, "first", "0.5")]
    assert paid([("a", None, "4")], [grant("first", "5.5")], used) == []


def test_a_grant_of_some_features_leaves_the_others_to_the_next() -> None:
    lines = [("a", "chat", "4"), ("b", "seats", "5"), ("c", None, "6")]
    assert paid(lines, [grant("seats only", "7", 0, "seats"), grant("any", "7", 1)]) == [
        (0, "any", "4"),
        (1, "seats only", "5"),
        (2, "any", "3"),
    ]


def test_nobody_pays_with_anothers_credit() -> None:
    assert paid([("a", None, "4")], [grant("theirs", "9", customer="globex")]) == []


def test_lines_below_zero_take_off_what_the_day_can_be_paid() -> None:
    lines = [("a", None, "-150"), ("a", None, "80"), ("a", None, "90"), ("b", None, "3")]
    assert paid(lines, [grant("first", "1000")]) == [(1, "first", "20"), (3, "first", "3")]


def test_cost_that_falls_gives_back_what_was_billed_first_and_then_the_last_grant() -> None:
    grants = [grant("first", "10", 0), grant("second", "10", 1)]
    used = {("first", "a"): "10", ("second", "a"): "6"}
    assert paid([("a", None, "-5")], grants, used, {"a": "5"}) == []
    assert paid([("a", None, "-8")], grants, used, {"a": "5"}) == [(0, "second", "-3")]
    # What one charge gives back pays another on the same day.
    lines = [("a", None, "-4"), ("a", None, "-9"), ("b", None, "2")]
    assert paid(lines, grants, used, {"a": "5"}) == [
        (1, "first", "-2"),
        (1, "second", "-6"),
        (2, "first", "2"),
    ]


def test_a_grant_that_has_ended_takes_back_what_it_paid_and_pays_nothing() -> None:
    """Of the 5 that charge a costs less, 2 go back to each of the grants, the last first, and 1 was billed. The 10 of
    charge b find 10 - 7 + 2 = 5 in the grant that goes on."""
    ended, going_on = (*grant("ended", "9", 0)[:-1], False), grant("going on", "10", 1)
    used = {("ended", "a"): "2", ("going on", "a"): "2", ("going on", "z"): "5"}
    assert paid([("a", None, "-5"), ("b", None, "10")], [ended, going_on], used, {"a": "1"}) == [
        (0, "ended", "-2"),
        (0, "going on", "-2"),
        (1, "going on", "5"),
    ]


def test_what_another_charge_was_paid_is_not_given_back() -> None:
    assert paid([("a", None, "-5")], [grant("first", "10")], {("first", "b"): "9"}) == []


amounts = st.integers(1, 5_000).map(lambda n: f"{Decimal(n).scaleb(-2)}")
days = st.lists(
    st.lists(st.tuples(st.sampled_from("abc"), st.none(), st.integers(-3_000, 6_000)), max_size=5),
    min_size=1,
    max_size=6,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(days, st.lists(amounts, min_size=1, max_size=4))
def test_days_add_up_to_openmeters_credits_of_the_whole_period(
    used_by_day: list[list[tuple[str, None, int]]], credits: list[str]
) -> None:
    """Of charges that never cost less than nothing, whatever they take back on the way."""
    grants = [grant(f"g{n}", amount, n) for n, amount in enumerate(credits)]
    cost: dict[str, Decimal] = {}
    used: dict[tuple[str, str], Decimal] = {}
    billed: dict[str, Decimal] = {}
    for day in used_by_day:
        lines = []
        for charge, feature, cents in day:
            amount = max(Decimal(cents).scaleb(-2), -cost.get(charge, Decimal(0)))
            cost[charge] = cost.get(charge, Decimal(0)) + amount
            billed[charge] = billed.get(charge, Decimal(0)) + amount
            lines.append((charge, feature, f"{amount:f}"))
        before = {key: billed[key] - _sum(lines, key) for key in billed}
        found = paid(
            lines, grants, {k: f"{v}" for k, v in used.items()}, {k: f"{v}" for k, v in before.items()}
        )
        for line, name, amount in found:
            charge = lines[line][0]
            used[name, charge] = used.get((name, charge), Decimal(0)) + Decimal(amount)
            billed[charge] -= Decimal(amount)
    spent = [sum((v for (n, _), v in used.items() if n == f"g{k}"), Decimal(0)) for k in range(len(credits))]
    assert all(0 <= each <= Decimal(amount) for each, amount in zip(spent, credits, strict=True))
    assert all(0 <= billed[charge] <= cost[charge] for charge in billed)
    total, usable = sum(cost.values(), Decimal(0)), []
    if all(cents >= 0 for day in used_by_day for _, _, cents in day):
        for amount in credits:
            usable.append(min(Decimal(amount), total - sum(usable, Decimal(0))))
        assert spent == usable == _openmeters(cost, usable)


def _sum(lines: list[Line], charge: str) -> Decimal:
    return sum((Decimal(cost) for c, _, cost in lines if c == charge), Decimal(0))


def _openmeters(cost: dict[str, Decimal], credits: list[Decimal]) -> list[Decimal]:
    """What each credit pays of one invoice of the whole period; refused where one is not used up."""
    cents = {"net": COST, "minor_unit": COST}
    components = pl.LazyFrame(
        [("invoice", n, net, Decimal("0.01")) for n, net in enumerate(cost.values())],
        schema={"line_id": pl.String, "position": pl.Int32, **cents},
        orient="row",
    )
    given = pl.LazyFrame(
        [("invoice", n, amount) for n, amount in enumerate(credits)],
        schema={"line_id": pl.String, "credit_index": pl.Int32, "amount": COST},
        orient="row",
    )
    applied = (
        credits_applied(components, given).group_by("credit_index").agg(pl.col("amount").sum()).collect()
    )
    by_index = dict(applied.iter_rows())
    return [by_index.get(n, Decimal(0)) for n in range(len(credits))]
