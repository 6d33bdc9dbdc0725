"""The price table: ranges of each charge's quantity to date that have one contracted and one list price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.models import Price
from focus_assets.catalog.rate_card_terms import Discounts
from focus_assets.rating.charge_limits import contracted_factor
from focus_assets.rating.lines import FREE_COMPONENT, SEGMENTS, TIER_FEE_COMPONENT, USAGE_COMPONENT
from focus_assets.rating.prices import Schedule, schedule_of

_Row = tuple[str, int | None, Decimal, Decimal | None, Decimal | None, Decimal | None, bool]
_Terms = tuple[tuple[Price, Discounts], tuple[Price, Discounts], Decimal]


def price_table(slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """:data:`~focus_assets.rating.lines.SEGMENTS` of every charge in ``slices``, sorted.

    The published price may be tiered otherwise than the charge's own: a customer with one unit price on a
    plan of four tiers, say. Segments then are the union of both prices' bounds, numbered from 1, and each has
    one price of either kind; where both prices have the same tiers, a segment's number is its tier's. What the
    charge's own discount leaves free is the component ``free``.
    """
    charges = {s.charge.charge_id: s.charge for s in slices}
    known: dict[_Terms, list[_Row]] = {}
    rows: list[tuple[str, *_Row]] = []
    for charge_id, charge in sorted(charges.items()):
        factor = contracted_factor(charge)
        own = (charge.rate_card.price, charge.rate_card.discounts)
        terms = (own, (charge.list_price, charge.list_discounts), factor)
        if terms not in known:
            known[terms] = list(_segments(schedule_of(*terms[0]).times(factor), schedule_of(*terms[1])))
        rows += [(charge_id, *row) for row in known[terms]]
    return pl.LazyFrame(rows, schema=SEGMENTS, orient="row")


def _segments(contracted: Schedule, published: Schedule) -> Iterator[_Row]:
    starts = sorted({band.start for band in (*contracted.bands, *published.bands)})
    ends = [*starts[1:], None]
    free = [contracted.at(start).free for start in starts]
    ranges = list(zip(_numbers(free, contracted.tiered or published.tiered), free, starts, ends, strict=True))
    for tier, _, start, end in ranges:
        own, listed = _fee_at(contracted, start), _fee_at(published, start)
        if own is not None or listed is not None:
            number = 1 if tier is None else tier
            yield TIER_FEE_COMPONENT, number, start, end, own, listed, contracted.refuses_negative
    for tier, is_free, start, end in ranges:
        own, listed = contracted.at(start).unit_price, published.at(start).unit_price
        component = FREE_COMPONENT if is_free else USAGE_COMPONENT
        yield component, tier, start, end, own, listed, contracted.refuses_negative


def _numbers(free: Sequence[bool], tiered: bool) -> list[int | None]:
    """Segments are numbered from 1 behind the free one; all of them where a published price splits that one."""
    if sum(free) > 1:
        return list(range(1, len(free) + 1))
    paid = len(free) - sum(free)
    numbers: list[int | None] = [*range(1, paid + 1)] if tiered or paid > 1 else [None]
    return [None, *numbers] if any(free) else numbers


def _fee_at(schedule: Schedule, start: Decimal) -> Decimal | None:
    band = schedule.at(start)
    return band.flat_price if band.start == start else None
