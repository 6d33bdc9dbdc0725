"""A company of two customers and three meters, small enough that its costs can be worked out by hand."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import yaml

from focus_assets.definitions import build_definitions
from focus_assets.delivery import entries, verify
from focus_assets.lake import Lake
from focus_assets.orchestration.assets.focus_export import export_key
from focus_assets.orchestration.in_process import Chain, Outcome
from focus_assets.orchestration.jobs import EXPORT_JOB
from focus_assets.settings import Settings
from focus_assets.settings.access import credential_provider, open_lake, open_place
from focus_assets_tests.orchestration.instance_in_memory import instance_in_memory

START = dt.date(2026, 8, 1)


def configuration() -> dict[str, Any]:
    """Tokens in two graduated tiers (0.10 up to 100, then 0.05), requests at 0.01, the peak of seats at 5."""
    return {
        "start_date": START,
        "as_of": dt.datetime(2026, 8, 11, tzinfo=dt.UTC),
        "defaults": {
            "provider_name": "Test Vendor",
            "dimensions": {"ServiceName": "Test Service", "ServiceCategory": "Other", "RegionId": None},
        },
        "source": {"cloudevents": {"url": "events"}},
        "lake": {"url": "lake"},
        "sql": {"path": "focus.duckdb"},
        "meters": [
            {
                "slug": "tokens",
                "event_type": "prompt",
                "aggregation": "SUM",
                "value_property": "$.tokens",
                "group_by": {"model": "$.model"},
                "unit": "Tokens",
            },
            {"slug": "requests", "event_type": "prompt", "aggregation": "COUNT", "unit": "Requests"},
            {
                "slug": "seats",
                "event_type": "seats",
                "aggregation": "MAX",
                "value_property": "$.seats",
                "unit": "Seats",
            },
        ],
        "features": [{"key": key, "meter": key} for key in ("tokens", "requests", "seats")],
        "customers": [{"key": "ann", "subject_keys": ["ann-1", "ann-2"]}, {"key": "bob"}],
        "plans": [
            {
                "key": "basic",
                "name": "Basic",
                "rate_cards": [
                    {
                        "feature": "tokens",
                        "price": {
                            "type": "tiered",
                            "mode": "graduated",
                            "tiers": [
                                {"up_to_amount": "100", "unit_price": "0.10"},
                                {"unit_price": "0.05"},
                            ],
                        },
                    },
                    {"feature": "requests", "price": {"type": "unit", "amount": "0.01"}},
                    {"feature": "seats", "price": {"type": "unit", "amount": "5"}},
                ],
            }
        ],
        "subscriptions": [
            {"customer": "ann", "plan": "basic", "active_from": "2026-08-01T00:00:00Z"},
            {"customer": "bob", "plan": "basic", "active_from": "2026-08-03T13:22:07Z"},
        ],
        "destinations": [
            {"name": "everyone", "url": "bucket/everyone", "customers": "all"},
            {"name": "only-bob", "url": "bucket/bob", "customers": ["bob"]},
        ],
    }


@dataclass
class Company:
    """A company in a folder, with an instance of its own."""

    root: Path
    configuration: dict[str, Any] = field(default_factory=configuration)
    instance: dg.DagsterInstance = field(default_factory=instance_in_memory)
    _events: int = 0

    @property
    def settings(self) -> Settings:
        """The configuration as it is now, through the file."""
        path = self.root / "focus.yaml"
        path.write_text(yaml.safe_dump(self.configuration, sort_keys=False))
        (self.root / "events").mkdir(exist_ok=True)
        return Settings.load(path)

    @property
    def lake(self) -> Lake:
        url = self.configuration["lake"]["url"]
        return open_lake(self.settings) if "://" in url else Lake.open(str(self.root / url))

    @property
    def chain(self) -> Chain:
        settings = self.settings
        return Chain(build_definitions(settings), settings, self.instance, self.lake)

    def event(self, time: str, subject: str, type: str = "prompt", **data: Any) -> None:
        """Add an event of ``time`` to the file of its day."""
        self._events += 1
        line = {
            "specversion": "1.0",
            "id": f"event-{self._events}",
            "source": "test",
            "type": type,
            "subject": subject,
            "time": time,
            "data": data,
        }
        self.line(f"{time[:10]}.ndjson", json.dumps(line))

    def line(self, file: str, text: str) -> None:
        """Add a line, whatever it is, to an event file."""
        path = self.root / "events" / file
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as opened:
            opened.write(text + "\n")

    def usage_of_ten_days(self) -> None:
        """ann: 30 tokens a day in two subjects; bob: 20; a seat more every other day."""
        for number in range(10):
            day = START + dt.timedelta(days=number)
            self.event(f"{day}T08:15:00Z", "ann-1", tokens=10, model="small")
            self.event(f"{day}T09:15:00Z", "ann-2", tokens=20, model="large")
            self.event(f"{day}T15:00:00Z", "bob", tokens=20, model="small")
            self.event(f"{day}T00:00:00Z", "ann-1", type="seats", seats=3 + number // 2)

    def run(self, first: str, last: str | None = None) -> Outcome:
        """Materialize days, in this process, checks included."""
        outcome = Outcome()
        chain = self.chain
        days = chain.days_between(dt.date.fromisoformat(first), dt.date.fromisoformat(last or first))
        chain.run(days, outcome)
        return outcome

    def run_and_deliver(self, first: str, last: str | None = None) -> Outcome:
        outcome = self.run(first, last)
        self.chain.deliver(outcome)
        return outcome

    def deliver(self) -> Outcome:
        """Everything that is due, as the demo delivers it."""
        outcome = Outcome()
        self.chain.deliver(outcome)
        return outcome

    def tick(self, cursor: str | None = None) -> Any:
        """One evaluation of the export sensor, as the daemon does it."""
        return tick(self.chain, cursor)

    def export_by_hand(self, month: str, *destinations: str) -> dg.ExecuteInProcessResult:
        """The export job as a person launches it, past the sensor."""
        return self.chain.definitions.resolve_job_def(EXPORT_JOB).execute_in_process(
            instance=self.instance,
            partition_key=f"{month}-01",
            asset_selection=[export_key(name) for name in destinations] or None,
            raise_on_error=False,
        )

    def rewrite(self, dataset: str, on: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        """Put other rows in the place of a day's, with a record that agrees: what no digest gives away."""
        each = dt.date.fromisoformat(on)
        record = self.lake.record(dataset, each)
        assert record is not None
        rows = change(self.lake.scan(dataset, [each]).collect())
        self.lake.write(dataset, each, rows.lazy(), inputs=record.inputs, facts=lambda _: record.facts)

    def delivered(self) -> dict[str, list[str]]:
        """The ledger: what came of the deliveries to each destination, in order."""
        found: dict[str, list[str]] = {}
        for name, result in entries(self.lake).select("destination", "result").iter_rows():
            found.setdefault(name, []).append(result)
        return found

    def rows_delivered(self, destination: str) -> pl.DataFrame:
        """The rows a recipient finds by the manifests alone, after checking them."""
        place = self.settings.destination(destination)
        checked = verify(place.url, options=place.options, credential_provider=credential_provider(place.s3))
        assert [check.problems for check in checked] == [()] * len(checked)
        files = [file.path for check in checked if check.manifest for file in check.manifest.files]
        store = open_place(place)
        return pl.concat(pl.read_parquet(store.get(path)) for path in files)

    def cost(self, customer: str, first: str, last: str | None = None) -> Decimal:
        """What FOCUS rows bill a customer over days."""
        start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last or first)
        days = [start + dt.timedelta(days=n) for n in range((end - start).days + 1)]
        rows = self.lake.scan("focus_cost_and_usage", days).filter(pl.col("x_CustomerKey") == customer)
        total = rows.select(pl.col("BilledCost").sum()).collect().item()
        assert isinstance(total, Decimal)
        return total


def tick(chain: Chain, cursor: str | None = None) -> Any:
    """One evaluation of the export sensor of ``chain`` on its instance."""
    definitions = chain.definitions
    with dg.build_sensor_context(
        instance=chain.instance,
        cursor=cursor,
        definitions=definitions,
        resources={"lake": (definitions.resources or {})["lake"]},
    ) as context:
        return definitions.resolve_sensor_def("focus_export_sensor").evaluate_tick(context)


def why(result: dg.ExecuteInProcessResult) -> str:
    """What the failing steps of a run say."""
    assert not result.success
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return "\n".join(
        (failure.user_failure_data and failure.user_failure_data.description) or failure.error_display_string
        for failure in failures
    )
