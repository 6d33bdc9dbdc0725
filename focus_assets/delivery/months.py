"""Billing months as the lake holds them: which days hold a month's rows, and a digest of all of them.

What belongs here: reading the records of ``focus_cost_and_usage``. What does not: whether a month may be
delivered (``gate``) or has to be (``due``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from focus_assets.billing.close import ISSUED_WHILE_OPEN, ClosedPeriod
from focus_assets.datasets import CATALOG
from focus_assets.delivery.facts import BILLING_MONTHS, INVOICED, until_of
from focus_assets.errors import FocusAssetsError
from focus_assets.lake import CorruptPartition, Lake, MissingPartitions, PartitionRecord
from focus_assets.settings import CustomersByLabel, Destination

DATASET: Final = "focus_cost_and_usage"
UNRECORDED: Final = "unrecorded"
NO_ROWS: Final = "no rows"
_MONTH: Final = re.compile(r"^\d{4}-(0[1-9]|1[0-2])$")
_DAY: Final = dt.timedelta(days=1)


class UnknownBillingMonth(FocusAssetsError):
    """A text that is no billing month, or a day whose record does not say which months it holds."""


@dataclass(frozen=True)
class BillingMonth:
    """The days of ``focus_cost_and_usage`` that make up a billing month, each with its digest.

    A day belongs to the month when it holds rows of it, lies in the calendar month or in a billing period that began
    in it, or was delivered with it before: such a day without rows is delivered as complete and empty. So a month
    that has lost its rows, because a subscription was corrected, is replaced at its destinations. A day whose record
    cannot be read has the digest ``unrecorded``; the gate refuses it. One without rows of the month has ``no rows``:
    whatever changes there is of other months. ``last_catalog`` is the digest of the catalog
    that the newest day was made from. ``until`` is the last day of its billing periods where some go on after the
    calendar month. ``waiting`` are billing periods of its days that wait for an invoice though another of theirs is
    issued.
    """

    month: str
    digests: Mapping[dt.date, str] = field(default_factory=dict)
    since: dt.date | None = None
    estimates: int | None = None
    last_catalog: str = ""
    until: dt.date | None = None
    waiting: frozenset[ClosedPeriod] = frozenset()

    @property
    def closed(self) -> bool:
        """Whether all its billing periods are closed: no day of it is to come, and no row is an estimate.

        ``estimates`` counts those rows; ``None`` where it is not known.
        """
        return self.estimates == 0 and self.holds_until(self.until)

    def holds_until(self, last: dt.date | None) -> bool:
        """Whether the days of the calendar month are there, and those until ``last``, where a period ends then."""
        first = dt.date.fromisoformat(f"{self.month}-01")
        last = max((first + 32 * _DAY).replace(day=1) - _DAY, last or first)
        return max(self.digests, default=dt.date.min) >= last

    @property
    def days(self) -> list[dt.date]:
        """The month's days, sorted."""
        return sorted(self.digests)

    @property
    def span(self) -> list[dt.date]:
        """Every day from the month's first to its last, also those that hold none of its rows.

        The first is that of the calendar month, or ``since``, the first day of all, where that is known.
        """
        if not self.digests:
            return []
        first, last = min(self.digests), max(self.digests)
        if self.since is not None:
            # A month whose first days were never computed is no whole month, though what is there has no hole.
            first = min(first, max(self.since, dt.date.fromisoformat(f"{self.month}-01")))
        return [first + n * _DAY for n in range((last - first).days + 1)]

    @property
    def source_digest(self) -> str:
        """A digest of the month's days and their contents: differs when anything to deliver does."""
        lines = "".join(f"{day.isoformat()} {self.digests[day]}\n" for day in self.days)
        return hashlib.sha256(lines.encode()).hexdigest()

    def source_digest_for(self, destination: Destination) -> str:
        """:attr:`source_digest`, and where labels choose the customers that of the catalog that holds the labels."""
        if not isinstance(destination.customers, CustomersByLabel):
            return self.source_digest
        return hashlib.sha256(f"{self.source_digest} {self.last_catalog}".encode()).hexdigest()


