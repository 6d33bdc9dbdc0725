"""After rounding: rows of a closed week come to what OpenMeter's own rating bills for it, whatever is sold.

Every price is sold twice: to Ann, whose week is invoiced in three parts, and to Bob, whose week is one invoice. The
week begins at 09:17:05. What OpenMeter bills is rated from quantities alone, each part given the rounded ones before.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import polars as pl
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from focus_assets.catalog.models import RateCard
from focus_assets.catalog.periods import Period
from focus_assets.rating.detailed_lines import Line, detailed_lines, line_tables
from focus_assets_tests.billing.weeks import Weeks, configuration
from focus_assets_tests.rating.months import EXAMPLES, HOURS, START, Month
from focus_assets_tests.rating.test_spend_limits import limited_months

D = Decimal
CENT = D("0.01")
BATCHES = max(EXAMPLES // 40, 1)
BEGIN = dt.datetime(2026, 8, 1, 9, 17, 5, tzinfo=dt.UTC)
WEEK = Period(BEGIN, BEGIN + dt.timedelta(days=7))
CUTS = [dt.datetime(2026, 8, 3, 12, tzinfo=dt.UTC), dt.datetime(2026, 8, 5, 23, 59, 59, tzinfo=dt.UTC)]

Used = Sequence[tuple[dt.datetime, Decimal]]


def noon(hour: int) -> dt.datetime:
    """The noon of the week at which what is used in an hour of a month is used here."""
    return dt.datetime(2026, 8, 1 + hour * 7 // HOURS, 12, tzinfo=dt.UTC)


def used(month: Month) -> Used:
    hours = ((int((at - START) / dt.timedelta(hours=1)), D(quantity)) for at, _, _, quantity in month.windows)
    return [(noon(hour), quantity) for hour, quantity in hours]


def company(root: Path, months: Sequence[Month]) -> Weeks:
    cards = [
        json.loads(month.charge.rate_card.model_dump_json(exclude_none=True))
        | {"feature": f"f{n}", "key": f"f{n}"}
        for n, month in enumerate(months)
    ]
    subscribed = {"plan": "basic", "active_from": BEGIN}
    meter = configuration()["meters"][1]
    catalog = configuration(
        meters=[meter | {"slug": f"f{n}"} for n in range(len(months))],
        features=[{"key": f"f{n}", "meter": f"f{n}"} for n in range(len(months))],
        plans=[{"key": "basic", "billing_cadence": "P1W", "rate_cards": cards}],
        subscriptions=[
            subscribed | {"customer": "ann", "progressive_billing": CUTS},
            subscribed | {"customer": "bob"},
        ],
    )
    usage = [
        (at.day, customer, f"f{n}", None, f"{quantity:f}")
        for customer in ("ann", "bob")
        for n, month in enumerate(months)
        for at, quantity in used(month)
    ]
    return Weeks(root, usage=usage, catalog=catalog, as_of=dt.datetime(2026, 8, 12, tzinfo=dt.UTC))


def bounds(card: RateCard, customer: str) -> list[dt.datetime]:
    """Volume tiers wait for the end of the period."""
    is_cut = customer == "ann" and getattr(card.price, "mode", None) != "volume"
    return [WEEK.start, *(CUTS if is_cut else ()), WEEK.end]


def billed_by_openmeter(months: Sequence[Month]) -> dict[tuple[str, str, dt.datetime], Decimal]:
    """By customer, feature and the end of a part."""
    found: dict[tuple[str, str, dt.datetime], Decimal] = {}
    gross: dict[tuple[str, str], Decimal] = {}
    for number in range(len(CUTS) + 1):
        lines, ends = [], {}
        for n, month in enumerate(months):
            card = month.charge.rate_card
            for customer in ("ann", "bob"):
                at = bounds(card, customer)
                if number + 1 >= len(at):
                    continue
                part = Period(at[number], at[number + 1])
                name = f"{customer}/f{n}"
                ends[name] = (customer, f"f{n}", part.end)
                lines.append(
                    Line(
                        line_id=name,
                        price=card.price,
                        discounts=card.discounts,
                        unit_config=card.unit_config,
                        minor_unit=CENT,
                        period=part,
                        full_period=WEEK,
                        before=sum((q for t, q in used(month) if t < part.start), D(0)),
                        quantity=sum((q for t, q in used(month) if part.start <= t < part.end), D(0)),
                        previously_billed=gross.get((customer, f"f{n}"), D(0)),
                    )
                )
        tables = line_tables(lines)
        rated = detailed_lines(tables.lines, tables.tiers, tables.credits).collect()
        for name, amount, total in rated.select("line_id", "amount", "total").iter_rows():
            customer, feature, end = ends[name]
            gross[customer, feature] = gross.get((customer, feature), D(0)) + amount
            found[customer, feature, end] = found.get((customer, feature, end), D(0)) + total
    return {key: total for key, total in found.items() if total != 0}


def billed_here(found: Weeks, months: Sequence[Month]) -> dict[tuple[str, str, dt.datetime], Decimal]:
    rows = found.rows().filter(pl.col("BillingPeriodStart") == WEEK.start)
    sums: dict[tuple[str, str, dt.datetime], Decimal] = {}
    columns = ("x_CustomerKey", "x_FeatureKey", "ChargePeriodStart", "BilledCost")
    for customer, feature, start, cost in rows.select(columns).iter_rows():
        card = months[int(feature[1:])].charge.rate_card
        end = next(each for each in bounds(card, customer) if start < each)
        sums[customer, feature, end] = sums.get((customer, feature, end), D(0)) + cost
    return {key: total for key, total in sums.items() if total != 0}


@given(
    st.lists(limited_months(), min_size=2, max_size=2).map(lambda batches: [m for b in batches for m in b])
)
@settings(max_examples=BATCHES, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_days_and_what_rounding_adds_come_to_what_openmeter_bills(months: list[Month]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = company(Path(folder), months).compute(1, 8, anew=True)
        here, there = billed_here(found, months), billed_by_openmeter(months)
        different = {key for key in {*here, *there} if here.get(key) != there.get(key)}
        assert {(key, here.get(key), there.get(key)) for key in different} == set()
        lines = found.reconciled()
        assert lines.filter(pl.col("finding").is_not_null()).rows() == []
        assert set(lines["difference"]) <= {D(0)}
