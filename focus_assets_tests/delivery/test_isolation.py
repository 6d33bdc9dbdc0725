"""Whatever tenants there are and whatever is asked for: no destination sees a row outside its scope."""

from __future__ import annotations

import datetime as dt
import random
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from focus_assets.catalog.snapshot import Catalog
from focus_assets.delivery.files import Shape, rows_in_scope
from focus_assets.delivery.scope import scope_in
from focus_assets.settings import CustomersByLabel, Destination
from focus_assets_tests.delivery.focus_rows import at, frame, row

MONTH, CASES = "2026-08", 1000
NASTY = ("acme", "Acme", "acme ", "acme-1", "ac", "ACME", "ä", "*", "%", "null", "all", "a'b", 'a"b', "a,b")
TIERS = ("gold", "Gold", "silver", "")


@pytest.fixture(scope="module")
def tenants() -> list[tuple[str, dict[str, str]]]:
    chance = random.Random(20260801)
    keys = [*NASTY, *(f"customer-{n}" for n in range(40))]
    return [(key, {"tier": chance.choice(TIERS), "team": chance.choice("ab")}) for key in keys]


@pytest.fixture(scope="module")
def stored(tenants: list[tuple[str, dict[str, str]]]) -> pl.LazyFrame:
    """A row of each tenant in this month and in the one before, and rows of nobody."""
    day = dt.date(2026, 8, 3)
    july = {"BillingPeriodStart": at(dt.date(2026, 7, 1)), "BillingPeriodEnd": at(dt.date(2026, 8, 1))}
    rows = [row(day, key, **more) for key, _ in tenants for more in ({}, july)]
    return frame([*rows, row(day, x_CustomerKey=None), row(day, x_CustomerKey="")]).collect().lazy()


def lake_of(tenants: list[tuple[str, dict[str, str]]]) -> Any:
    catalog = Catalog.model_validate(
        {
            "defaults": {"provider_name": "Example"},
            "customers": [{"key": key, "labels": labels} for key, labels in tenants],
        }
    ).to_frame()
    return SimpleNamespace(scan=lambda dataset, days: catalog.lazy())


def asked(chance: random.Random, keys: list[str]) -> Any:
    match chance.randrange(4):
        case 0:
            return CustomersByLabel(labels={"tier": chance.choice(TIERS)})
        case 1:
            return CustomersByLabel(labels={"tier": chance.choice(TIERS), "team": chance.choice("abc")})
        case _:
            # Keys that nobody has are among them: they are nobody's, not somebody's like them.
            return tuple(chance.sample([*keys, "ACM", "acme  ", "", "customer-"], chance.randrange(1, 6)))


def overrides(chance: random.Random) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    if chance.random() < 0.3:
        found |= {"SubAccountId": "everybody", "SubAccountType": "All"}
    if chance.random() < 0.3:
        found["ServiceName"] = chance.choice(NASTY)
    if chance.random() < 0.3:
        found["RegionId"] = None
    return found


def test_no_destination_sees_a_row_outside_its_scope_and_none_misses_one(
    tenants: list[tuple[str, dict[str, str]]], stored: pl.LazyFrame
) -> None:
    chance = random.Random(1)
    lake, keys = lake_of(tenants), [key for key, _ in tenants]
    passed: Any = SimpleNamespace(held=SimpleNamespace(days=[dt.date(2026, 8, 3)]), span={}, labels={})
    delivered = 0
    for n in range(CASES):
        customers = asked(chance, keys)
        destination = Destination(
            name="one", url="s3://bucket/one", customers=customers, dimensions=overrides(chance)
        )
        if isinstance(customers, CustomersByLabel):
            wanted = {key for key, labels in tenants if customers.labels.items() <= labels.items()}
        else:
            wanted = set(customers) & {*keys, ""}
        shown = rows_in_scope(stored, MONTH, scope_in(lake, destination, passed))
        if n % 20 == 0:
            # Showing rows costs a hundred times what choosing them does; overrides change columns, never rows.
            shown = Shape.of(destination).show(shown)
        got = shown.select("x_CustomerKey", "BillingAccountId", "BillingPeriodStart").collect()
        assert sorted(got["x_CustomerKey"]) == sorted(wanted), f"case {n}: {customers}"
        assert set(got["BillingPeriodStart"]) <= {at(dt.date(2026, 8, 1))}
        delivered += got.height
    assert delivered > CASES
