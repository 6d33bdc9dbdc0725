"""The usage chain under Dagster beside the same work without it.

Both sides turn the same event files into the same lake, in range runs of 31 days: every asset, every check, the
same atomic writes with digests. The side with Dagster is what a backfill does: in process, SQLite instance,
IO manager, metadata, previews and charts. The other calls the same functions in a loop. Their lakes must be
equal, digest by digest.

A day is 4,992 events of 104 subjects of 52 customers, each in an hour and one of two models. Four meters (two
sums, a count and a peak) make 20,020 rows of ``raw_usage`` of them: 24 hours x 104 subjects x 2 models x 4
meters, 4 of 100 of them in graduated tiers, and a peak to date for each customer.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml

from benchmarks.harness import Benchmark

START = dt.date(2025, 1, 1)
DAY = dt.timedelta(days=1)
DAYS_PER_RUN = 31
CUSTOMERS = 52
SUBJECTS = [(f"cust-{c:02}", f"cust-{c:02}/team-{t}") for c in range(CUSTOMERS) for t in "ab"]
MODELS = ("large", "small")
METERS = ("tokens-in", "tokens-out", "requests", "peak")


def configuration(days: int) -> dict[str, Any]:
    """52 customers on one plan with monthly periods, four meters, no destinations."""
    tiers = [
        {"up_to_amount": "1000000", "unit_price": "0.000003"},
        {"up_to_amount": "10000000", "unit_price": "0.0000025"},
        {"unit_price": "0.000002"},
    ]
    dimensions = {"model": "$.model"}
    return {
        "start_date": START,
        "as_of": dt.datetime.combine(START + days * DAY, dt.time(), dt.UTC),
        "defaults": {
            "provider_name": "Benchmark",
            "dimensions": {
                "ServiceName": "Models",
                "ServiceCategory": "AI and Machine Learning",
                "RegionId": None,
            },
        },
        "days_per_run": DAYS_PER_RUN,
        "source": {"cloudevents": {"url": "events"}},
        "meters": [
            _meter("tokens-in", "SUM", "$.in", dimensions, "Tokens"),
            _meter("tokens-out", "SUM", "$.out", dimensions, "Tokens"),
            _meter("requests", "COUNT", None, dimensions, "Requests"),
            _meter("peak", "MAX", "$.ms", dimensions, "Milliseconds"),
        ],
        "features": [{"key": key, "meter": key} for key in METERS],
        "customers": [
            {"key": key, "subject_keys": [f"{key}/team-{team}" for team in "ab"]}
            for key in sorted({key for key, _ in SUBJECTS})
        ],
        "plans": [
            {
                "key": "plan",
                "name": "Plan",
                "rate_cards": [
                    {
                        "feature": "tokens-in",
                        "price": {"type": "tiered", "mode": "graduated", "tiers": tiers},
                    },
                    {"feature": "tokens-out", "price": {"type": "unit", "amount": "0.00001"}},
                    {"feature": "requests", "price": {"type": "unit", "amount": "0.002"}},
                    {"feature": "peak", "price": {"type": "unit", "amount": "0.01"}},
                ],
            }
        ],
        "subscriptions": [
            {"customer": f"cust-{c:02}", "plan": "plan", "active_from": f"{START}T00:00:00Z"}
            for c in range(CUSTOMERS)
        ],
    }


def _meter(slug: str, aggregation: str, value: str | None, dimensions: Any, unit: str) -> dict[str, Any]:
    found = {
        "slug": slug,
        "event_type": "prompt",
        "aggregation": aggregation,
        "group_by": dimensions,
        "unit": unit,
    }
    return found if value is None else {**found, "value_property": value}


def prepare(folder: Path, days: int) -> int:
    """Write a file of events for each day; returns how many rows of raw usage they make."""
    (folder / "events").mkdir()
    for number in range(days):
        day = START + number * DAY
        random = Random(number)
        with (folder / "events" / f"{day}.ndjson").open("w") as file:
            file.writelines(_events(day, random))
    (folder / "focus.yaml").write_text(yaml.safe_dump(configuration(days), sort_keys=False))
    windows = 24 * len(SUBJECTS) * len(MODELS) * len(METERS)
    return days * (windows + CUSTOMERS)


def _events(day: dt.date, random: Random) -> Iterator[str]:
    for hour in range(24):
        for _, subject in SUBJECTS:
            for model in MODELS:
                time = f"{day}T{hour:02}:{random.randrange(60):02}:{random.randrange(60):02}Z"
                data = {
                    "model": model,
                    "in": random.randrange(1, 20_000),
                    "out": random.randrange(1, 4_000),
                    "ms": random.randrange(100, 60_000),
                }
                event = {
                    "specversion": "1.0",
                    "id": f"{day}/{hour}/{subject}/{model}",
                    "source": "benchmark",
                    "type": "prompt",
                    "subject": subject,
                    "time": time,
                    "data": data,
                }
                yield json.dumps(event) + "\n"


def with_dagster(given: Path, own: Path) -> str:
    """Range runs of the chain's job, as ``focus-assets materialize`` runs them."""
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    from focus_assets.definitions import build_definitions
    from focus_assets.orchestration.in_process import Chain, Outcome
    from focus_assets.orchestration.instance import local_instance

    settings = _settings(given, own)
    os.environ.pop("DAGSTER_HOME", None)
    with local_instance(settings) as instance:
        chain = Chain(build_definitions(settings), settings, instance, _lake(settings))
        days, outcome = chain.all_days(), Outcome()
        with chain.lake.writer("benchmark"):
            chain.run(days, outcome)
    failed = [check.check_name for check in outcome.checks if not check.passed]
    return _answer(chain.lake, days, failed)


