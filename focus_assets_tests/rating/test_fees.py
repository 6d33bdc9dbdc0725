"""What flat fees cost: prorated, rounded, discounted; and the lines of OpenMeter's invoices they add up to."""

from __future__ import annotations

import datetime as dt
import os
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_assets.catalog.fees import Fee, fees_on
from focus_assets.catalog.rate_card_terms import ProRatingConfig
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import minor_unit
from focus_assets.rating import fee_lines
from focus_assets.rating.detailed_lines import Line, detailed_lines, line_tables
from focus_assets.rating.proration import prorated_amount
from focus_assets_tests.catalog.building import catalog, subscription

EXAMPLES = int(os.environ.get("FOCUS_ASSETS_EXAMPLES", "60"))
SHOWN = (
    "pricing_quantity",
    "list_unit_price",
    "contracted_unit_price",
    "list_cost",
    "contracted_cost",
    "billed_cost",
)


def selling(
    amount: str,
    *,
    off: str | None = None,
    own: str | None = None,
    own_off: str | None = None,
    currency: str = "USD",
    card: dict[str, Any] | None = None,
    **of_subscription: Any,
) -> Catalog:
    """A plan's fee at ``amount``, and what one subscription pays instead where ``own`` is given."""

    def fee(amount: str, off: str | None) -> dict[str, Any]:
        price = {"type": "flat", "amount": amount}
        return {"key": "platform", "price": price, "discounts": {"percentage": off}, **(card or {})}

    return catalog(
        plans=[{"key": "pro", "currency": currency, "rate_cards": [fee(amount, off)]}],
        subscriptions=[
            subscription(rate_cards=[fee(own, own_off)] if own else [], **of_subscription),
        ],
    )


def fees(of: Catalog, first: dt.date, days: int = 1) -> list[Fee]:
    found = [first + dt.timedelta(days=n) for n in range(days)]
    return [fee for day in found for fee in fees_on(of.on(day), day)]


def rated(of: Catalog, first: str) -> dict[str, str]:
    [line] = fee_lines(fees(of, dt.date.fromisoformat(first))).collect().rows(named=True)
    assert line["effective_cost"] == line["billed_cost"]
    return {name: f"{line[name].normalize():f}" for name in SHOWN}


def test_a_whole_period_costs_the_whole_fee() -> None:
    assert rated(selling("29", active_from="2026-08-01"), "2026-08-01") == {
        "pricing_quantity": "1",
        "list_unit_price": "29",
        "contracted_unit_price": "29",
        "list_cost": "29",
        "contracted_cost": "29",
        "billed_cost": "29",
    }


def test_a_cut_period_costs_its_share_exactly_and_is_paid_in_cents() -> None:
    cut = selling("29", active_from="2026-08-21", billing_anchor="2026-08-01")
    assert rated(cut, "2026-08-21") == {
        "pricing_quantity": "0.3548387096774194",
        "list_unit_price": "29",
        "contracted_unit_price": "29",
        "list_cost": "10.2903225806451626",
        "contracted_cost": "10.2903225806451626",
        "billed_cost": "10.29",
    }


def test_without_proration_a_cut_period_costs_the_whole_fee() -> None:
    off = {"pro_rating_config": {"enabled": False}}
    cut = selling("29", active_from="2026-08-21", billing_anchor="2026-08-01", **off)
    assert rated(cut, "2026-08-21")["billed_cost"] == "29"


def test_what_a_customer_pays_instead_is_contracted_and_the_plans_price_is_listed() -> None:
    row = rated(selling("29", own="25", active_from="2026-08-01"), "2026-08-01")
    assert [row[name] for name in ("list_cost", "contracted_unit_price", "billed_cost")] == ["29", "25", "25"]


def test_a_percentage_of_the_plan_is_paid_less_and_not_contracted_less() -> None:
    row = rated(selling("29.99", off="15", active_from="2026-08-01"), "2026-08-01")
    # 15 % of 29.99 are 4.4985, which the invoice takes off as 4.50.
    assert [row[name] for name in ("list_cost", "contracted_cost", "billed_cost")] == [
        "29.99",
        "29.99",
        "25.49",
    ]


def test_a_percentage_of_the_customers_own_lowers_the_contracted_price() -> None:
    row = rated(selling("29.99", own="29.99", own_off="15", active_from="2026-08-01"), "2026-08-01")
    assert [row[name] for name in SHOWN[1:]] == ["29.99", "25.4915", "29.99", "25.4915", "25.49"]


def test_the_prorated_fee_is_rounded_before_the_percentage_is_taken_off() -> None:
    cut = selling("29", off="15", active_from="2026-08-21", billing_anchor="2026-08-01")
    # 10.29 less 1.54, and not 10.2903… less 1.5435…
    assert rated(cut, "2026-08-21")["billed_cost"] == "8.75"


