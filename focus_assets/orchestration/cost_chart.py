"""A picture of cost by day and service: stacked bars as an SVG of its own.

What belongs here: drawing. What does not: which days and costs (``metadata``). Written by hand because the Dagster
UI shows an SVG in an ``<img>``, at the size it names, without scripts or fonts; chart libraries name none, and what
they write is ten times as large, in every event that carries it. Positions are computed in decimals: no cost is
rounded to a float on its way to its label.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final
from xml.sax.saxutils import escape

from focus_assets.decimals import currency_digits

CostByDay = Mapping[dt.date, Mapping[str, Decimal]]

WIDTH: Final = 1000
HEIGHT: Final = 460
OTHERS: Final = "Other services"
_SHOWN_SERVICES: Final = 7
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 20, 64, 96
_TICKS: Final = 5
_DAY_LABELS: Final = 16
_LEGEND_COLUMNS: Final = 4
# Okabe and Ito's colours, told apart by most people with a colour vision deficiency; grey is for the others.
_COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A800", "#8A8A8A")
_INK, _FAINT, _GRID = "#1B1F2A", "#5F6B7A", "#E3E7EC"
_STYLE: Final = "font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"


def cost_chart_svg(costs: CostByDay, currency: str) -> str:
    """Stacked bars, one per day, one colour per service; credits hang below the line.

    The services that cost most over all days are named, the others added up. Days without an entry between the
    first and the last stay empty.
    """
    days = _days(costs)
    services, stacks = _ranked(costs)
    scale = _Scale.over(costs)
    total = sum((cost for by_service in costs.values() for cost in by_service.values()), Decimal(0))
    span = f"{days[0]:%d %b %Y} to {days[-1]:%d %b %Y}: {_money(total, currency)} {currency}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" style="{_STYLE}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#FFFFFF"/>',
        _text(24, 28, "Billed cost by day and service", size=17, weight=600),
        _text(24, 49, span, size=13, colour=_FAINT),
        *_grid(scale, currency),
        *_bars(days, services, stacks, scale),
        *_day_labels(days),
        *_legend(services, stacks, currency),
        "</svg>",
    ]
    return "".join(parts)


@dataclass(frozen=True)
class _Scale:
    """Cost to pixels: a step that people count in, and whole steps below and above."""

    low: Decimal
    high: Decimal
    step: Decimal

    @classmethod
    def over(cls, costs: CostByDay) -> _Scale:
        high = max((_sum(c for c in day.values() if c > 0) for day in costs.values()), default=Decimal(0))
        low = min((_sum(c for c in day.values() if c < 0) for day in costs.values()), default=Decimal(0))
        step = _step(max(high - low, Decimal("0.01")) / _TICKS)
        steps_up = max((high / step).to_integral_value(ROUND_CEILING), Decimal(1))
        return cls((low / step).to_integral_value(ROUND_FLOOR) * step, steps_up * step, step)

    def y(self, cost: Decimal) -> Decimal:
        """The pixel line of a cost, to a tenth."""
        share = (self.high - cost) / (self.high - self.low)
        return (_TOP + share * (HEIGHT - _TOP - _BOTTOM)).quantize(Decimal("0.1"))

    def ticks(self) -> Iterator[Decimal]:
        """Every whole step."""
        tick = self.low
        while tick <= self.high:
            yield tick
            tick += self.step


def _step(rough: Decimal) -> Decimal:
    """The next of 1, 2, 2.5, 5 or 10 times a power of ten."""
    power = Decimal(1).scaleb(rough.adjusted())
    return next(
        factor * power for factor in map(Decimal, ("1", "2", "2.5", "5", "10")) if factor * power >= rough
    )


def _sum(costs: Iterator[Decimal]) -> Decimal:
    return sum(costs, Decimal(0))


def _days(costs: CostByDay) -> list[dt.date]:
    first, last = min(costs), max(costs)
    return [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]


def _ranked(costs: CostByDay) -> tuple[list[str], dict[dt.date, dict[str, Decimal]]]:
    """Services by cost over all days, and the costs of each day under the names that are shown."""
    totals: dict[str, Decimal] = {}
    for by_service in costs.values():
        for service, cost in by_service.items():
            totals[service] = totals.get(service, Decimal(0)) + cost
    ranked = sorted(totals, key=lambda service: (-totals[service], service))
    named = ranked if len(ranked) <= _SHOWN_SERVICES + 1 else ranked[:_SHOWN_SERVICES]
    stacks: dict[dt.date, dict[str, Decimal]] = {}
    for day, by_service in costs.items():
        stack = stacks.setdefault(day, {})
        for service, cost in by_service.items():
            name = service if service in named else OTHERS
            stack[name] = stack.get(name, Decimal(0)) + cost
    return (named if len(named) == len(ranked) else [*named, OTHERS]), stacks


def _grid(scale: _Scale, currency: str) -> Iterator[str]:
    digits = (
        0 if scale.step >= 1 and scale.step == scale.step.to_integral_value() else currency_digits(currency)
    )
    for tick in scale.ticks():
        y = scale.y(tick)
        colour = _FAINT if tick == 0 else _GRID
        yield f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="{colour}"/>'
        yield _text(_LEFT - 10, y + 4, f"{tick:,.{digits}f}", anchor="end", colour=_FAINT)


def _bars(
    days: Sequence[dt.date],
    services: Sequence[str],
    stacks: Mapping[dt.date, Mapping[str, Decimal]],
    scale: _Scale,
) -> Iterator[str]:
    slot = Decimal(WIDTH - _LEFT - _RIGHT) / len(days)
    width = min(slot * Decimal("0.7"), Decimal(64)).quantize(Decimal("0.1"))
    for n, day in enumerate(days):
        x = (_LEFT + slot * n + (slot - width) / 2).quantize(Decimal("0.1"))
        above = below = Decimal(0)
        for service, colour in zip(services, _COLOURS, strict=False):
            cost = stacks.get(day, {}).get(service, Decimal(0))
            if cost > 0:
                top, bottom, above = scale.y(above + cost), scale.y(above), above + cost
            else:
                top, bottom, below = scale.y(below), scale.y(below + cost), below + cost
            if bottom > top:
                yield f'<rect x="{x}" y="{top}" width="{width}" height="{bottom - top}" fill="{colour}"/>'


def _day_labels(days: Sequence[dt.date]) -> Iterator[str]:
    slot = Decimal(WIDTH - _LEFT - _RIGHT) / len(days)
    every = -(-len(days) // _DAY_LABELS)
    for n, day in enumerate(days):
        if n % every == 0:
            x = (_LEFT + slot * n + slot / 2).quantize(Decimal("0.1"))
            yield _text(x, HEIGHT - _BOTTOM + 20, f"{day:%d %b}", anchor="middle", colour=_FAINT)


def _legend(
    services: Sequence[str], stacks: Mapping[dt.date, Mapping[str, Decimal]], currency: str
) -> Iterator[str]:
    column = (WIDTH - _LEFT - _RIGHT) // _LEGEND_COLUMNS
    for n, (service, colour) in enumerate(zip(services, _COLOURS, strict=False)):
        x = _LEFT + column * (n % _LEGEND_COLUMNS)
        y = HEIGHT - 44 + 24 * (n // _LEGEND_COLUMNS)
        total = sum((stack.get(service, Decimal(0)) for stack in stacks.values()), Decimal(0))
        name = service if len(service) <= 18 else f"{service[:17]}…"
        yield f'<rect x="{x}" y="{y - 10}" width="12" height="12" rx="2" fill="{colour}"/>'
        yield _text(x + 18, y, f"{name}  {_money(total, currency)}")


def _money(cost: Decimal, currency: str) -> str:
    return f"{cost:,.{currency_digits(currency)}f}"


def _text(
    x: Decimal | int,
    y: Decimal | int,
    text: str,
    *,
    size: int = 12,
    weight: int = 400,
    anchor: str = "start",
    colour: str = _INK,
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{colour}">{escape(text)}</text>'
    )
