"""The gate: everything that forbids delivering a billing month, asked of the bytes about to be delivered.

What belongs here: refusals and what to do about them. What does not: the rules themselves
(``focus.rules``), the control totals (``usage.controls``) and the lake's digests (``lake``).

A check in a run gates that run alone: a day that failed is still in the lake, and an export launched by
hand, or together with good days, would deliver it. So the export asks again, here, and one bad day refuses
the whole month for every destination.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl

from focus_assets.billing.close import ISSUED_WHILE_OPEN, ClosedPeriod
from focus_assets.delivery.errors import DeliveryRefused, MonthNotHeld
from focus_assets.delivery.facts import (
    BILLING_MONTHS,
    INVOICED,
    UNTIL,
    billing_month_facts,
    billing_month_of_row,
)
from focus_assets.delivery.ledger import days_delivered
from focus_assets.delivery.months import DATASET, UNRECORDED, BillingMonth, billing_months, parse_month
from focus_assets.delivery.one_value import differs
from focus_assets.focus.project import project
from focus_assets.focus.rules import AnyRule, TotalsRule, check, rules_for
from focus_assets.lake import CorruptPartition, Lake, MissingPartitions
from focus_assets.lake.remembered import Remembered
from focus_assets.settings import Destination

Control = Callable[[Lake, dt.date], Sequence[str]]
"""Says what is wrong with a day, a sentence each; nothing when all is well."""

Periods = dict[str | None, list[tuple[str, dt.datetime, dt.datetime, bool]]]
"""By customer: account, start, end, and whether some row is an estimate."""

_SHOWN: Final = 5
_conforming: Final = Remembered()
_true_records: Final = Remembered()


@dataclass(frozen=True)
class Refusal:
    """Why a billing month may not be delivered, the day to blame, and what to do about it."""

    month: str
    day: dt.date
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.month}, {self.day.isoformat()}: {self.reason}. {self.remedy}"


@dataclass(frozen=True)
class PassedMonth:
    """A billing month that passed the gate: digests of its days, and the FOCUS versions asked about.

    ``dataset``: what is delivered of it. ``held`` are the days of that, ``span`` is of Cost and Usage in any case.
    ``issued_while_open`` are billing periods of which an invoice is missing, though rows of them are no estimates.
    ``apart`` are those of ``versions`` whose rules of one value days of the month break together: each destination has
    to be asked whether it shows that.
    ``labels`` of each customer are kept here once somebody has looked them up, and so are ``periods``.
    """

    held: BillingMonth
    span: Mapping[dt.date, str]
    versions: frozenset[str] = field(default_factory=frozenset)
    dataset: str = DATASET
    issued_while_open: frozenset[ClosedPeriod] = field(default_factory=frozenset)
    apart: frozenset[str] = field(default_factory=frozenset)
    labels: dict[str, Mapping[str, str]] = field(default_factory=dict, compare=False, repr=False)
    periods: Periods = field(default_factory=dict, compare=False, repr=False)

    @property
    def month(self) -> str:
        """The billing month, such as ``2026-08``."""
        return self.held.month


def refusals(
    lake: Lake,
    held: BillingMonth,
    *,
    versions: Sequence[str] = (),
    controls: Sequence[Control] = (),
) -> list[Refusal]:
    """Every reason against delivering a billing month, by day; empty when it may be delivered.

    Asked of every day from the month's first to its last: that it is there, whole (its digest) and not stale
    (what it was computed from is what the lake holds, all the way up). Asked of the days that are delivered,
    where they are: whatever ``controls`` ask, and that their rows, all of them, break no blocking rule of the
    FOCUS ``versions``.
    """
    unreadable = {day: _unreadable(lake, held.month, day) for day in held.span}
    found = [refusal for refusal in unreadable.values() if refusal is not None]
    whole = [day for day, refusal in unreadable.items() if refusal is None]
    try:
        stale = {day: changed for day, changed in lake.stale_inputs_of(DATASET, whole).items() if changed}
    except CorruptPartition as error:
        found.append(Refusal(held.month, error.day, str(error), materialize(error.day)))
        stale = {}
    found += _stale(held, stale)
    found += [refusal for day in whole if (refusal := _untrue_record(lake, held.month, day)) is not None]
    for day in whole:
        if day in held.digests and day not in stale:
            found += _contradictions(lake, held.month, day, controls)
    asked = [day for day in whole if day in held.digests and day not in stale]
    for version in versions:
        found += _violations(lake, held.month, asked, version)
    return sorted(found, key=lambda refusal: (refusal.day, refusal.reason))


def require_days(
    lake: Lake, month: str, *, controls: Sequence[Control] = (), since: dt.date | None = None
) -> PassedMonth:
    """The billing month, if its days may be delivered; raises :class:`DeliveryRefused` with every refusal."""
    held = billing_months(lake, since, days_delivered(lake, parse_month(month))).get(month)
    if held is None:
        first = dt.date.fromisoformat(f"{month}-01")
        raise MonthNotHeld(
            f"billing month {month} was not delivered: the lake holds no day of it. {materialize(first)}"
        )
    passed = PassedMonth(held, digests_of(lake, held.span))
    _refuse(held.month, refusals(lake, held, controls=controls))
    require_same(lake, passed)
    return replace(passed, issued_while_open=issued_while_open(lake, held.span))


def require_rules(lake: Lake, passed: PassedMonth, version: str) -> PassedMonth:
    """The month, if its rows keep the blocking rules of a FOCUS version; else :class:`DeliveryRefused`."""
    if version in passed.versions:
        return passed
    _refuse(passed.month, list(_violations(lake, passed.month, passed.held.days, version)))
    apart = frozenset() if _is_of_one_value(lake, passed, version) else frozenset({version})
    return replace(passed, versions=passed.versions | {version}, apart=passed.apart | apart)


def require_files(month: str, destination: Destination, files: Mapping[dt.date, pl.LazyFrame]) -> None:
    """Hold data files as they are about to leave against the blocking rules; else :class:`DeliveryRefused`.

    Asked where a destination shows rows otherwise than they are stored: those have passed, these have not.
    """
    found: list[Refusal] = []
    for day, rows in files.items():
        for sentence in _broken(rows, destination.focus_version):
            remedy = f"Mend dimensions, tags or columns of destinations[{destination.name}]"
            found.append(
                Refusal(month, day, f"as destination {destination.name} shows it, {sentence}", remedy)
            )
    _refuse(month, found)


def require_same(lake: Lake, passed: PassedMonth) -> None:
    """Raise :class:`DeliveryRefused` if a day is no longer what passed the gate; asked before a put."""
    now = digests_of(lake, list(passed.span))
    for day, sha256 in passed.span.items():
        if now[day] != sha256 or _unreadable(lake, passed.month, day) is not None:
            raise DeliveryRefused(
                f"billing month {passed.month} was not delivered: {day} was materialized again meanwhile. "
                "Deliver again once that run has ended."
            )


def issued_while_open(lake: Lake, days: Sequence[dt.date]) -> frozenset[ClosedPeriod]:
    """Billing periods with rows on ``days`` that wait for an invoice though another of theirs is issued."""
    return frozenset(
        ClosedPeriod.parse(period)
        for record in lake.records(DATASET, days).values()
        for period in record.facts.get(ISSUED_WHILE_OPEN, ())
    )


def materialize(first: dt.date, last: dt.date | None = None) -> str:
    """The command that computes a range of days, all stages of the chain."""
    return f"Run: focus-assets materialize --from {first:%F} --to {last or first:%F}"


def _says(facts: Mapping[str, Any], held: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the facts of a day say what its file holds.

    Rows of an issued invoice do not count as invoiced while another one of their period is missing, so there may be
    fewer of these; never more.
    """
    said: Mapping[str, Mapping[str, Any]] = facts.get(BILLING_MONTHS, {})
    # Days that were written before records said it do not say until when periods go on.
    held = {
        month: {name: entry[name] for name in entry if name != UNTIL or UNTIL in said.get(month, entry)}
        for month, entry in held.items()
    }
    if not facts.get(ISSUED_WHILE_OPEN):
        return said == held
    without = [
        {month: {name: entry[name] for name in entry if name != INVOICED} for month, entry in months.items()}
        for months in (said, held)
    ]
    return without[0] == without[1] and all(
        entry.get(INVOICED, 0) <= held[month].get(INVOICED, 0) for month, entry in said.items()
    )


