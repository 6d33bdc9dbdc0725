"""Charges at given prices, without a catalog around them, and usage to rate."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl

from focus_assets.catalog.charges import Charge, ChargeSlice
from focus_assets.catalog.models import (
    Customer,
    Feature,
    Meter,
    RateCard,
    Subscription,
)
from focus_assets.catalog.periods import Period
from focus_assets.rating import OPENINGS, USAGE, conversion_table, limit_table, price_table, rate, slice_table

START = dt.datetime(2026, 8, 15, 13, 22, 7, tzinfo=dt.UTC)
END = dt.datetime(2026, 9, 15, 13, 22, 7, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def unit(amount: str) -> dict[str, Any]:
    return {"type": "unit", "amount": amount}


def graduated(*tiers: tuple[str | None, str | None, str | None]) -> dict[str, Any]:
    """Tiers as (up to, unit price, flat price)."""
    return {
        "type": "tiered",
        "mode": "graduated",
        "tiers": [{"up_to_amount": upto, "unit_price": u, "flat_price": f} for upto, u, f in tiers],
    }


def package(amount: str, size: str) -> dict[str, Any]:
    return {"type": "package", "amount": amount, "quantity_per_package": size}


def volume(*tiers: tuple[str | None, str | None, str | None]) -> dict[str, Any]:
    """Tiers as (up to, unit price, flat price)."""
    return {**graduated(*tiers), "mode": "volume"}


def charge(
    price: dict[str, Any],
    published: dict[str, Any] | None = None,
    charge_id: str = "acme/tokens",
    *,
    free: str | None = None,
    percentage: str | None = None,
    published_free: str | None = None,
    unit_config: dict[str, Any] | None = None,
) -> Charge:
    """``free``: units without charge; of the published price the same unless it is another."""
    card = RateCard.model_validate(
        {
            "feature": "tokens",
            "price": price,
            "discounts": {"usage": free, "percentage": percentage},
            "unit_config": unit_config,
        }
    )
    listed_free = free if published is None else published_free
    listed = RateCard.model_validate(
        {
            "feature": "tokens",
            "price": published or price,
            "discounts": {"usage": listed_free, "percentage": percentage if published is None else None},
        }
    )
    return Charge(
        charge_id=charge_id,
        customer=Customer(key="acme"),
        subscription=Subscription(customer="acme", active_from=START, rate_cards=(card,)),
        plan=None,
        rate_card=card,
        list_price=listed.price,
        feature=Feature(key="tokens", meter="tokens"),
        meter=Meter(slug="tokens", event_type="call", aggregation="SUM", value_property="$.tokens"),
        currency="USD",
        rating=Period(START, END),
        period=Period(START, END),
        list_discounts=listed.discounts,
    )


def slices(of: Charge, instants: Sequence[dt.datetime] = (START, END)) -> list[ChargeSlice]:
    """``of`` cut at ``instants``, its first and last included."""
    return [ChargeSlice(of, Period(start, end), of.rating) for start, end in pairwise(instants)]


Window = tuple[dt.datetime, str | None, str, str]
"""(window_from, subject, dimensions, quantity)"""


def usage(of: ChargeSlice, windows: Iterable[Window]) -> pl.LazyFrame:
    key = (of.charge.charge_id, of.period.start, of.period.end)
    rows = [
        (*key, at, subject, dimensions, Decimal(quantity)) for at, subject, dimensions, quantity in windows
    ]
    return pl.LazyFrame(rows, schema=USAGE, orient="row")


def opening(quantities: dict[str, str] | None = None) -> pl.LazyFrame:
    rows = [(charge_id, Decimal(quantity)) for charge_id, quantity in (quantities or {}).items()]
    return pl.LazyFrame(rows, schema=OPENINGS, orient="row")


def rated(
    of: Sequence[ChargeSlice],
    windows: pl.LazyFrame,
    before: pl.LazyFrame | None = None,
    earlier: pl.LazyFrame | None = None,
    splits: pl.LazyFrame | None = None,
    unbilled: pl.LazyFrame | None = None,
) -> pl.DataFrame:
    return rate(
        windows,
        opening() if before is None else before,
        slice_table(of),
        price_table(of),
        limit_table(of),
        conversion_table(of),
        earlier,
        splits,
        unbilled=unbilled,
    ).collect()


def one_day(
    price: dict[str, Any],
    quantity: str | None,
    before: str = "0",
    published: dict[str, Any] | None = None,
    *,
    begins: bool = True,
) -> pl.DataFrame:
    """One window of one charge, rated."""
    of = charge(price, published)
    [first] = slices(of) if begins else slices(of, (START + HOUR, END))
    windows = [] if quantity is None else [(START + HOUR, "acme", "{}", quantity)]
    return rated([first], usage(first, windows), opening({of.charge_id: before}))


def brief(lines: pl.DataFrame) -> list[tuple[str, int | None, str, str]]:
    """(component, tier, pricing quantity, contracted cost), in order, as short texts."""
    return [
        (component, tier, _short(quantity), _short(cost))
        for component, tier, quantity, cost in lines.select(
            "component", "tier", "pricing_quantity", "contracted_cost"
        ).iter_rows()
    ]


def _short(value: Decimal) -> str:
    return f"{value.normalize():f}"
