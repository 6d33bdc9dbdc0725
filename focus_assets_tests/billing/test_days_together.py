"""Small days are rated together: each has the rows that it has alone."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets import cost_stages, days_together
from focus_assets.catalog.charges import slices_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.chain import DayOutput
from focus_assets.datasets import NORMALIZED_USAGE
from focus_assets.days_together import groups
from focus_assets.errors import FocusAssetsError
from focus_assets.lake import PartitionRecord
from focus_assets_tests.billing.weeks import AFTER, BEFORE, Weeks, configuration, price

D = Decimal
FOCUS = "focus_cost_and_usage"
ONE, OTHER = Catalog.model_validate(configuration()), Catalog.model_validate(configuration())
BOB_FROM_THE_4TH = [3, 7]
"""How many of the ten days have the same catalog."""

MIDDLE = dt.datetime(2026, 8, 3, 12, tzinfo=dt.UTC)


def august(*days: int) -> list[dt.date]:
    return [dt.date(2026, 8, day) for day in days]


def test_days_with_the_same_catalog_go_together_up_to_a_size() -> None:
    sizes = dict(zip(august(1, 2, 3, 4), [(ONE, 4), (ONE, 6), (ONE, 5), (OTHER, 1)], strict=True))
    assert list(groups(sizes, at_once=10)) == [august(1, 2), august(3), august(4)]
    assert list(groups(sizes, at_once=14)) == [august(1, 2), august(3), august(4)]
    assert list(groups(sizes, at_once=15)) == [august(1, 2, 3), august(4)]
    assert list(groups(sizes, at_once=99, most=2)) == [august(1, 2), august(3), august(4)]


def test_a_day_that_is_larger_than_all_together_may_be_is_alone() -> None:
    sizes = dict(zip(august(1, 2, 3), [(ONE, 1), (ONE, 11), (ONE, 1)], strict=True))
    assert list(groups(sizes, at_once=10)) == [august(1), august(2), august(3)]


def test_days_with_a_gap_between_them_or_without_a_shared_catalog_are_apart() -> None:
    sizes = dict.fromkeys(august(1, 2, 4, 5), (ONE, 1))
    assert list(groups(sizes)) == [august(1, 2), august(4, 5)]
    assert list(groups(dict.fromkeys(august(1, 2), (None, 1)))) == [august(1), august(2)]
    assert list(groups({})) == []


def card(sold: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"feature": "tokens", "price": sold, **changes}


def plan(*cards: dict[str, Any]) -> dict[str, Any]:
    return {"plans": [configuration()["plans"][0] | {"rate_cards": list(cards)}]}


VOLUME = {
    "type": "tiered",
    "mode": "volume",
    "tiers": [
        {"up_to_amount": "70", "unit_price": "0.0333", "flat_price": "2"},
        {"unit_price": "0.0123", "flat_price": "1"},
    ],
}
PACKAGE = {"type": "package", "amount": "0.7", "quantity_per_package": "50"}
FLAT = {"key": "seat", "price": {"type": "flat", "amount": "13", "payment_term": "in_arrears"}}
SETUP = {"key": "base", "price": {"type": "flat", "amount": "7.77", "payment_term": "in_advance"}}
GIFT = {"customer": "ann", "key": "gift", "amount": "2.5", "effective_at": "2026-08-01T00:00:00Z"}

COMPANIES: dict[str, Mapping[str, Any]] = {
    "graduated tiers with a fee": {},
    "volume tiers that are left and entered": plan(card(VOLUME)),
    "packages": plan(card(PACKAGE)),
    "free units and a percentage": plan(
        card(price("0.3"), discounts={"usage": "65", "percentage": "12.5"}),
    ),
    "a minimum and a maximum": plan(
        card(price("0.5", maximum_amount="40")),
        {"feature": "requests", "price": price("0.1", minimum_amount="9")},
    ),
    "fees in advance and in arrears": plan(card(price("0.01")), FLAT, SETUP),
    "a gift": {"credits": [GIFT]},
}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many days were computed at once, time after time."""
    found: list[int] = []

    def spied(days: Mapping[dt.date, Any], *others: Any) -> Any:
        found.append(len(days))
        return days_together.with_rows(days, *others)

    monkeypatch.setattr(cost_stages, "with_rows", spied)
    return found


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_stages, "groups", partial(groups, most=1))


def records(company: Weeks) -> list[PartitionRecord | None]:
    return [company.lake.record(FOCUS, day) for day in company.lake.days(FOCUS)]


@pytest.mark.parametrize("changes", COMPANIES.values(), ids=COMPANIES)
@pytest.mark.parametrize("as_of", [BEFORE, AFTER], ids=["open", "closed"])
def test_each_day_has_the_rows_that_it_has_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    counted: list[int],
    changes: Mapping[str, Any],
    as_of: dt.datetime,
) -> None:
    catalog = configuration(**changes)
    together = Weeks(tmp_path / "together", catalog=catalog, as_of=as_of).compute(anew=True)
    assert counted == BOB_FROM_THE_4TH
    alone(monkeypatch)
    each_alone = Weeks(tmp_path / "alone", catalog=catalog, as_of=as_of).compute(anew=True)
    assert counted == BOB_FROM_THE_4TH
    assert records(together) == records(each_alone)


