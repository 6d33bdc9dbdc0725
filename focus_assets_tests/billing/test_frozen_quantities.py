"""What frozen quantities come to is rated once, and is each time what rating them anew gives."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from focus_assets.billing import frozen_quantities
from focus_assets.billing.frozen_quantities import details_of
from focus_assets.catalog.periods import Period
from focus_assets.catalog.prices import TieredPrice, UnitPrice
from focus_assets.rating.detailed_lines import Line

D = Decimal
AUGUST = Period(dt.datetime(2026, 8, 1, tzinfo=dt.UTC), dt.datetime(2026, 9, 1, tzinfo=dt.UTC))
TIERS = TieredPrice.model_validate(
    {
        "type": "tiered",
        "mode": "graduated",
        "tiers": [{"up_to_amount": "100", "unit_price": "0.03"}, {"unit_price": "0.01"}],
    }
)
UNIT = UnitPrice.model_validate({"type": "unit", "amount": "0.02"})


def line(line_id: str, quantity: str, price: Any = TIERS) -> Line:
    return Line(line_id, price, D("0.01"), AUGUST, AUGUST, D(quantity))


def totals(found: dict[str, list[dict[str, Any]]]) -> dict[str, list[Decimal]]:
    return {name: [row["total"] for row in rows] for name, rows in found.items()}


@pytest.fixture(autouse=True)
def rated(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The lines of each time that the kernel was asked, with nothing remembered before."""
    asked: list[list[str]] = []
    kernel = frozen_quantities.line_tables

    def counted(lines: list[Line]) -> Any:
        asked.append([each.line_id for each in lines])
        return kernel(lines)

    monkeypatch.setattr(frozen_quantities, "_known", {})
    monkeypatch.setattr(frozen_quantities, "line_tables", counted)
    return asked


def test_a_line_that_is_asked_for_again_is_not_rated_again(rated: list[list[str]]) -> None:
    """100 x 0.03 and 20 x 0.01."""
    first = details_of([line("one", "120")])
    assert totals(first) == {"one": [D("3.00"), D("0.20")]}
    assert details_of([line("one", "120")]) == first
    assert rated == [["one"]]


def test_lines_of_the_same_terms_share_what_they_come_to_whatever_their_names(rated: list[list[str]]) -> None:
    found = details_of([line("one", "120"), line("other", "120")])
    again = details_of([line("third", "120"), line("new", "7")])
    assert totals(found) == {"one": [D("3.00"), D("0.20")], "other": [D("3.00"), D("0.20")]}
    assert totals(again) == {"new": [D("0.21")], "third": [D("3.00"), D("0.20")]}
    assert rated == [["one", "other"], ["new"]]


def test_another_quantity_price_or_period_is_rated_for_itself(rated: list[list[str]]) -> None:
    details_of([line("one", "120")])
    assert totals(details_of([line("one", "119")])) == {"one": [D("3.00"), D("0.19")]}
    assert totals(details_of([line("one", "120", UNIT)])) == {"one": [D("2.40")]}
    assert len(rated) == 3


def test_whoever_changes_what_was_found_changes_it_for_nobody_else() -> None:
    details_of([line("one", "120")])["one"][0]["total"] = D(0)
    assert totals(details_of([line("one", "120")])) == {"one": [D("3.00"), D("0.20")]}


def test_more_lines_than_are_remembered_are_all_rated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_quantities, "_MOST", 2)
    found = totals(details_of([line(f"line-{n}", str(n)) for n in range(1, 6)]))
    assert found == {f"line-{n}": [D("0.03") * n] for n in range(1, 6)}
    assert len(frozen_quantities._known) == 2
