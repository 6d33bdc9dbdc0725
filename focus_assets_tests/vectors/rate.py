"""``rate``: one line of an invoice, rated by the kernel and put as OpenMeter's detailed lines.

The kernel's lines are exact; each becomes a detailed line by rounding its cost to the currency. A tier without a
rate has no detailed line, and a line of quantity 0 is no row of ours, so both are left out of what is compared.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import polars as pl
from pydantic import TypeAdapter, ValidationError

from focus_assets.catalog.charges import Charge, ChargeSlice
from focus_assets.catalog.models import Customer, Feature, Meter, Price, RateCard, Subscription, UnitPrice
from focus_assets.catalog.periods import Period
from focus_assets.decimals import currency_digits, round_half_away
from focus_assets.rating import OPENINGS, USAGE, ChargeNotRated, price_table, rate, slice_table
from focus_assets_tests.vectors import Difference, Skip

Case = Mapping[str, Any]
Line = tuple[str, Decimal, Decimal, Decimal]
"""(ref, quantity, per unit amount, total)"""

PERIOD = Period(dt.datetime(2021, 1, 1, tzinfo=dt.UTC), dt.datetime(2021, 1, 2, tzinfo=dt.UTC))
LATER = PERIOD.start + dt.timedelta(hours=12)


def run(case: Case) -> Difference | None:
    """Rate the case's usage after what came before it; compare refs, quantities, prices and totals."""
    _skip_what_rating_does_not_know_yet(case)
    try:
        price: Price = TypeAdapter(Price).validate_python(case["price"])
        came = _detailed_lines(case, price)
    except (ChargeNotRated, ValidationError) as refusal:
        return None if "expect_error" in case else Difference("lines", f"refused: {refusal}")
    if "expect_error" in case:
        return Difference(f"error {case['expect_error']}", _text(came))
    expected = sorted(
        (
            str(line["ref"]),
            Decimal(line["quantity"]),
            Decimal(line["per_unit_amount"]),
            Decimal(line["totals"]["total"]),
        )
        for line in case["expect"]
        if Decimal(line["quantity"])
    )
    return None if came == expected else Difference(_text(expected), _text(came))


def _skip_what_rating_does_not_know_yet(case: Case) -> None:
    price = case.get("price")
    if price is None:
        raise Skip("states a fact about a helper of theirs, without a price to rate")
    kind = f"{price['type']} {price.get('mode', '')}".strip()
    if kind not in ("unit", "tiered graduated"):
        raise Skip(f"{kind} prices are not rated yet")
    steps = [name for name in ("discounts", "unit_config") if case.get(name)]
    steps += ["credits"] if case.get("credits") and "disable_credits_mutator" not in _options(case) else []
    steps += [name for name in ("minimumAmount", "maximumAmount") if price.get(name)]
    if steps:
        raise Skip(f"{', '.join(steps)}: not rated yet")
    if kind == "tiered graduated" and Decimal(case["usage"]["line_period"]) < 0:
        raise Skip("a falling quantity on a line of its own: only quantities to date may fall")


def _options(case: Case) -> list[str]:
    return list(case.get("options", []))


def _detailed_lines(case: Case, price: Price) -> list[Line]:
    segments, lines = _rated(case, price)
    known = segments.select(
        "component", "tier", pl.col("contracted_unit_price").is_not_null().alias("has_price")
    )
    total = round_half_away(pl.col("contracted_cost"), currency_digits(case["currency"]))
    priced = (
        lines.join(known, on=["component", "tier"], nulls_equal=True)
        .filter(pl.col("has_price") & (pl.col("pricing_quantity") != 0))
        .select("component", "tier", "pricing_quantity", "contracted_unit_price", total)
    )
    return sorted(
        (_ref(component, tier), quantity, amount, cost)
        for component, tier, quantity, amount, cost in priced.collect().iter_rows()
    )


def _ref(component: str, tier: int | None) -> str:
    if tier is None:
        return "unit-price-usage"
    return f"graduated-tiered-{tier}-{'price-usage' if component == 'usage' else 'flat-price'}"


def _rated(case: Case, price: Price) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """The case's line as a slice of a charge; a unit price rates each line apart from those before it."""
    first = case["line"]["first_in_period"]
    before = "0" if isinstance(price, UnitPrice) else case["usage"]["pre_line_period"]
    card = RateCard(key="feature", feature="feature", price=price)
    charge = Charge(
        charge_id=str(case["id"]),
        customer=Customer(key="customer"),
        subscription=Subscription(customer="customer", active_from=PERIOD.start, rate_cards=(card,)),
        plan=None,
        rate_card=card,
        list_price=price,
        feature=Feature(key="feature", meter="meter"),
        meter=Meter(slug="meter", event_type="event", aggregation="COUNT"),
        currency=case["currency"],
        rating=PERIOD,
        period=PERIOD,
    )
    of = ChargeSlice(charge, Period(PERIOD.start if first else LATER, PERIOD.end), PERIOD)
    window = (charge.charge_id, of.period.start, of.period.end, of.period.start, None, "{}")
    usage = pl.LazyFrame([(*window, Decimal(case["usage"]["line_period"]))], schema=USAGE, orient="row")
    opening = pl.LazyFrame([(charge.charge_id, Decimal(before))], schema=OPENINGS, orient="row")
    segments = price_table([of])
    return segments, rate(usage, opening, slice_table([of]), segments)


def _text(lines: list[Line]) -> str:
    return (
        "; ".join(f"{ref} {quantity:f} @ {amount:f} = {total:f}" for ref, quantity, amount, total in lines)
        or "none"
    )