def without_dagster(given: Path, own: Path) -> str:
    """The same stages, writes, control totals and rules in a loop."""
    from focus_assets.orchestration.in_process import ranges

    settings = _settings(given, own)
    lake = _lake(settings)
    days = [START + n * DAY for n in range((settings.now().date() - START).days)]
    failed: list[str] = []
    with lake.writer("benchmark"):
        for first, last in ranges(days, settings.days_per_run):
            run = [day for day in days if first <= day <= last]
            for name, looks in _stages(settings, lake, run):
                failed += [name for day in run if any(look(day) for look in looks)]
    return _answer(lake, days, failed)


def _stages(
    settings: Any, lake: Any, days: Sequence[dt.date]
) -> Iterator[tuple[str, list[Callable[[dt.date], bool]]]]:
    """Write dataset after dataset over ``days``; after each, what has to be looked at."""
    import duckdb

    from focus_assets import billing_stages, chain, cost_stages, usage_source
    from focus_assets.chain import Upstream
    from focus_assets.focus.project import project
    from focus_assets.focus.rules import check, rules_for
    from focus_assets.stage_controls import BILLING_CONTROLS, CONTROLS

    def write(dataset: str, outputs: Any) -> Upstream:
        for output in outputs:
            lake.write(dataset, output.day, output.frame, inputs=output.inputs, facts=output.facts)
        return Upstream(lake, dataset, days)

    def looks(dataset: str) -> list[Callable[[dt.date], bool]]:
        controls = [
            control for asset, control in {**CONTROLS, **BILLING_CONTROLS}.values() if asset == dataset
        ]
        return [lambda day, control=control: bool(control(lake, day).height) for control in controls]  # type: ignore[misc]

    def empty(dataset: str) -> Callable[[dt.date], bool]:
        return lambda day: lake.record(dataset, day).rows > 0

    def breaks_a_rule(day: dt.date) -> bool:
        return bool(
            check(project(lake.scan("focus_cost_and_usage", [day]), "1.2"), rules_for("1.2")).violated
        )

    close, terms = billing_stages.period_close(settings), settings.billing
    catalog = write("catalog", chain.catalog_days(settings.catalog, days))
    with contextlib.closing(
        duckdb.connect(
            ":memory:",
            config={"memory_limit": settings.duckdb.memory_limit, "threads": settings.duckdb.threads},
        )
    ) as connection:
        slices = chain.slices_of_days(catalog, days, settings.start_date, assume_zero=False)
        with usage_source.opened(settings, connection, catalog, slices) as opened:
            write("event_keys", chain.event_keys_days(opened, days))
            seen = usage_source.seen_before(settings, lake)
            raw = write("raw_usage", chain.raw_usage_days(opened, catalog, slices, seen))
            write("quarantined_events", chain.quarantined_events_days(opened, days))
    yield "quarantined_events", [empty("quarantined_events")]
    normalized = write("normalized_usage", chain.normalized_usage_days(raw, catalog))
    yield "normalized_usage", looks("normalized_usage")
    totals = write("usage_totals", chain.usage_totals_days(normalized, catalog))
    yield "usage_totals", looks("usage_totals")
    write("unbilled_usage", chain.unbilled_usage_days(normalized, catalog))
    yield "unbilled_usage", [*looks("unbilled_usage"), empty("unbilled_usage")]
    write(
        "focus_cost_and_usage",
        cost_stages.focus_cost_and_usage_days(normalized, totals, catalog, settings.start_date, close),
    )
    yield "focus_cost_and_usage", [*looks("focus_cost_and_usage"), breaks_a_rule]
    focus = Upstream(lake, "focus_cost_and_usage", days)
    write("focus_price_list", billing_stages.focus_price_list_days(focus, catalog))
    yield "focus_price_list", looks("focus_price_list")
    write("focus_billing_period", billing_stages.focus_billing_period_days(catalog, close))
    write("focus_invoice_detail", billing_stages.focus_invoice_detail_days(focus, catalog, close, terms))
    yield "focus_invoice_detail", looks("focus_invoice_detail")
    write("closed_periods", billing_stages.closed_period_days(focus, catalog, close))
    write("focus_contract_commitment", billing_stages.focus_contract_commitment_days(catalog, close, terms))


