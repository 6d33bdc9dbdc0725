"""The price table: ranges of each charge's quantity to date that have one contracted and one list price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from decimal import Decimal

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.models import Price
from focus_assets.catalog.rate_card_terms import Discounts
from focus_assets.rating.charge_limits import contracted_factor
from focus_assets.rating.conversions import PACKAGE, Conversion, conversion_of
from focus_assets.rating.lines import (
    BY_TOTAL,
    CONVERTED,
    FREE_COMPONENT,
    MARGINAL,
    SEGMENTS,
    TIER_FEE_COMPONENT,
    USAGE_COMPONENT,
)
from focus_assets.rating.prices import Band, Schedule, schedule_of, times
from focus_assets.rating.prices.free import after_free_units

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Segment:
    """A row of :data:`~focus_assets.rating.lines.SEGMENTS` of some charge, in the order of its columns."""

    component: str
    tier: int | None
    segment_from: Decimal
    segment_to: Decimal | None
    contracted_unit_price: Decimal | None
    list_unit_price: Decimal | None
    refuses_negative: bool
    prices_negative: bool
    method: str
    metered_from: Decimal
    metered_to: Decimal | None
    applies_from: Decimal | None
    applies_to: Decimal | None
    published_at: Decimal
    gross_unit_price: Decimal | None


@dataclass(frozen=True)
class _Terms:
    """What makes two charges have the same segments: prices, discounts, conversion."""

    own: tuple[Price, Discounts]
    published: tuple[Price, Discounts]
    factor: Decimal
    conversion: Conversion | None

    @property
    def free(self) -> tuple[Decimal, Decimal]:
        """Free units of the charge and of the published price, in priced units."""
        own, published = (discounts.usage or _ZERO for _, discounts in (self.own, self.published))
        if self.conversion is None or self.conversion.operation != PACKAGE:
            return own, published
        return self.conversion.priced(own), self.conversion.priced(published)

    def metered(self, priced: Decimal | None) -> Decimal | None:
        return priced if self.conversion is None or priced is None else self.conversion.metered(priced)


def price_table(slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """:data:`~focus_assets.rating.lines.SEGMENTS` of every charge in ``slices``, sorted.

    The published price may be tiered otherwise than the charge's own: a customer with one unit price on a
    plan of four tiers, say. Segments then are the union of both prices' bounds, numbered from 1, and each has
    one price of either kind; where both prices have the same tiers, a segment's number is its tier's. What the
    charge's own discount leaves free is the component ``free``. Prices are comparable in the sense of
    :func:`~focus_assets.catalog.comparable.is_comparable`.
    """
    charges = {s.charge.charge_id: s.charge for s in slices}
    known: dict[_Terms, list[tuple[object, ...]]] = {}
    rows: list[tuple[object, ...]] = []
    for charge_id, charge in sorted(charges.items()):
        terms = _Terms(
            (charge.rate_card.price, charge.rate_card.discounts),
            (charge.list_price, charge.list_discounts),
            contracted_factor(charge),
            conversion_of(charge),
        )
        if terms not in known:
            known[terms] = [astuple(segment) for segment in _segments(terms)]
        rows += [(charge_id, *row) for row in known[terms]]
    return pl.LazyFrame(rows, schema=SEGMENTS, orient="row")


def _segments(terms: _Terms) -> Iterator[Segment]:
    own, published = schedule_of(terms.own[0]), schedule_of(terms.published[0])
    if own.by_total or published.by_total:
        yield from _by_total(own, published, terms)
    else:
        free, published_free = terms.free
        yield from _marginal(after_free_units(own, free), after_free_units(published, published_free), terms)


def _marginal(contracted: Schedule, published: Schedule, terms: _Terms) -> Iterator[Segment]:
    """Every segment prices what falls in it, whatever else is used."""
    starts = sorted({band.start for band in (*contracted.bands, *published.bands)})
    ends = [*starts[1:], None]
    free = [contracted.at(start).free for start in starts]
    numbers = _numbers(free, contracted.tiered or published.tiered)

    def segment(
        component: str,
        tier: int | None,
        start: Decimal,
        end: Decimal | None,
        own: Decimal | None,
        listed: Decimal | None,
    ) -> Segment:
        metered = terms.metered(start) or _ZERO
        return Segment(
            component=component,
            tier=tier,
            segment_from=start,
            segment_to=end,
            contracted_unit_price=times(own, terms.factor),
            list_unit_price=listed,
            refuses_negative=contracted.refuses_negative,
            prices_negative=contracted.prices_negative,
            method=MARGINAL if terms.conversion is None else CONVERTED,
            metered_from=metered,
            metered_to=terms.metered(end),
            applies_from=None,
            applies_to=None,
            # Free units are stated in metered units beside packages, in priced ones otherwise.
            published_at=metered if terms.conversion and terms.conversion.operation == PACKAGE else start,
            gross_unit_price=own,
        )

    for tier, start, end in zip(numbers, starts, ends, strict=True):
        own, listed = _fee_at(contracted, start), _fee_at(published, start)
        if own is not None or listed is not None:
            yield segment(TIER_FEE_COMPONENT, 1 if tier is None else tier, start, end, own, listed)
    for tier, is_free, start, end in zip(numbers, free, starts, ends, strict=True):
        component = FREE_COMPONENT if is_free else USAGE_COMPONENT
        prices = contracted.at(start).unit_price, published.at(start).unit_price
        yield segment(component, tier, start, end, *prices)


def _by_total(own: Schedule, published: Schedule, terms: _Terms) -> Iterator[Segment]:
    """For each tier of either price a segment that prices all of a quantity to date within the tier.

    Free units come first and tiers begin to count behind them. Segments are then split where free units of either
    price end; what is free at both prices does not depend on the tier.
    """
    free, published_free = terms.free
    starts = sorted({start for start, _ in (*_behind(own, free), *_behind(published, published_free))})
    tiers = list(zip(starts, [*starts[1:], None], strict=True))

    def segment(
        component: str,
        tier: int | None,
        part: tuple[Decimal, Decimal | None],
        applies: tuple[Decimal, Decimal | None] | None,
        prices: tuple[Decimal | None, Decimal | None],
    ) -> Segment:
        start = applies[0] if applies else _ZERO
        return Segment(
            component=component,
            tier=tier,
            segment_from=part[0],
            segment_to=part[1],
            contracted_unit_price=times(prices[0], terms.factor),
            list_unit_price=prices[1],
            refuses_negative=False,
            prices_negative=own.prices_negative and not free,
            method=BY_TOTAL,
            metered_from=terms.metered(part[0]) or _ZERO,
            metered_to=terms.metered(part[1]),
            # The first tier is also that of a quantity below zero.
            applies_from=start or None,
            applies_to=applies[1] if applies else None,
            published_at=part[0] if part[0] < published_free else max(start, published_free),
            gross_unit_price=prices[0],
        )

    for number, (start, end) in enumerate(tiers, 1):
        fees = _tier_at(own, free, start).flat_price, _tier_at(published, published_free, start).flat_price
        if fees != (None, None):
            yield segment(TIER_FEE_COMPONENT, number, (_ZERO, None), (start, end), fees)
    bounds = sorted({_ZERO, free, published_free})
    number = 0
    for part in zip(bounds, [*bounds[1:], None], strict=True):
        if part[0] < min(free, published_free):
            yield segment(FREE_COMPONENT, None, part, None, (_ZERO, _ZERO))
            continue
        for tier, (start, end) in enumerate(tiers, 1):
            if end is not None and end <= part[0]:
                continue
            listed = (
                _ZERO if part[0] < published_free else _tier_at(published, published_free, start).unit_price
            )
            if part[0] < free:
                yield segment(FREE_COMPONENT, tier, part, (start, end), (_ZERO, listed))
                continue
            number = number + 1 if published_free > free else tier
            contracted = _tier_at(own, free, start).unit_price
            yield segment(USAGE_COMPONENT, number, part, (start, end), (contracted, listed))


def _behind(schedule: Schedule, free: Decimal) -> Iterator[tuple[Decimal, Band]]:
    """Tiers with their starts in quantities to date, the first from zero."""
    for band in schedule.bands:
        yield (band.start + free if band.start else _ZERO), band


def _tier_at(schedule: Schedule, free: Decimal, start: Decimal) -> Band:
    return [band for begins, band in _behind(schedule, free) if begins <= start][-1]


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
