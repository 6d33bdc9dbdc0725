"""The two partition keys: the UTC day of the usage chain and the billing month of deliveries."""

from __future__ import annotations

import datetime as dt

import dagster as dg

from focus_assets.catalog.charges import first_billing_period
from focus_assets.settings import Settings


def usage_days(settings: Settings) -> dg.DailyPartitionsDefinition:
    """Every whole UTC day from ``start_date`` to yesterday, or to the day before ``as_of`` where that is set."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start_date.isoformat(),
        end_date=settings.as_of.date().isoformat() if settings.as_of else None,
        timezone="UTC",
    )


def billing_months(settings: Settings) -> dg.MonthlyPartitionsDefinition:
    """Every UTC month that a billing period with usage may begin in, up to that of the last day.

    It may begin months before ``start_date``: a charge can sit in a billing period that began long before its day.
    No earlier than that, or the UI would show months that can never be delivered as missing.
    """
    found = (
        first_billing_period(settings.catalog, subscription, settings.start_date)
        for subscription in settings.catalog.subscriptions
    )
    first = min([settings.start_date, *(period.start.date() for period in found if period)])
    last = settings.as_of.date() - dt.timedelta(days=1) if settings.as_of else None
    end = (max(last, first).replace(day=1) + dt.timedelta(days=32)).replace(day=1) if last else None
    return dg.MonthlyPartitionsDefinition(
        start_date=first.replace(day=1).isoformat(),
        end_date=end.isoformat() if end else None,
        timezone="UTC",
        end_offset=0 if end else 1,
    )


def partition_of_month(settings: Settings, month: str) -> str | None:
    """The partition whose run delivers a month such as ``2026-08``; ``None`` where no run can.

    A month before the first is delivered by a run of the first: the configuration may know no billing period any
    more that begins in it, and still what was delivered of it has to be replaced.
    """
    months = billing_months(settings)
    key, first = f"{month}-01", months.get_first_partition_key()
    return key if months.has_partition_key(key) else first if first is not None and key < first else None


def by_range(settings: Settings) -> dg.BackfillPolicy:
    """A backfill runs ``days_per_run`` days in one run: a run costs about 20 s before it does anything."""
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=settings.days_per_run)


def day(key: str) -> dt.date:
    """The day of a partition key."""
    return dt.date.fromisoformat(key)