def _untrue_record(lake: Lake, month: str, day: dt.date) -> Refusal | None:
    """Which days a month has is read from records; one that says something else than its file would hide rows."""
    record, frame = lake.record(DATASET, day), lake.scan(DATASET, [day])
    said = None if record is None else record.to_json()
    if said in _true_records:
        return None
    held = billing_month_facts(frame)[BILLING_MONTHS]
    rows = frame.select(pl.len()).collect().item()
    if record is not None and record.rows == rows and _says(record.facts, held):
        _true_records.add(said)
        return None
    return Refusal(month, day, "its record does not say what its file holds", materialize(day))


def _refuse(month: str, found: Sequence[Refusal]) -> None:
    if found:
        reasons = "\n".join(f"  {refusal}" for refusal in found)
        raise DeliveryRefused(f"billing month {month} was not delivered:\n{reasons}")


def digests_of(lake: Lake, span: Sequence[dt.date]) -> dict[dt.date, str]:
    """The sha256 of the rows of Cost and Usage on each day; ``unrecorded`` where one of them cannot be read."""
    try:
        return {day: record.sha256 for day, record in lake.records(DATASET, span).items()}
    except (MissingPartitions, CorruptPartition):
        return dict.fromkeys(span, UNRECORDED)


def _unreadable(lake: Lake, month: str, day: dt.date) -> Refusal | None:
    try:
        lake.files(DATASET, [day])
    except MissingPartitions:
        reason = f"{DATASET} is missing, though days before and after it are there"
        return Refusal(month, day, reason, materialize(day))
    except CorruptPartition as error:
        return Refusal(month, day, str(error).rstrip("."), materialize(day))
    return None


