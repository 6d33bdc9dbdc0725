"""Random months: charges at random prices, random usage, cut into random days; many are rated in one call.

Rating a batch costs little more than rating one charge, and charges know nothing of each other.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl
from hypothesis import strategies as st

from focus_assets.catalog.charges import Charge, ChargeSlice
from focus_assets.catalog.periods import Period
from focus_assets.rating import SPLITS
from focus_assets.rating.lines import EARLIER_USAGE
from focus_assets_tests.rating.charges import (
    END,
    HOUR,
    START,
    Window,
    charge,
    graduated,
    opening,
    package,
    rated,
    slices,
    unit,
    usage,
    volume,
)

EXAMPLES = int(os.environ.get("FOCUS_ASSETS_EXAMPLES", "200"))
"""Months that each property is tried on; more of them in a longer run."""

BATCH = 10
BATCHES = max(EXAMPLES // BATCH, 1)

HOURS = int((END - START) / HOUR)

MEASURES = (
    "consumed_quantity",
    "pricing_quantity",
    "list_cost",
    "contracted_cost",
    "billed_cost",
    "effective_cost",
)


def decimal_text(largest: int, places: int, smallest: int = 0) -> st.SearchStrategy[str]:
    return st.integers(smallest, largest).map(lambda n: f"{Decimal(n).scaleb(-places):f}")


amounts = st.one_of(decimal_text(10**13, 12), decimal_text(500, 2), st.just("0"))


@st.composite
def tiers(draw: st.DrawFn, places: int = 9) -> list[tuple[str | None, str | None, str | None]]:
    bounds = sorted(draw(st.sets(st.integers(1, 40 * 10**places), max_size=4)))
    found = []
    for bound in [*bounds, None]:
        rate, fee = draw(st.tuples(st.none() | amounts, st.none() | amounts))
        upto = None if bound is None else f"{Decimal(bound).scaleb(-places):f}"
        found.append((upto, "0" if rate is None and fee is None else rate, fee))
    return found


def graduated_prices(places: int = 9) -> st.SearchStrategy[dict[str, Any]]:
    return tiers(places).map(lambda found: graduated(*found))


def volume_prices(places: int = 9) -> st.SearchStrategy[dict[str, Any]]:
    return tiers(places).map(lambda found: volume(*found))


def prices(places: int) -> st.SearchStrategy[dict[str, Any]]:
    """Prices of each unit by itself."""
    multiplied = amounts.map(lambda amount: {"type": "dynamic", "multiplier": amount})
    return st.one_of(amounts.map(unit), graduated_prices(places), multiplied, st.just({"type": "free"}))


def unit_configs() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "operation": st.sampled_from(["multiply", "divide"]),
            "conversion_factor": st.sampled_from(["0.25", "3", "1000", "0.001", "7.5"]),
            "rounding": st.sampled_from(["none", "ceiling", "floor", "half_up"]),
            "precision": st.integers(0, 3),
        }
    )


KINDS = ("marginal", "volume", "package", "converted", "converted_volume")


@st.composite
def terms(draw: st.DrawFn, places: int, kind: str) -> dict[str, Any]:
    """Own and published price, free units and conversion of a charge, such that the prices can be compared."""
    free = st.none() | decimal_text(30 * 10**places, places)
    found: dict[str, Any] = {"free": draw(free), "published_free": draw(free)}
    if kind == "package":
        size = draw(decimal_text(20 * 10**places, places, smallest=1))
        own, listed = draw(amounts), draw(st.none() | amounts)
        found |= {"price": package(own, size), "published": listed and package(listed, size)}
        found["published_free"] = draw(st.sampled_from([None, found["free"]]))
        return found
    if kind.endswith("volume"):
        either = st.one_of(volume_prices(places), amounts.map(unit))
        found |= {"price": draw(volume_prices(places)), "published": draw(st.none() | either)}
        if found["published"] is not None and draw(st.booleans()):
            found["price"], found["published"] = found["published"], found["price"]
    else:
        found |= {"price": draw(prices(places)), "published": draw(st.none() | prices(places))}
    if kind.startswith("converted") and found["price"]["type"] != "dynamic":
        found["unit_config"] = draw(unit_configs())
    return found


def windows(places: int, *, falling: bool) -> st.SearchStrategy[list[Window]]:
    """At most 12 windows; where ``falling``, some take back usage, never more than there was before."""
    window = st.tuples(
        st.integers(0, HOURS - 1),
        st.sampled_from(["a", "b"]),
        st.sampled_from(['{"m":"x"}', '{"m":"y"}']),
        st.integers(-5 * 10**places if falling else 0, 10 ** (places + 1)),
    )

    def never_below_zero(found: list[tuple[int, str, str, int]]) -> list[Window]:
        kept: list[Window] = []
        to_date = 0
        for hour, subject, dimensions, units in sorted(found):
            units = max(units, -to_date)
            to_date += units
            quantity = f"{Decimal(units).scaleb(-places):f}"
            kept.append((START + hour * HOUR, subject, dimensions, quantity))
        return kept

    return st.lists(window, max_size=12).map(never_below_zero)


@dataclass(frozen=True)
class Month:
    """A charge, its usage, and the hours at which its period is cut into days.

    ``exact``: quantities have six places at most, so that no cost needs rounding to its eighteenth.
    """

    charge: Charge
    windows: list[Window]
    cuts: list[int]
    exact: bool = False

    @property
    def days(self) -> list[ChargeSlice]:
        return slices(self.charge, [START, *(START + hour * HOUR for hour in self.cuts), END])

    @property
    def quantity(self) -> Decimal:
        return sum((Decimal(window[3]) for window in self.windows), Decimal(0))

    def usage_of(self, day: ChargeSlice) -> pl.LazyFrame:
        return usage(day, [w for w in self.windows if day.period.start <= w[0] < day.period.end])

    def before(self, day: ChargeSlice) -> Decimal:
        return self.used_before(day.period.start)

    def used_before(self, instant: dt.datetime) -> Decimal:
        return sum((Decimal(w[3]) for w in self.windows if w[0] < instant), Decimal(0))

    def parts(self, cuts: Sequence[int]) -> list[Period]:
        """The parts that the hours ``cuts`` make of the period."""
        instants = [START, *(START + hour * HOUR for hour in cuts), END]
        return [Period(start, end) for start, end in pairwise(instants)]

    def opening_of(self, day: ChargeSlice) -> pl.LazyFrame:
        before = self.before(day)
        return opening({day.charge.charge_id: f"{before:f}"} if before else {})

    def earlier_of(self, day: ChargeSlice) -> pl.LazyFrame:
        """What totals of the days before say of charges with volume tiers."""
        key = ["slice_from", "subject", "dimensions"]
        before = [self.usage_of(d) for d in self.days if d.period.start < day.period.start]
        if not before or not self.charge.is_priced_by_total:
            return pl.LazyFrame(schema=EARLIER_USAGE)
        summed = pl.concat(before).group_by(key).agg(pl.col("quantity").sum())
        return summed.with_columns(pl.lit(day.charge.charge_id).alias("charge_id")).select(
            EARLIER_USAGE.names()
        )

    def rated_day_by_day(self, chosen: Sequence[int] | None = None) -> pl.DataFrame:
        """Each day as if nothing were known of the others, in one call: every day is a charge of its own."""
        return day_by_day([self], None if chosen is None else {self.charge.charge_id: chosen})

    def rated_in_runs(self, order: Sequence[int]) -> pl.DataFrame:
        """Each day in a call of its own."""
        days = self.days
        return pl.concat(
            [
                rated(
                    [days[n]],
                    self.usage_of(days[n]),
                    self.opening_of(days[n]),
                    self.earlier_of(days[n]),
                )
                for n in order
            ]
        )

    def rated_whole(self) -> pl.DataFrame:
        return whole([self])


def day_by_day(
    months: Sequence[Month],
    chosen: dict[str, Sequence[int]] | None = None,
    splits: Sequence[Sequence[int]] | None = None,
) -> pl.DataFrame:
    """Each day of each month as if nothing were known of the others: every day is a charge of its own.

    ``splits``: the hours at which each month's period is invoiced in parts.
    """
    alone = [
        (month, replace(day, charge=replace(day.charge, charge_id=f"{day.charge.charge_id}@{n}")))
        for month in months
        for n, day in enumerate(month.days)
        if chosen is None or n in chosen[month.charge.charge_id]
    ]
    lines = rated(
        [day for _, day in alone],
        _one(month.usage_of(day) for month, day in alone),
        _one(month.opening_of(day) for month, day in alone),
        _one(month.earlier_of(day) for month, day in alone),
        None
        if splits is None
        else _one(splits_of(month, splits[months.index(month)], day) for month, day in alone),
    )
    return lines.with_columns(pl.col("charge_id").str.replace("@.*", ""))


def splits_of(month: Month, cuts: Sequence[int], day: ChargeSlice) -> pl.LazyFrame:
    """SPLITS of a day's charge up to the part that holds the day."""
    rows = [
        (day.charge.charge_id, part.start, part.end, month.used_before(part.start), None, Decimal(0))
        for part in (month.parts(cuts) if cuts else ())
        if part.start < day.period.end
    ]
    return pl.LazyFrame(rows, schema=SPLITS, orient="row")


