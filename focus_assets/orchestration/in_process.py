"""The chain and its deliveries in this process, on this machine's instance: the demo, backfills by hand, tests.

What belongs here: which days have to run, in which runs, and what came of it. What does not: how it looks on a
terminal (``commands``). The same jobs, checks and export sensor run that the daemon runs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation, DagsterInstance
from dagster._core.errors import DagsterAssetCheckFailedError

from focus_assets.billing.datasets import BILLING_DATASETS
from focus_assets.billing_stages import period_close, periods_closed_otherwise
from focus_assets.chain import DayOutput, catalog_days
from focus_assets.errors import FocusAssetsError
from focus_assets.issued_instants import issued_instants
from focus_assets.lake import CorruptPartition, Lake, PartitionRecord
from focus_assets.orchestration import orphans
from focus_assets.orchestration.assets.all_deliveries import deliveries_of, run_of
from focus_assets.orchestration.assets.focus_export import BILLING_MONTH
from focus_assets.orchestration.export_decisions import Position, RunState, advance
from focus_assets.orchestration.export_sensor import ask, materializations_after
from focus_assets.orchestration.io_manager import day_written
from focus_assets.orchestration.jobs import CHAIN_JOB, EXPORT_JOB
from focus_assets.orchestration.partitions import day, partition_of_month, usage_days
from focus_assets.settings import Settings
from focus_assets.signing import send_notices
from focus_assets.source_changes import source_now
from focus_assets.sql import create_views
from focus_assets.usage_source import days_invoiced_otherwise

CHAIN = (
    "catalog",
    "event_keys",
    "raw_usage",
    "quarantined_events",
    "normalized_usage",
    "usage_totals",
    "unbilled_usage",
    "focus_cost_and_usage",
    *(dataset.name for dataset in BILLING_DATASETS),
)
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_PASSES = 3
Progress = Callable[[str, dt.date], None]


class RunFailed(FocusAssetsError):
    """A run of the chain or of a delivery did not succeed; the message is that of its failing step."""


class UnknownDays(FocusAssetsError):
    """Days that are no partition: before the first day, or not over yet."""


@dataclass
class Outcome:
    """What a run of the whole chain did."""

    days_run: list[dt.date] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    checks: list[AssetCheckEvaluation] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    withheld: list[dt.date] = field(default_factory=list)
    changed: int = 0

    @property
    def nothing_changed(self) -> bool:
        """Whether no file of the lake or of a destination is another than before, and none should be."""
        return not (self.changed or self.withheld or any(d["result"] != "unchanged" for d in self.deliveries))


def chain_datasets(settings: Settings) -> tuple[str, ...]:
    """What a run of the chain writes for each day; a server tells duplicates itself and has no keys."""
    return tuple(name for name in CHAIN if name != "event_keys" or settings.source.openmeter is None)


class Chain:
    """The jobs of one configuration on one instance."""

    def __init__(
        self, definitions: dg.Definitions, settings: Settings, instance: DagsterInstance, lake: Lake
    ) -> None:
        self.definitions = definitions
        self.settings = settings
        self.datasets = chain_datasets(settings)
        self.instance = instance
        self.lake = lake

    def all_days(self) -> list[dt.date]:
        """Every whole day from ``start_date`` to now."""
        keys = usage_days(self.settings).get_partition_keys(current_time=self.settings.now())
        return [day(key) for key in keys]

    def days_to_run(self, days: Sequence[dt.date]) -> list[dt.date]:
        """Days that are missing, were made from something else than what is there now, or never passed.

        A day is up to date when its catalog and its source are as they were, the same of its billing periods have
        closed, every file of it is whole and was made from the files there are, and the run of its newest
        materialization succeeded.
        """
        passed = self._passed_days()
        records = {each: [self._record(dataset, each) for dataset in self.datasets] for each in days}
        elsewhere = self._read_from_something_else(days)
        complete = [each for each, found in records.items() if None not in found]
        stale = self._stale(complete) | self._closed_otherwise(complete)
        # A server's catalog is a snapshot that a day keeps; there is nothing to compare it with.
        configured = [] if self.settings.source.has_catalog else self._configured(days)
        catalogs = {output.day: output for output in configured}
        return [
            each
            for each in days
            if each not in passed
            or None in records[each]
            or each in stale
            or each in elsewhere
            or not self._is_whole(each, catalogs.get(each))
        ]

    def _configured(self, days: Sequence[dt.date]) -> Iterator[DayOutput]:
        return catalog_days(self.settings.catalog, days, issued_instants(self.lake))

    def run(self, days: Sequence[dt.date], outcome: Outcome, progress: Progress | None = None) -> None:
        """Materialize ``days`` with every check, in runs of at most ``days_per_run`` adjacent days."""
        before = self._digests(days)
        job = self.definitions.resolve_job_def(CHAIN_JOB)
        for first, last in ranges(days, self.settings.days_per_run):
            listening = day_written.set(progress)
            try:
                result = job.execute_in_process(
                    instance=self.instance,
                    run_config=_QUIET,
                    raise_on_error=False,
                    tags={
                        **orphans.process_tags(),
                        "dagster/asset_partition_range_start": f"{first:%F}",
                        "dagster/asset_partition_range_end": f"{last:%F}",
                    },
                )
            finally:
                day_written.reset(listening)
            outcome.runs.append(result.run_id)
            outcome.checks += result.get_asset_check_evaluations()
            _require_success(result, f"The run of {first:%F} to {last:%F}")
        outcome.days_run += days
        after = self._digests(days)
        outcome.changed += sum(after[key] != before.get(key) for key in after)

    def days_between(self, first: dt.date, last: dt.date) -> list[dt.date]:
        """The days from ``first`` to ``last``; refuses days that are no partition."""
        known = self.all_days()
        if not known or first > last or first < known[0] or last > known[-1]:
            allowed = f"{known[0]} to {known[-1]}" if known else "none, for start_date is not over yet"
            raise UnknownDays(
                f"{first} to {last} are not whole days from start_date on; allowed: {allowed}. Nothing was written."
            )
        return [each for each in known if first <= each <= last]

    def bring_up_to_date(
        self, outcome: Outcome, progress: Progress | None = None, begin: Callable[[int], None] | None = None
    ) -> None:
        """Run whatever days have to run, until none has: a day that changes makes later days stale.

        ``begin`` hears how many days are about to run.
        """
        for _ in range(_PASSES):
            days = self.days_to_run(self.all_days())
            if not days:
                # A run that was killed after its last day has left the views behind, or half made.
                if self.settings.sql_path is not None:
                    create_views(Path(self.settings.sql_path), self.lake)
                return
            if begin is not None:
                begin(len(days))
            self.run(days, outcome, progress)

    def deliver(self, outcome: Outcome) -> None:
        """Ask what the export sensor asks and run it, until nothing is due.

        Raises :class:`RunFailed` with every delivery that failed, after all were tried.
        """
        if not self.settings.destinations:
            return
        # What a run that was killed after a manifest still owes; a run that delivers sends its own.
        send_notices(self.lake, self.settings.destinations)
        job = self.definitions.resolve_job_def(EXPORT_JOB)
        position = Position()
        for _ in range(_PASSES):
            asked = ask(self.instance, self.lake, self.settings, position, at_once=True)
            position = asked.position
            outcome.withheld = sorted(asked.withheld)
            failures: list[str] = []
            for request in asked.requests:
                result = job.execute_in_process(
                    instance=self.instance,
                    run_config=_QUIET | dict(request.run_config),
                    raise_on_error=False,
                    partition_key=request.partition_key,
                    asset_selection=list(request.asset_selection or []),
                    tags={**orphans.process_tags(), **request.tags},
                )
                outcome.runs.append(result.run_id)
                outcome.deliveries += list(_deliveries(result))
                try:
                    _require_success(result, f"The delivery of {request.tags[BILLING_MONTH]}")
                except RunFailed as failed:
                    # A month that cannot be delivered does not keep the others back.
                    failures.append(str(failed))
            if failures:
                raise RunFailed("\n\n".join(failures))
            if not asked.requests:
                return

    def deliver_months(self, months: Sequence[str], destinations: Sequence[str], outcome: Outcome) -> None:
        """Deliver billing months to destinations, by name, whether something is due or not.

        Raises :class:`RunFailed` with every delivery that failed, after all were tried.
        """
        job = self.definitions.resolve_job_def(EXPORT_JOB)
        failures: list[str] = []
        for month in months:
            asked = run_of(self.settings, destinations)
            result = job.execute_in_process(
                instance=self.instance,
                run_config=_QUIET | asked["run_config"],
                raise_on_error=False,
                partition_key=partition_of_month(self.settings, month),
                asset_selection=asked["asset_selection"],
                tags={**orphans.process_tags(), BILLING_MONTH: month},
            )
            outcome.runs.append(result.run_id)
            outcome.deliveries += list(_deliveries(result))
            try:
                _require_success(result, f"The delivery of {month}")
            except RunFailed as failed:
                failures.append(str(failed))
        if failures:
            raise RunFailed("\n\n".join(failures))

    def _record(self, dataset: str, each: dt.date) -> PartitionRecord | None:
        """The record; None too where it cannot be read, for then the day has to run again."""
        try:
            return self.lake.record(dataset, each)
        except CorruptPartition:
            return None

    def _stale(self, days: Sequence[dt.date]) -> set[dt.date]:
        try:
            found = [self.lake.stale_inputs_of(dataset, days) for dataset in self.datasets]
        except CorruptPartition:
            # The day it names runs in this pass; the next pass can tell what that made stale.
            return set()
        return {each for stale in found for each, inputs in stale.items() if inputs}

    def _closed_otherwise(self, days: Sequence[dt.date]) -> set[dt.date]:
        try:
            return periods_closed_otherwise(
                self.lake, days, period_close(self.settings), self.settings.late_usage
            ) | days_invoiced_otherwise(self.settings, self.lake, days)
        except CorruptPartition:
            # As with what is stale: the next pass can tell.
            return set()

    def _read_from_something_else(self, days: Sequence[dt.date]) -> set[dt.date]:
        found = {each: record for each in days if (record := self._record("raw_usage", each)) is not None}
        # Where nothing was read yet, the run of these days reads every file; here they are only looked for.
        now = source_now(self.settings, self.lake, worth_reading=list if found else lambda files: [])
        return set(now.changed(found))

    def _is_whole(self, each: dt.date, catalog: DayOutput | None) -> bool:
        """Whether the lake has this catalog, and in a folder every file of its day as recorded.

        A kill between a file and its record leaves a pair that differs. Files of a bucket are proven when they
        are read: to fetch them all would take longer than to make them again.
        """
        proven = self.datasets if self.lake.store.local_root is not None else ("catalog",)
        try:
            for dataset in proven:
                self.lake.files(dataset, [each])
            held = self.lake.scan("catalog", [each]).collect()
        except CorruptPartition:
            return False
        return catalog is None or held.equals(catalog.frame.collect())

    def _passed_days(self) -> set[dt.date]:
        records = materializations_after(self.instance, 0)
        position, unread = advance(Position(), records)
        return {r.day for r in records if r.state is RunState.SUCCEEDED} - unread - set(position.held_back)

    def _digests(self, days: Sequence[dt.date]) -> dict[tuple[str, dt.date], str | None]:
        return {
            (dataset, each): record.sha256 if record else None
            for dataset in self.datasets
            for each in days
            for record in [self._record(dataset, each)]
        }


def ranges(days: Sequence[dt.date], longest: int) -> Iterator[tuple[dt.date, dt.date]]:
    """Adjacent days as (first, last), none longer than ``longest`` days."""
    first = last = None
    for each in sorted(days):
        if first is not None and last is not None:
            if each - last == dt.timedelta(days=1) and (each - first).days < longest:
                last = each
                continue
            yield first, last
        first = last = each
    if first is not None and last is not None:
        yield first, last


def _deliveries(result: dg.ExecuteInProcessResult) -> Iterator[dict[str, Any]]:
    for event in result.get_asset_materialization_events():
        yield from deliveries_of(event.step_materialization_data.materialization)


def _require_success(result: dg.ExecuteInProcessResult, what: str) -> None:
    if result.success:
        return
    reasons = []
    for failure in (event.step_failure_data for event in result.all_events if event.is_step_failure):
        if failure.user_failure_data is not None:
            reasons.append(failure.user_failure_data.description or "")
        elif failure.error is not None and failure.error.cls_name != DagsterAssetCheckFailedError.__name__:
            # A defect of the program: the stack is all there is to go by. Checks that failed are told below.
            reasons.append(failure.error_display_string)
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed and evaluation.blocking:
            shown = evaluation.metadata.get("failing_days")
            rows = evaluation.metadata.get("first_rows")
            reasons.append(
                f"check {evaluation.check_name} of {evaluation.asset_key.to_user_string()} failed on "
                f"{shown.value if shown else 'some day'}: {evaluation.description}\n{rows.value if rows else ''}"
            )
    raise RunFailed(f"{what} did not succeed (run {result.run_id}).\n" + "\n".join(filter(None, reasons)))