def test_each_day_has_the_rows_that_it_has_alone_where_invoices_split_the_charge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[int]
) -> None:
    limited = plan(card(price("1", maximum_amount="100"), discounts={"percentage": "20"}))
    catalog = configuration(**limited)
    catalog["subscriptions"][0]["progressive_billing"] = [MIDDLE]
    together = Weeks(tmp_path / "together", catalog=catalog).compute(anew=True)
    assert max(counted) > 1
    alone(monkeypatch)
    each_alone = Weeks(tmp_path / "alone", catalog=catalog).compute(anew=True)
    assert records(together) == records(each_alone)


def test_each_day_has_the_rows_that_it_has_alone_when_it_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[int]
) -> None:
    """Late usage of the closed week becomes corrections either way."""
    companies = [Weeks(tmp_path / name) for name in ("together", "alone")]
    for company, is_alone in zip(companies, (False, True), strict=True):
        if is_alone:
            alone(monkeypatch)
        company.compute(anew=True)
        company.usage = [*company.usage, (2, "ann", "tokens", "large", "50")]
        company.compute(anew=True)
    assert max(counted) > 1
    corrected = companies[0].rows().filter(pl.col("ChargeClass") == "Correction")
    assert corrected.height > 0
    assert records(companies[0]) == records(companies[1])


@dataclass
class Gauged(Weeks):
    """Seats are gauged: ``to_date`` is what a charge has come to by the end of a day; days without are missing."""

    to_date: Mapping[int, str] = field(default_factory=dict)

    def _normalized(self, day: dt.date) -> DayOutput:
        snapshot = Catalog.model_validate(self.catalog).on(day)
        rows = [
            {
                "charge_date": day,
                "meter": "seats",
                "kind": "to_date",
                "window_from": s.charge.period.start,
                "window_to": s.period.end,
                "subject": None,
                "customer": "ann",
                "charge_id": s.charge_id,
                "dimensions": json.dumps({}),
                "quantity": D(self.to_date[day.day]),
                "unit": "Seats",
            }
            for s in slices_on(snapshot, day)
            if day.day in self.to_date
        ]
        frame = pl.LazyFrame(rows, schema=NORMALIZED_USAGE.schema).sort(NORMALIZED_USAGE.order)
        return DayOutput(day, frame)


def seats(root: Path, to_date: Mapping[int, str]) -> Gauged:
    base = configuration()
    meter = {
        "slug": "seats",
        "event_type": "seat",
        "aggregation": "LATEST",
        "value_property": "$.seats",
        "unit": "Seats",
    }
    catalog = configuration(
        meters=[meter],
        features=[{"key": "seats", "meter": "seats"}],
        plans=[base["plans"][0] | {"rate_cards": [{"feature": "seats", "price": price("2")}]}],
        subscriptions=base["subscriptions"][:1],
    )
    return Gauged(root, usage=(), catalog=catalog, to_date=to_date)


def test_a_quantity_to_date_that_is_missing_on_a_later_day_takes_back_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[int]
) -> None:
    """5 seats on the 1st are 10, 7 on the 2nd 4 more; on the 3rd nothing is left, -14; 1 on the 4th is 2."""
    to_date = {1: "5", 2: "7", 4: "1"}
    together = seats(tmp_path / "together", to_date).compute(1, 4, anew=True)
    assert counted == [4]
    by_day = (
        together.rows()
        .group_by(pl.col("ChargePeriodStart").dt.day().alias("day"))
        .agg(pl.col("BilledCost").sum())
    )
    assert dict(by_day.iter_rows()) == {1: D(10), 2: D(4), 3: D(-14), 4: D(2)}
    alone(monkeypatch)
    assert records(together) == records(seats(tmp_path / "alone", to_date).compute(1, 4, anew=True))


def test_a_day_that_cannot_be_rated_says_so_and_those_before_it_are_written(
    tmp_path: Path, counted: list[int]
) -> None:
    """A graduated charge cannot come to less than nothing: on the 6th Ann has used 61 - 70 tokens."""
    usage = [(day, "ann", "tokens", "large", used) for day, used in ((1, "61"), (6, "-70"), (7, "90"))]
    company = Weeks(tmp_path, usage=usage)
    with pytest.raises(
        FocusAssetsError, match=r"slice from 2026-08-06T00:00:00Z, quantity to date 61.0* to -9.0*"
    ):
        company.compute(anew=True)
    assert counted == BOB_FROM_THE_4TH
    assert company.lake.days(FOCUS) == august(1, 2, 3, 4, 5)
