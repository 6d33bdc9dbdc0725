"""The two partition keys: the UTC day of the usage chain and the billing month of deliveries."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from focus_assets.settings import Settings


def usage_days(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Every whole UTC day from ``start_date`` to yesterday, or to the day before ``as_of`` where that is set."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(),
        end_date=settings.as_of.date().isoformat() if settings.as_of else None,
        timezone="UTC",
    )


def billing_months(settings: Settings) -> dg.MonthlyPartitionsDefinition:
    """Every UTC month with a day of usage, the current one included.

    It begins a year early: a charge may sit in a billing period that began long before its day.
    """
    first = settings.start_date.replace(day=1)
    end = settings.as_of.date().replace(day=1) + dt.timedelta(days=32) if settings.as_of else None
    return dg.MonthlyPartitionsDefinition(
        start_date=first.replace(year=first.year - 1).isoformat(),
        end_date=end.replace(day=1).isoformat() if end else None,
        timezone="UTC",
        end_offset=0 if end else 1,
    )


def by_range(settings: Settings) -> dg.BackfillPolicy:
    """A backfill runs ``days_per_run`` days in one run: a run costs about 20 s before it does anything."""
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=settings.days_per_run)


def day(key: str) -> dt.date:
    """The day of a partition key."""
    return dt.date.fromisoformat(key)