def whole(months: Sequence[Month]) -> pl.DataFrame:
    """Each month's whole period rated at once."""
    pieces = [(month, *slices(month.charge)) for month in months]
    return rated([piece for _, piece in pieces], _one(month.usage_of(piece) for month, piece in pieces))


def _one(frames: Iterable[pl.LazyFrame]) -> pl.LazyFrame:
    """One frame of rows: rating plans its input many times over."""
    return pl.concat(frames).collect().lazy()


@st.composite
def month(
    draw: st.DrawFn, *, falling: bool = False, kinds: Sequence[str] = KINDS, charge_id: str = "acme/tokens"
) -> Month:
    places = draw(st.sampled_from([6, 9]))
    cuts = sorted(draw(st.sets(st.integers(1, HOURS - 1), max_size=6)))
    kind = draw(st.sampled_from(kinds))
    of = charge(charge_id=charge_id, **draw(terms(places, kind)))
    exact = places == 6 and of.rate_card.unit_config is None
    return Month(of, draw(windows(places, falling=falling)), cuts, exact=exact)


@st.composite
def months(draw: st.DrawFn, *, falling: bool = False, kinds: Sequence[str] = KINDS) -> list[Month]:
    """A batch of months whose charges are called by their place in it."""
    return [draw(month(falling=falling, kinds=kinds, charge_id=f"charge-{n}")) for n in range(BATCH)]
