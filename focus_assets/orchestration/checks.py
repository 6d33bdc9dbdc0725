"""Asset checks: what stops a run before wrong data leaves it, and what a person should look at.

What belongs here: how results become check evaluations. What does not: what is checked (``stage_controls``,
``focus.rules``). A check looks at each day of its run and names the failing ones in its metadata. It is not
partitioned: Dagster records a partition only where the run has a single one, so after a range run every day
read "skipped" under a red bar, and an evaluation for each day and check costs 14 ms (a minute for a year).
Gating never relies on Dagster's record of a check, the export asks again.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import polars as pl

from focus_assets.billing.datasets import INVOICE_DETAILS
from focus_assets.billing_stages import imported_day
from focus_assets.delivery.gate import remember_conforming
from focus_assets.focus.project import project
from focus_assets.focus.rules import AnyRule, CheckReport, check, rules_for
from focus_assets.lake import Lake
from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.metadata import markdown_table
from focus_assets.orchestration.partitions import day
from focus_assets.orchestration.resources import LakeResource
from focus_assets.stage_controls import BILLING_CONTROLS, CONTROLS

FOCUS = "focus_cost_and_usage"
SHOWN_ROWS = 20
_DAYS_AT_A_TIME = 2
"""A day's questions are many and small: another day fills the gaps between them."""

_CONTROL_DESCRIPTIONS = {
    "raw_rows_and_quantities": (
        "Nothing is lost or added on the way from raw_usage: rows and quantity of each meter are the same."
    ),
    "charge_totals": "The total of each charge is what normalized_usage holds for it.",
    "every_window_accounted_for": (
        "All usage is either rated by a charge or listed here with a reason: never both, never neither."
    ),
    "consumed_quantities": "The FOCUS rows of each charge consume what usage_totals says it used.",
    "prices_of_charges": "Every SkuPriceId of a FOCUS row, and its unit prices, are in this price list.",
    "invoice_lines_reconcile": (
        "Each line of an invoice is what rating its charge at once comes to, and what its FOCUS rows add up to; of "
        "OpenMeter's invoices each line, and the total, is what their FOCUS rows add up to by usage and prices."
    ),
    "customers_of_charges": "The FOCUS rows of each charge belong to its customer and to nobody else.",
    "credits_not_overdrawn": "No credit has paid more than it is worth, counted from the day it took effect.",
    "closed_rows_unchanged": (
        "Rows of closed billing periods are those that were kept, and with their corrections what the day comes to now."
    ),
    "every_fee_charged_once": "Each flat fee that is due by the catalog is one FOCUS row, and no other row is a fee.",
}


@dataclass
class Finding:
    """What one check found over the days of a run."""

    days: list[dt.date] = field(default_factory=list)
    rows: int = 0
    examples: list[pl.DataFrame] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def add(self, on: dt.date, rows: int, examples: pl.DataFrame) -> None:
        """Count ``rows`` offending rows of a day and keep some of them to show."""
        if not rows:
            return
        if on not in self.days:
            self.days.append(on)
        self.rows += rows
        if sum(frame.height for frame in self.examples) < SHOWN_ROWS:
            self.examples.append(examples.head(SHOWN_ROWS).select(pl.lit(f"{on:%F}").alias("day"), pl.all()))

    def join(self, other: "Finding") -> None:
        """Add what was found on later days."""
        self.days += other.days
        self.rows += other.rows
        self.examples += other.examples if sum(frame.height for frame in self.examples) < SHOWN_ROWS else []
        self.notes |= other.notes

    def sentence(self) -> str | None:
        """How many rows on which days; nothing where none was found."""
        if not self.rows:
            return None
        days = f"{len(self.days)} days, the first is" if len(self.days) > 1 else "one day,"
        return f"{self.rows:,} {'row' if self.rows == 1 else 'rows'} on {days} {self.days[0]:%F}."

    def metadata(self, asked: Sequence[dt.date]) -> dict[str, Any]:
        """Days checked, days failing and the first offending rows."""
        shown: dict[str, Any] = {"days_checked": len(asked), "failing_rows": self.rows, **self.notes}
        if asked:
            shown["days"] = f"{asked[0]:%F} to {asked[-1]:%F}"
        if self.days:
            shown["failing_days"] = ", ".join(f"{on:%F}" for on in self.days)
        if self.examples:
            frame = pl.concat(self.examples, how="diagonal_relaxed").head(SHOWN_ROWS)
            shown["first_rows"] = dg.MetadataValue.md(markdown_table(frame))
        return shown