def _settings(given: Path, own: Path) -> Any:
    from focus_assets.settings import Settings

    settings = Settings.load(given / "focus.yaml")
    lake = settings.lake.model_copy(update={"url": str(own / "lake")})
    return settings.model_copy(update={"lake": lake, "sql_path": own / "focus.duckdb"})


def _lake(settings: Any) -> Any:
    from focus_assets.lake import Lake

    return Lake.open(settings.lake.url)


def _answer(lake: Any, days: Sequence[dt.date], failed: Sequence[str]) -> str:
    """Which checks failed, and a digest over every record of the lake."""
    total = hashlib.sha256()
    for dataset in ("catalog", "event_keys", "raw_usage", "quarantined_events"):
        _digest(total, lake, dataset, days)
    for dataset in (
        "normalized_usage",
        "usage_totals",
        "unbilled_usage",
        "focus_cost_and_usage",
        "focus_price_list",
        "focus_billing_period",
        "focus_invoice_detail",
        "closed_periods",
        "focus_contract_commitment",
    ):
        _digest(total, lake, dataset, days)
    return f"failed: {sorted(failed)}, lake: {total.hexdigest()}"


def _digest(total: Any, lake: Any, dataset: str, days: Sequence[dt.date]) -> None:
    for day in days:
        total.update(lake.record(dataset, day).to_json())


BENCHMARK = Benchmark(
    name="chain",
    question="What does Dagster cost? The whole chain over a year in range runs, with it and without it.",
    unit="days of 20,020 usage rows",
    size=365,
    prepare=prepare,
    sides={"without Dagster": without_dagster, "with Dagster": with_dagster},
    packages=("dagster", "polars", "duckdb", "pyarrow"),
)
