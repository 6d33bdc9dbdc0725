"""What a run of the whole chain came to, in a few lines and two small tables."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.console import Group
from rich.table import Table
from rich.text import Text

from focus_assets.decimals import currency_digits
from focus_assets.lake import day_ranges

if TYPE_CHECKING:
    from focus_assets.lake import PartitionRecord
    from focus_assets.orchestration.in_process import Chain, Outcome

_SHOWN_CUSTOMERS = 20
_SHOWN_CHANGES = 12


def summary(chain: Chain, outcome: Outcome) -> Group:
    """Days, rows, cost by service and customer, checks and deliveries, and where things lie."""
    days = chain.lake.days("focus_cost_and_usage")
    parts: list[Any] = [_headline(outcome)]
    if outcome.orphans:
        parts.append(f"Took over from {len(outcome.orphans)} run(s) whose process had ended.")
    if outcome.withheld:
        held = day_ranges(outcome.withheld)
        parts.append(f"Not delivered: the months of {held}, which wait for a run that passes its checks.")
    if days:
        rows = chain.lake.scan("focus_cost_and_usage", days)
        parts += [
            _costs(rows, "Cost by service", pl.col("ServiceName")),
            _costs(rows, "Cost by customer", pl.col("x_CustomerKey"), most=_SHOWN_CUSTOMERS),
        ]
    parts += [_facts(chain, outcome, len(days)), _places(chain)]
    return Group(*(part if not isinstance(part, str) else Text(part) for part in parts))


def restated(chain: Chain) -> Group:
    """What changed in days that had been delivered: a table by day, customer and SKU."""
    from focus_assets.delivery.restatements import restatements

    found = restatements(chain.lake)
    if found.is_empty():
        return Group(Text("Nothing that was delivered has changed since."))
    table = Table(title="Restated since it was delivered", title_justify="left", header_style="bold")
    for name in ("Day", "Customer"):
        table.add_column(name, no_wrap=True)
    table.add_column("SKU")
    for name in ("Quantity", "Cost"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Why")
    shown = found.sort(pl.col("billed_cost_change").abs(), descending=True, maintain_order=True)
    for row in shown.head(_SHOWN_CHANGES).iter_rows(named=True):
        digits = max(currency_digits(row["currency"]), 4)
        table.add_row(
            f"{row['charge_date']:%F}",
            row["customer"],
            row["SkuId"] or "",
            f"{row['quantity_change'].normalize():+,f} {row['unit']}" if row["unit"] else "",
            f"{row['billed_cost_change']:+,.{digits}f} {row['currency']}",
            f"{row['reason']}{_booked(row)}",
        )
    more = found.height - _SHOWN_CHANGES
    parts: list[Any] = [table]
    if more > 0:
        parts.append(Text(f"… {more} more: focus-assets restatements"))
    return Group(*parts)


def _booked(row: dict[str, Any]) -> str:
    return f"; a correction, billed in {row['billing_month']}" if row["corrected_invoice"] else ""


def _headline(outcome: Outcome) -> Text:
    if outcome.nothing_changed:
        return Text("Nothing changed: the lake and every delivery are up to date.", style="bold green")
    return Text(f"Done: {outcome.changed} partitions written.", style="bold green")


def _costs(rows: pl.LazyFrame, title: str, key: pl.Expr, most: int | None = None) -> Table:
    found = (
        rows.group_by(key.alias("key"), "BillingCurrency")
        .agg(pl.col("BilledCost").sum().alias("cost"), pl.len().alias("rows"))
        .sort(["cost", "key"], descending=[True, False])
        .collect()
    )
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column(title.removeprefix("Cost by ").capitalize())
    table.add_column("Rows", justify="right")
    table.add_column("Billed cost", justify="right")
    for name, currency, cost, count in found.head(most or found.height).iter_rows():
        table.add_row(str(name), f"{count:,}", _money(cost, currency))
    if most is not None and found.height > most:
        table.add_row(f"… {found.height - most} more", "", "")
    return table


def _money(cost: Decimal, currency: str) -> str:
    return f"{cost:,.{currency_digits(currency)}f} {currency}"


def _facts(chain: Chain, outcome: Outcome, days: int) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("Days", f"{days} ({len(set(outcome.days_run))} materialized now)")
    table.add_row("Events", _events(_records(chain, "raw_usage")) + _outside(chain))
    table.add_row("FOCUS rows", f"{sum(r.rows for r in _records(chain, 'focus_cost_and_usage')):,}")
    unbilled = sum(r.rows for r in _records(chain, "unbilled_usage"))
    table.add_row("Usage rows unbilled", f"{unbilled:,} (each with its reason, in unbilled_usage)")
    if outcome.checks:
        table.add_row("Checks", _checks(outcome))
    delivered = [d for d in outcome.deliveries if d["result"] != "unchanged"]
    files = sum(d["files"] for d in delivered)
    table.add_row("Delivered now", f"{_count(files, 'file')} in {_count(len(delivered), 'delivery')}")
    return table


def _records(chain: Chain, dataset: str) -> list[PartitionRecord]:
    found = [chain.lake.record(dataset, day) for day in chain.lake.days(dataset)]
    return [record for record in found if record is not None]


def _events(raw: list[PartitionRecord]) -> str:
    """What became of every event of the days; :func:`_outside` counts the others."""
    counts: Counter[str] = Counter()
    for record in raw:
        counts.update(record.facts.get("events", {}))
    if not counts:
        return "read from a server"
    parts = [f"{counts['read']:,} read", f"{counts['metered']:,} metered"]
    parts += [
        f"{counts[name]:,} {what}"
        for name, what in {
            "duplicates": "doubled",
            "quarantined": "quarantined with the reason",
            "unmetered": "of a type that no meter counts",
        }.items()
        if counts[name]
    ]
    return ", ".join(parts)


def _outside(chain: Chain) -> str:
    """Events of days that are no partition: before start_date, or not over yet."""
    if chain.settings.source.openmeter is not None:
        return ""
    from focus_assets.cloudevents.file_days import remembered

    start, days = chain.settings.start_date, chain.all_days()
    rows: Counter[str] = Counter()
    for _, found in remembered(chain.lake.store, start).files.values():
        for day, events in found.items():
            if day < start:
                rows[f"before start_date ({start:%F})"] += events.rows
            elif not days or day > days[-1]:
                rows["of days that are not over yet"] += events.rows
    return "".join(f"; besides {count:,} {what}" for what, count in sorted(rows.items()))


def _checks(outcome: Outcome) -> str:
    """By check, not by run: a check of five runs is one check."""
    failed = {check.check_name for check in outcome.checks if not check.passed}
    names = {(str(check.asset_key), check.check_name) for check in outcome.checks}
    passed = f"{len(names) - len(failed)} of {len(names)} passed"
    return passed + (f"; warnings to look at: {', '.join(sorted(failed))}" if failed else "")


def _count(number: int, what: str) -> str:
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number} {what if number == 1 else plural}"


def _places(chain: Chain) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("Lake", _near(chain.lake.url))
    for destination in chain.settings.destinations:
        table.add_row(f"Bucket of {destination.name}", _near(destination.url))
    table.add_row("SQL views", _near(str(chain.settings.sql_path)))
    return table


def next_steps(chain: Chain, config: Path | None) -> str:
    """Three commands to try, each on a line of its own so that it can be copied."""
    own = f" --config {_near(str(config))}" if config is not None and _is_own(config) else ""
    query = "select ServiceName, sum(BilledCost) from focus_1_2 group by 1"
    destination = chain.settings.destinations[0].url if chain.settings.destinations else "URL"
    return (
        "\nTry next (in .venv/bin, if that is not active):\n"
        f'  focus-assets sql{own} "{query}"\n'
        f"  focus-assets ui{own}\n"
        f"  focus-assets verify {_near(destination)}"
    )


def _is_own(config: Path) -> bool:
    return config.absolute() != Path("data/focus.yaml").absolute()


def _near(path: str) -> str:
    if "://" in path:
        return path
    absolute = Path(path).absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)