@dataclass(frozen=True)
class DayCheck:
    """A check of one asset: looks at each day of a run and adds what it finds."""

    name: str
    asset: str
    description: str
    blocking: bool
    look: Callable[[Lake, dt.date, Finding], None]


def day_checks() -> list[DayCheck]:
    """Every check of the usage chain."""
    return [
        DayCheck(
            "no_event_quarantined",
            "quarantined_events",
            "Every event could be metered. A warning: what could not is kept, with its reason.",
            False,
            _no_rows("quarantined_events"),
        ),
        DayCheck(
            "every_event_has_a_meter",
            "raw_usage",
            "Every event has a type that some meter counts. A warning: a mistyped event_type bills nothing.",
            False,
            _unmetered_events,
        ),
        DayCheck(
            "usage_has_a_charge",
            "unbilled_usage",
            "All usage belongs to a customer with a rate card for it. A warning: the rest is kept, with its reason.",
            False,
            _no_rows("unbilled_usage"),
        ),
        DayCheck(
            "no_usage_came_too_late",
            INVOICE_DETAILS.name,
            "No usage came after an invoice's quantity was frozen. A warning: OpenMeter never bills it.",
            False,
            _late_usage,
        ),
        *(
            DayCheck(name, asset, _CONTROL_DESCRIPTIONS[name], True, _control(control))
            for name, (asset, control) in {**CONTROLS, **BILLING_CONTROLS}.items()
        ),
        *_conformance_checks(),
    ]


def asset_checks() -> list[dg.AssetChecksDefinition]:
    """One check step for each asset, so that a day is read once for all that is asked of it."""
    by_asset: dict[str, list[DayCheck]] = {}
    for each in day_checks():
        by_asset.setdefault(each.asset, []).append(each)
    return [_check_step(asset, checks) for asset, checks in by_asset.items()]


def _check_step(asset: str, checks: list[DayCheck]) -> dg.AssetChecksDefinition:
    by_name = {each.name: each for each in checks}
    specs = [
        dg.AssetCheckSpec(each.name, asset=asset, description=each.description, blocking=each.blocking)
        for each in checks
    ]

    @dg.multi_asset_check(name=f"{asset}_checks", specs=specs, can_subset=True)
    def look(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
        keys = sorted(context.selected_asset_check_keys)
        findings = {key: Finding() for key in keys}
        with explained(), ThreadPoolExecutor(_DAYS_AT_A_TIME) as pool:
            opened = lake.open()
            asked = _days_of_run(context.run.tags) or opened.days(asset)

            def looked_at(on: dt.date) -> dict[dg.AssetCheckKey, Finding]:
                found = {key: Finding() for key in keys}
                for key in keys:
                    by_name[key.name].look(opened, on, found[key])
                return found

            for of_day in pool.map(looked_at, asked):
                for key, found in of_day.items():
                    findings[key].join(found)
        for key in keys:
            each, finding = by_name[key.name], findings[key]
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=not finding.rows,
                severity=dg.AssetCheckSeverity.ERROR if each.blocking else dg.AssetCheckSeverity.WARN,
                description=finding.sentence(),
                metadata=finding.metadata(asked),
            )

    return look


def _unmetered_events(lake: Lake, on: dt.date, finding: Finding) -> None:
    record = lake.record("raw_usage", on)
    events = record.facts.get("events", {}) if record else {}
    unmetered = events.get("unmetered", 0)
    finding.add(
        on, unmetered, pl.DataFrame({"events_read": [events.get("read", 0)], "unmetered": [unmetered]})
    )


