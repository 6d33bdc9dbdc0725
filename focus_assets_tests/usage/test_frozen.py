"""Which usage of a day counts as late when an invoice's quantity was frozen at less than was metered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

import polars as pl

from focus_assets.decimals import METERED_QUANTITY, UTC_INSTANT
from focus_assets.usage.frozen import LATE, frozen_usage

D = Decimal
DAY, NEXT = dt.datetime(2026, 8, 7, tzinfo=dt.UTC), dt.datetime(2026, 8, 8, tzinfo=dt.UTC)
USAGE = pl.Schema(
    {
        "charge_id": pl.String(),
        "slice_from": UTC_INSTANT,
        "slice_to": UTC_INSTANT,
        "window_from": UTC_INSTANT,
        "subject": pl.String(),
        "dimensions": pl.String(),
        "quantity": METERED_QUANTITY,
    }
)
EARLIER = pl.Schema(
    {name: USAGE[name] for name in ("charge_id", "window_from", "subject", "dimensions", "quantity")}
)


def frozen(
    late: str, today: Sequence[tuple[int, str]], before: Sequence[tuple[int, str]] = ()
) -> list[tuple[int, str | None, Decimal]]:
    """Hour, subject and quantity of what is left of the day; windows are (hour, quantity), each of its own subject."""
    of_day = [("c", DAY, NEXT, DAY.replace(hour=hour), f"s{hour}", "{}", D(n)) for hour, n in today]
    earlier = [("c", DAY.replace(day=6, hour=hour), f"s{hour}", "{}", D(n)) for hour, n in before]
    found = frozen_usage(
        pl.DataFrame(of_day, USAGE, orient="row"),
        pl.DataFrame(earlier, EARLIER, orient="row"),
        pl.DataFrame([("c", DAY, NEXT, D(late))], LATE, orient="row"),
    )
    rows = found.select(pl.col("window_from").dt.hour(), "subject", "quantity").rows()
    return sorted(rows, key=str)


def test_what_was_used_last_of_the_day_is_taken_first() -> None:
    assert frozen("7", [(9, "10"), (15, "5")]) == [(9, "s9", D(8))]


def test_what_the_day_does_not_have_is_taken_back_of_the_days_before() -> None:
    assert frozen("7", [(9, "3")], [(8, "1"), (20, "2")]) == [
        (0, "s20", D(-2)),
        (0, "s8", D(-1)),
        (0, None, D(-1)),
    ]


def test_what_was_billed_and_is_not_there_any_more_is_added_to_the_last_window() -> None:
    assert frozen("-7", [(9, "3"), (15, "5")]) == [(15, "s15", D(12)), (9, "s9", D(3))]
    assert frozen("-7", []) == [(0, None, D(7))]
