"""The price table: ranges of each charge's quantity to date that have one contracted and one list price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.models import Price
from focus_assets.rating.lines import SEGMENTS, TIER_FEE_COMPONENT, USAGE_COMPONENT
from focus_assets.rating.prices import Schedule, schedule_of

_Row = tuple[str, int | None, Decimal, Decimal | None, Decimal | None, Decimal | None, bool]


def price_table(slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """:data:`~focus_assets.rating.lines.SEGMENTS` of every charge in ``slices``, sorted.

    The published price may be tiered otherwise than the charge's own: a customer with one unit price on a
    plan of four tiers, say. Segments then are the union of both prices' bounds, numbered from 1, and each has
    one price of either kind; where both prices have the same tiers, a segment's number is its tier's.
    """
    charges = {s.charge.charge_id: s.charge for s in slices}
    known: dict[tuple[Price, Price], list[_Row]] = {}
    rows: list[tuple[str, *_Row]] = []
    for charge_id, charge in sorted(charges.items()):
        prices = (charge.rate_card.price, charge.list_price)
        if prices not in known:
            known[prices] = list(_segments(schedule_of(prices[0]), schedule_of(prices[1])))
        rows += [(charge_id, *row) for row in known[prices]]
    return pl.LazyFrame(rows, schema=SEGMENTS, orient="row")


def _segments(contracted: Schedule, published: Schedule) -> Iterator[_Row]:
    starts = sorted({band.start for band in (*contracted.bands, *published.bands)})
    ends = [*starts[1:], None]
    numbers = range(1, len(starts) + 1) if contracted.tiered or published.tiered else [None]
    ranges = list(zip(numbers, starts, ends, strict=True))
    for tier, start, end in ranges:
        own, listed = _fee_at(contracted, start), _fee_at(published, start)
        if own is not None or listed is not None:
            yield TIER_FEE_COMPONENT, tier, start, end, own, listed, contracted.refuses_negative
    for tier, start, end in ranges:
        own, listed = contracted.at(start).unit_price, published.at(start).unit_price
        yield USAGE_COMPONENT, tier, start, end, own, listed, contracted.refuses_negative


def _fee_at(schedule: Schedule, start: Decimal) -> Decimal | None:
    band = schedule.at(start)
    return band.flat_price if band.start == start else None
