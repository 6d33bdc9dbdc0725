"""Sums over the NASA log computed apart: from the raw lines, with Python decimals, by no code of the package.

Nor by the code that makes the events: a mistake made there shows as a difference here.
"""

from __future__ import annotations

import datetime as dt
import gzip
from collections import defaultdict
from decimal import Context, Decimal, localcontext
from pathlib import Path

_EPOCH = dt.date(1970, 1, 1).toordinal()
_FIRST_PRICE, _SECOND_PRICE, _LAST_PRICE = Decimal("0.0004"), Decimal("0.00025"), Decimal("0.00015")


def node_seconds_oracle(log: Path) -> dict[tuple[str, dt.date], Decimal]:
    """Node-seconds by (user, UTC day of the job's start), where a job started, be it of no length."""
    raw = gzip.decompress(log.read_bytes()).decode().split("\n")
    origin = int(next(line for line in raw if "UnixStartTime" in line).rpartition(" ")[2])
    sums: dict[tuple[str, dt.date], Decimal] = defaultdict(Decimal)
    for line in raw:
        if line and line[0] != ";":
            _, start, _, seconds, processors, _, _, _, _, _, _, user, *_ = line.split()
            day = dt.date.fromordinal(_EPOCH + (origin + int(start)) // 86_400)
            sums[f"user-{user}", day] += Decimal(seconds) * Decimal(processors)
    return dict(sums)


def cost_oracle(log: Path) -> dict[tuple[str, str], Decimal]:
    """Exact cost by (user, UTC month ``YYYY-MM``), for each user and month with a job."""
    used: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for (user, day), quantity in node_seconds_oracle(log).items():
        used[user, f"{day:%Y-%m}"] += quantity
    with localcontext(Context(prec=60)):
        return {key: graduated_cost(quantity) for key, quantity in used.items()}


def graduated_cost(quantity: Decimal) -> Decimal:
    """The first 100,000, the next 4,900,000 and the rest, each at its own price."""
    first, second = Decimal(100_000), Decimal(4_900_000)
    in_first = min(quantity, first)
    in_second = min(quantity - in_first, second)
    rest = quantity - in_first - in_second
    return in_first * _FIRST_PRICE + in_second * _SECOND_PRICE + rest * _LAST_PRICE
