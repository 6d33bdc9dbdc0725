"""Every type of price over days of the chain, with a price change in the middle of a period, to the second.

Each day is totalled and rated as the chain does it, from the totals of the days before; what a version of an item
comes to is compared with OpenMeter's line of its part of the period.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import polars as pl
import pytest

from focus_assets.catalog.charges import Charge, slices_on
from focus_assets.catalog.snapshot import Catalog
from focus_assets.rating import conversion_table, limit_table, price_table, rate, slice_table
from focus_assets.usage.normalize import normalized_usage
from focus_assets.usage.rateable import earlier_usage, no_earlier_totals, opening_quantities, rateable_usage
from focus_assets.usage.totals import usage_totals
from focus_assets_tests.rating.charges import graduated, package, unit, volume
from focus_assets_tests.rating.whole_line import FINE, invoiced
from focus_assets_tests.usage.usage_rows import METERS, raw, window

FIRST = dt.date(2026, 2, 15)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(30)]
BEGINS = "2026-02-15T13:22:07Z"
CHANGES = "2026-03-02T10:00:30Z"
THOUSANDS = {"operation": "divide", "conversion_factor": "1000", "rounding": "ceiling"}

CARDS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "free": ({"price": {"type": "free"}}, {"price": unit("1")}),
    "unit": ({"price": unit("0.3")}, {"price": unit("0.2"), "discounts": {"percentage": "10"}}),
    "graduated": (
        {"price": graduated(("900", "3", "5"), (None, "2", "1")), "discounts": {"usage": "100"}},
        {"price": {**graduated(("700", "4", None), (None, "1", "8")), "maximum_amount": "2000"}},
    ),
    "volume": (
        {"price": volume(("400", "3", "5"), ("1100", "2.5", None), (None, "2", "1"))},
        {
            "price": {**volume(("500", "4", None), (None, "1", "8")), "minimum_amount": "9000"},
            "discounts": {"usage": "250", "percentage": "15"},
        },
    ),
    "package": (
        {"price": package("2", "700"), "discounts": {"usage": "50"}},
        {"price": {**package("3", "0.7"), "maximum_amount": "5000"}},
    ),
    "dynamic": ({"price": {"type": "dynamic", "multiplier": "1.2"}}, {"price": {"type": "dynamic"}}),
    "converted": (
        {"price": unit("2"), "unit_config": THOUSANDS},
        {"price": volume(("1", "4", None), (None, "3", "7")), "unit_config": THOUSANDS},
    ),
}


def catalog() -> Catalog:
    """Every price of CARDS is a feature of one meter; all change at the same second, within a day."""
    cards = [
        {"feature": key, **card, **({"valid_from": CHANGES} if later else {})}
        for key, versions in CARDS.items()
        for later, card in enumerate(versions)
    ]
    return Catalog.model_validate(
        {
            "defaults": {"provider_name": "Acme"},
            "meters": METERS,
            "features": [{"key": key, "meter": "tokens"} for key in CARDS],
            "customers": [{"key": "acme", "subject_keys": ["a", "b"]}],
            "plans": [{"key": "pro", "rate_cards": cards}],
            "subscriptions": [{"customer": "acme", "plan": "pro", "active_from": BEGINS}],
        }
    )


def windows_of(day: dt.date) -> list[dict[str, Any]]:
    """Two subjects at different hours, some of which lie before the period's first second or the price change."""
    n = (day - FIRST).days
    used = [
        (9, "a", "large", 31 + n),
        (14, "b", "small", Decimal("12.5")),
        (20, "a", "small", 0 if n % 3 else 17),
    ]
    return [
        window(
            subject,
            str(quantity),
            start=f"{day}T{hour:02}:00:00",
            end=f"{day}T{hour:02}:30:00",
            dimensions={"model": model, "direction": None},
        )
        for hour, subject, model, quantity in used
    ]


@cache
def rated_days() -> tuple[pl.DataFrame, Mapping[str, tuple[Charge, Decimal]]]:
    """The lines of all days, and each charge with what it used."""
    whole = catalog()
    charges: dict[str, Charge] = {}
    totals = no_earlier_totals().collect()
    found = []
    for day in DAYS:
        snapshot = whole.on(day)
        slices = slices_on(snapshot, day)
        normalized = normalized_usage(raw(*windows_of(day)), snapshot).collect().lazy()
        of_day = usage_totals(normalized, slices).collect()
        opening = opening_quantities(totals.lazy(), of_day.lazy()).collect().lazy()
        lines = rate(
            rateable_usage(normalized, slices, opening).collect().lazy(),
            opening,
            slice_table(slices),
            price_table(slices),
            limit_table(slices),
            conversion_table(slices),
            earlier_usage(totals.lazy()).collect().lazy(),
        )
        found.append(lines.collect())
        totals = pl.concat([totals, of_day])
        charges |= {s.charge.charge_id: s.charge for s in slices}
    used = dict(totals.group_by("charge_id").agg(pl.col("quantity").sum()).iter_rows())
    return pl.concat(found), {key: (charge, used[key]) for key, charge in charges.items()}


@pytest.mark.parametrize("feature", CARDS)
def test_the_days_of_each_version_come_to_openmeters_line_of_its_part_of_the_period(feature: str) -> None:
    lines, charges = rated_days()
    ended = dt.datetime.combine(DAYS[-1], dt.time(), dt.UTC) + dt.timedelta(days=1)
    versions = [
        (charge, used)
        for charge, used in charges.values()
        if charge.feature.key == feature and charge.period.end <= ended
    ]
    change = dt.datetime.fromisoformat(CHANGES)
    assert [charge.period.end for charge, _ in versions] == [change, versions[0][0].rating.end]
    assert all(used for _, used in versions)
    billed = dict(lines.group_by("charge_id").agg(pl.col("billed_cost").sum()).iter_rows())
    for (charge, _), expected in zip(versions, invoiced(versions), strict=True):
        assert abs(billed.get(charge.charge_id, Decimal(0)) - expected) <= FINE * 10


def test_usage_of_a_day_with_a_price_change_is_consumed_by_the_version_in_force() -> None:
    lines, charges = rated_days()
    for charge_id, (charge, used) in charges.items():
        consumed = lines.filter(pl.col("charge_id") == charge_id)["consumed_quantity"].sum()
        assert consumed == used, charge.feature.key
    change = dt.datetime.fromisoformat(CHANGES)
    on_the_day = lines.filter(
        pl.col("slice_from") >= change, pl.col("slice_from") < change + dt.timedelta(hours=1)
    )
    assert on_the_day["charge_id"].str.ends_with("20260302T100030Z").all()
    assert not on_the_day.is_empty()
