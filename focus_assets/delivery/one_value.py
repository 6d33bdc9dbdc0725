"""One value over all days of a billing month: a service has one category, whichever day of the month shows it.

What belongs here: rules of one value asked of several days together. What does not: every other rule, which a day
breaks or keeps by itself (``gate``).

Asked of what a destination shows, of the rows in its scope alone: another customer's rows hold nobody back. Rows of an
issued invoice never change, so where they contradict one another already nothing could be mended, and they are
delivered as they are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from focus_assets.delivery.errors import DeliveryRefused
from focus_assets.focus.rules import OneValueRule, rules_for
from focus_assets.settings import Destination

_DAY: Final = "charge_date"
_ESTIMATED: Final = "x_IsEstimated"


def differs(days: Mapping[dt.date, pl.LazyFrame], version: str) -> bool:
    """Whether some key of a blocking rule has several values over ``days``, whose rows are as stored."""
    return any(not _contradicting(days, rule).is_empty() for rule in _rules(version))


def require_one_value(month: str, destination: Destination, days: Mapping[dt.date, pl.LazyFrame]) -> None:
    """Raise :class:`DeliveryRefused` where days of a month contradict one another and that can be mended still.

    ``days``: rows in the destination's scope with its dimensions, as stored.
    """
    for rule in _rules(destination.focus_version):
        found = _contradicting(days, rule)
        for values in found.partition_by("key", maintain_order=True):
            if values["issued"].sum() > 1:
                continue
            key = values["key"][0]
            first, other = values.select("value", _DAY).head(2).iter_rows()
            raise DeliveryRefused(
                f"billing month {month} was not delivered to {destination.name}: FOCUS {destination.focus_version}: "
                f"{rule.id} (blocking): {rule.sentence.rstrip('.')}. "
                f"{rule.key} {key!r} has {rule.value} {first[0]!r} on {first[1]} and {other[0]!r} on {other[1]}. "
                f"Give what changed another {rule.key}, in the configuration or in "
                f"destinations[{destination.name}].dimensions; or, where the invoice is not out yet, "
                f"compute the earlier days again. "
                f"Run: focus-assets materialize --from {first[1]:%F} --to {max(days):%F}"
            )


def _rules(version: str) -> Sequence[OneValueRule]:
    return [rule for rule in rules_for(version) if rule.blocking and isinstance(rule, OneValueRule)]


def _contradicting(days: Mapping[dt.date, pl.LazyFrame], rule: OneValueRule) -> pl.DataFrame:
    """Key, value, first day and whether a row is on an issued invoice, of keys with several values."""
    held = [
        rows.select(pl.lit(day).alias(_DAY), key=rule.key, value=rule.value, issued=~pl.col(_ESTIMATED))
        for day, rows in days.items()
    ]
    if not held:
        return pl.DataFrame()
    return (
        pl.concat(held)
        .drop_nulls(["key", "value"])
        .group_by("key", "value")
        .agg(pl.col(_DAY).min(), pl.col("issued").any())
        .filter(pl.len().over("key") > 1)
        .sort("key", _DAY, "value")
        .collect()
    )