def _stale(held: BillingMonth, stale: Mapping[dt.date, Sequence[str]]) -> Iterator[Refusal]:
    """One refusal per stale day; all name the same range, which one run of the chain mends."""
    if not stale:
        return
    remedy = materialize(min(stale), max(stale))
    for day, changed in stale.items():
        names = ", ".join(sorted(changed)[:_SHOWN])
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        reason = f"{DATASET} is stale: {names}{more} changed since it was computed"
        yield Refusal(held.month, day, reason, remedy)


def _contradictions(lake: Lake, month: str, day: dt.date, controls: Sequence[Control]) -> Iterator[Refusal]:
    for control in controls:
        for problem in control(lake, day):
            yield Refusal(month, day, problem.rstrip("."), _mend(day))


def _violations(lake: Lake, month: str, days: Sequence[dt.date], version: str) -> Iterator[Refusal]:
    """What each day breaks of the blocking rules by itself."""
    sha256 = {day: record.sha256 for day, record in lake.records(DATASET, days).items()}
    asked = [day for day in days if not conforms(sha256[day], version)]
    rules = _rules_left(lake, asked, version)
    for day in asked:
        rows = project(lake.scan(DATASET, [day]), version)
        broken = list(_sentences(rows, rules, version)) if rules else []
        if not broken and _is_still(lake, day, sha256[day]):
            remember_conforming(sha256[day], version)
        for sentence in broken:
            yield Refusal(month, day, sentence, _mend(day))


def _rules_left(lake: Lake, days: Sequence[dt.date], version: str) -> tuple[AnyRule, ...]:
    """What each of ``days`` has to be asked by itself: all rules where one is broken over all days at once.

    Nearly always none is. Then only those of totals are left, which rows of another day may satisfy.
    """
    if days and any(_broken(project(lake.scan(DATASET, days), version), version, by_row=True)):
        return rules_for(version)
    return rules_of_totals(version)


def _is_of_one_value(lake: Lake, passed: PassedMonth, version: str) -> bool:
    """Whether no day of the month contradicts another; remembered, for each destination asks."""
    together = (passed.month, tuple(passed.span.items()), version, _TheSameRules(rules_for(version)))
    if together in _conforming:
        return True
    if differs(
        {day: _of_month(lake.scan(DATASET, [day]), passed.month) for day in passed.held.days}, version
    ):
        return False
    require_same(lake, passed)
    _conforming.add(together)
    return True


def _of_month(rows: pl.LazyFrame, month: str) -> pl.LazyFrame:
    return rows.filter(billing_month_of_row() == month)


def _is_still(lake: Lake, day: dt.date, sha256: str) -> bool:
    """Whether a day is what it was before it was asked."""
    record = lake.record(DATASET, day)
    return record is not None and record.sha256 == sha256


def rules_of_totals(version: str) -> tuple[AnyRule, ...]:
    """The blocking rules that rows of another day may satisfy: they have to be asked of each day by itself."""
    return tuple(r for r in rules_for(version) if isinstance(r, TotalsRule) and r.blocking)


def conforms(sha256: str, version: str) -> bool:
    """Whether this process has found that a day with that digest breaks no blocking rule of a FOCUS version."""
    return (sha256, version, _TheSameRules(rules_for(version))) in _conforming


def remember_conforming(sha256: str, version: str) -> None:
    """Say that a day of ``focus_cost_and_usage`` with that digest breaks none."""
    _conforming.add((sha256, version, _TheSameRules(rules_for(version))))


class _TheSameRules:
    """Rules, equal to none but the same ones: others may have their names and ask otherwise."""

    def __init__(self, rules: tuple[AnyRule, ...]) -> None:
        self._rules = rules
        self._ids = tuple(map(id, rules))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _TheSameRules) and self._ids == other._ids

    def __hash__(self) -> int:
        return hash(self._ids)


def _broken(rows: pl.LazyFrame, version: str, *, by_row: bool = False) -> Iterator[str]:
    rules = [rule for rule in rules_for(version) if not (by_row and isinstance(rule, TotalsRule))]
    return _sentences(rows, rules, version)


def _sentences(rows: pl.LazyFrame, rules: Sequence[AnyRule], version: str) -> Iterator[str]:
    for result in check(rows, rules, examples=1).blocking:
        first = "".join(
            f" First: row {example.get('row')}, charge {example.get('x_ChargeId')}"
            for example in result.examples
        )
        yield f"FOCUS {version}: {result.sentence.rstrip('.')}.{first}"


def _mend(day: dt.date) -> str:
    return f"Mend the cause (configuration or usage), then materialize the day again. {materialize(day)}"