def _late_usage(lake: Lake, on: dt.date, finding: Finding) -> None:
    late = imported_day(lake, on).filter(pl.col("note").is_not_null())
    finding.add(on, late.height, late.select("InvoiceId", "InvoiceDetailId", "charged", "note"))


def _days_of_run(tags: Mapping[str, str]) -> list[dt.date]:
    """The run's partitions; none where a person runs a check on its own."""
    first = tags.get("dagster/asset_partition_range_start", tags.get("dagster/partition"))
    last = tags.get("dagster/asset_partition_range_end", first)
    if first is None or last is None:
        return []
    span = (day(last) - day(first)).days
    return [day(first) + dt.timedelta(days=n) for n in range(span + 1)]


def _no_rows(dataset: str) -> Callable[[Lake, dt.date, Finding], None]:
    def look(lake: Lake, on: dt.date, finding: Finding) -> None:
        record = lake.record(dataset, on)
        if record is None or record.rows:
            rows = lake.scan(dataset, [on]).head(SHOWN_ROWS).collect()
            finding.add(on, record.rows if record else 0, rows)

    return look


def _control(control: Callable[[Lake, dt.date], pl.DataFrame]) -> Callable[[Lake, dt.date, Finding], None]:
    def look(lake: Lake, on: dt.date, finding: Finding) -> None:
        differing = control(lake, on)
        finding.add(on, differing.height, differing)

    return look


class _Conformance:
    """The rules of one FOCUS version over the days of a run; the checks of a run share each day's report."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._reports: dict[str, CheckReport] = {}
        """Of the days that are being looked at; a range would otherwise hold the examples of all its days."""

    def looking_at(self, belongs: Callable[[AnyRule], bool]) -> Callable[[Lake, dt.date, Finding], None]:
        """A look at the results of those rules that belong to one check."""

        def look(lake: Lake, on: dt.date, finding: Finding) -> None:
            for result in self._report(lake, on).violated:
                if belongs(result.rule):
                    examples = pl.DataFrame([{"rule": result.rule.id, **row} for row in result.examples])
                    finding.add(on, result.violations, examples)
                    finding.notes[result.rule.id] = f"{result.rule.sentence} ({result.rule.section})"

        return look

    def _report(self, lake: Lake, on: dt.date) -> CheckReport:
        record = lake.record(FOCUS, on)
        frame = lake.scan(FOCUS, [on])
        key = f"{on} {record.sha256 if record else None}"
        report = self._reports.get(key)
        if report is None:
            report = check(project(frame, self.version), rules_for(self.version))
            if record is not None and not report.blocking and lake.record(FOCUS, on) == record:
                remember_conforming(record.sha256, self.version)
            kept = list(self._reports.items())[1 - _DAYS_AT_A_TIME :]
            self._reports = {**dict(kept), key: report}
        return report


def _conformance_checks() -> list[DayCheck]:
    version = "1.2"
    conformance = _Conformance(version)

    def group(rule: AnyRule) -> str:
        if not rule.blocking:
            return "focus_recommendations"
        subject, _, name = rule.id.partition(".")
        if subject in ("presence", "types", "nulls", "values"):
            return "required_dimensions"
        if subject == "costs" and name.endswith("_negative"):
            return "unit_prices_not_negative"
        if subject == "costs" and name.endswith("_product"):
            return "price_times_quantity_is_cost"
        return "focus_conformance"

    descriptions = {
        "required_dimensions": f"Every column that FOCUS {version} requires is there, set and valid on every row.",
        "unit_prices_not_negative": "No unit price is negative. Costs may be: credits and reversals are.",
        "price_times_quantity_is_cost": "List and contracted unit price times quantity give the cost, to 18 places.",
        "focus_conformance": f"Every other rule of FOCUS {version} that guards against wrong data holds.",
        "focus_recommendations": f"What FOCUS {version} recommends is followed. A warning.",
    }
    return [
        DayCheck(
            name,
            FOCUS,
            description,
            name != "focus_recommendations",
            conformance.looking_at(lambda rule, name=name: group(rule) == name),  # type: ignore[misc]
        )
        for name, description in descriptions.items()
    ]