def billing_months(
    lake: Lake,
    since: dt.date | None = None,
    delivered: Mapping[str, tuple[dt.date, dt.date]] | None = None,
) -> dict[str, BillingMonth]:
    """Every billing month of the lake, sorted; reads the record of each day.

    ``since``: the first day of all; ``delivered``: the first and last day that destinations have of each month
    (:func:`~focus_assets.delivery.ledger.days_delivered`).
    """
    digests: dict[str, dict[dt.date, str]] = {}
    estimates: dict[str, int | None] = {}
    catalogs: dict[str, str] = {}
    waiting: dict[str, set[str]] = {}
    records = _records(lake)
    months = {day: {month_of(day)} | (_held(record) if record else set()) for day, record in records.items()}
    until = _until(records.values())
    for month, last in until.items():
        for day in records:
            if dt.date.fromisoformat(f"{month}-01") <= day <= last:
                months[day].add(month)
    for month, (first, last) in (delivered or {}).items():
        own = [day for day, of in months.items() if month in of]
        for day in records:
            # Only before and after the month's own days: what lies between them never belonged to it.
            if first <= day <= last and not (own and min(own) <= day <= max(own)):
                months[day].add(month)
    for day, record in records.items():
        for month in months[day]:
            digests.setdefault(month, {})[day] = _digest(record, month)
            catalogs[month] = "" if record is None else record.inputs.get(f"{CATALOG.name}/{day:%F}", "")
            waiting.setdefault(month, set()).update(record.facts.get(ISSUED_WHILE_OPEN, ()) if record else ())
            counted = estimates.setdefault(month, 0)
            more = None if record is None else _estimates(record, month)
            estimates[month] = None if counted is None or more is None else counted + more
    return {
        month: BillingMonth(
            month,
            digests[month],
            since,
            estimates[month],
            catalogs[month],
            until.get(month),
            frozenset(map(ClosedPeriod.parse, waiting[month])),
        )
        for month in sorted(digests)
    }


def months_of(lake: Lake) -> dict[str, list[dt.date]]:
    """The days of each billing month: those that hold rows of it, and the calendar month's own."""
    return {month: held.days for month, held in billing_months(lake).items()}


def month_of(day: dt.date) -> str:
    """The calendar month of ``day``, such as ``2026-08``."""
    return f"{day:%Y-%m}"


def parse_month(text: str) -> str:
    """``text`` if it is a billing month such as ``2026-08``; else :class:`UnknownBillingMonth` is raised."""
    if not _MONTH.match(text):
        raise UnknownBillingMonth(f"{text!r} is no billing month; write year and month, such as 2026-08")
    return text


def _records(lake: Lake) -> dict[dt.date, PartitionRecord | None]:
    days = lake.days(DATASET)
    try:
        return dict(lake.records(DATASET, days))
    except (CorruptPartition, MissingPartitions):
        return {day: _record(lake, day) for day in days}


def _record(lake: Lake, day: dt.date) -> PartitionRecord | None:
    try:
        return lake.record(DATASET, day)
    except CorruptPartition:
        return None


def _digest(record: PartitionRecord | None, month: str) -> str:
    if record is None:
        return UNRECORDED
    return record.sha256 if month in _held(record) else NO_ROWS


def _until(records: Iterable[PartitionRecord | None]) -> dict[str, dt.date]:
    """The last day of the billing periods of each month that has some which go on after it."""
    found: dict[str, dt.date] = {}
    for record in records:
        for month, entry in record.facts[BILLING_MONTHS].items() if record else ():
            if (last := until_of(entry)) is not None:
                found[month] = max(found.get(month, last), last)
    return found


def _estimates(record: PartitionRecord, month: str) -> int:
    facts = record.facts[BILLING_MONTHS].get(month, {})
    return int(facts.get("rows", 0)) - int(facts.get(INVOICED, 0))


def _held(record: PartitionRecord) -> set[str]:
    held = record.facts.get(BILLING_MONTHS)
    if not isinstance(held, Mapping):
        raise UnknownBillingMonth(
            f"the record of {DATASET} on {record.day} does not say which billing months it holds; "
            f"materialize {DATASET} for {record.day} again. Nothing was delivered."
        )
    return {str(month) for month in held}