def test_currencies_have_their_own_smallest_amounts() -> None:
    cut = {"active_from": "2026-08-21", "billing_anchor": "2026-08-01"}
    assert rated(selling("2900", currency="JPY", **cut), "2026-08-21")["billed_cost"] == "1029"
    assert rated(selling("29", currency="KWD", **cut), "2026-08-21")["billed_cost"] == "10.29"
    assert rated(selling("0.005", active_from="2026-08-01"), "2026-08-01")["billed_cost"] == "0.01"


def test_a_day_without_fees_has_no_lines() -> None:
    assert fee_lines([]).collect().is_empty()


_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@st.composite
def companies(draw: st.DrawFn) -> Catalog:
    """One fee with random amount, percentage, cadence, term, anchor, versions and ends."""

    def instant(low: int = 0, high: int = 60 * 86_400) -> dt.datetime:
        return _START + dt.timedelta(seconds=draw(st.integers(low, high)))

    begins = instant(high=20 * 86_400)
    ends = draw(st.none() | st.just(instant(low=30 * 86_400)))
    cadence = draw(st.sampled_from(["P1M", "P1W", "P10D", "P3M", "P1D", None]))
    term = draw(st.sampled_from(["in_advance", "in_arrears"]))
    amount = draw(st.integers(0, 10**7)) * Decimal("0.0001")
    off = draw(st.none() | st.integers(0, 1000).map(lambda n: f"{n / Decimal(10)}"))
    changes = draw(st.sets(st.integers(0, 60 * 86_400), max_size=2))
    versions = [None, *(_START + dt.timedelta(seconds=second) for second in sorted(changes))]
    cards = [
        {
            "key": "platform",
            "billing_cadence": cadence,
            "price": {"type": "flat", "amount": amount + n, "payment_term": term},
            "discounts": {"percentage": off},
            "valid_from": version,
        }
        for n, version in enumerate(versions)
    ]
    return catalog(
        plans=[
            {
                "key": "pro",
                "currency": draw(st.sampled_from(["USD", "JPY", "KWD"])),
                "billing_cadence": draw(st.sampled_from(["P1M", "P3M"])),
                "pro_rating_config": {"enabled": draw(st.booleans())},
                "rate_cards": cards,
            }
        ],
        subscriptions=[subscription(active_from=begins, active_to=ends, billing_anchor=instant())],
    )


@settings(max_examples=EXAMPLES, deadline=None)
@given(companies())
def test_every_fee_is_paid_as_openmeters_line_of_its_period(company: Catalog) -> None:
    found = fees(company, _START.date(), days=62)
    lines = fee_lines(found).collect()
    expected = _openmeter(found)
    assert dict(lines.select("charge_id", "billed_cost").iter_rows()) == expected
    assert len(expected) == len(found) == lines.height


@settings(max_examples=EXAMPLES, deadline=None)
@given(companies())
def test_service_periods_cover_each_version_once(company: Catalog) -> None:
    """Also those that are never due within the days: each day's snapshot sees the same periods."""
    sub = company.subscriptions[0]
    of_fees = sorted((f.service.start, f.service.end) for f in fees(company, _START.date(), days=62))
    if any(card.one_time for card in company.plans[0].rate_cards):
        return
    for (_, end), (start, _) in pairwise(of_fees):
        assert end == start
    if of_fees and company.plans[0].rate_cards[0].price.payment_term == "in_advance":  # type: ignore[union-attr]
        assert of_fees[0][0] == sub.active_from
        last = min(_START + dt.timedelta(days=62), sub.active_to or dt.datetime.max.replace(tzinfo=dt.UTC))
        assert of_fees[-1][1] >= last


def _openmeter(found: list[Fee]) -> dict[str, Decimal]:
    """The net totals of the detailed lines that OpenMeter writes for fees."""
    tables = line_tables([_line(fee) for fee in found])
    lines = detailed_lines(tables.lines, tables.tiers, tables.credits)
    return dict(lines.group_by("line_id").agg(pl.col("total").sum()).collect().iter_rows())


def _line(fee: Fee) -> Line:
    amount = prorated_amount(
        fee.price.amount,
        fee.currency,
        ProRatingConfig(enabled=fee.prorates),
        service=fee.service,
        full=fee.full,
    )
    return Line(
        line_id=fee.charge_id,
        price=fee.price.model_copy(update={"amount": amount}),
        minor_unit=minor_unit(fee.currency),
        period=fee.service,
        full_period=fee.service,
        quantity=Decimal(0),
        discounts=fee.rate_card.discounts.model_copy(update={"percentage_correlation_id": "x"}),
    )
