"""A company of two customers and three meters, small enough that its costs can be worked out by hand."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import yaml

from focus_assets.definitions import build_definitions
from focus_assets.lake import Lake
from focus_assets.orchestration.in_process import Chain, Outcome
from focus_assets.settings import Settings

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
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)
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
        return Lake.open(str(self.root / "lake"))

    @property
    def chain(self) -> Chain:
        settings = self.settings
        return Chain(build_definitions(settings), settings, self.instance, self.lake)

    def event(self, time: str, subject: str, type: str = "prompt", **data: Any) -> None:  # noqa: A002
        """Add an event of ``time`` to the file of its day."""
        self._events += 1
        folder = self.root / "events"
        folder.mkdir(exist_ok=True)
        line = {
            "specversion": "1.0",
            "id": f"event-{self._events}",
            "source": "test",
            "type": type,
            "subject": subject,
            "time": time,
            "data": data,
        }
        with (folder / f"{time[:10]}.ndjson").open("a") as file:
            file.write(json.dumps(line) + "\n")

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

    def cost(self, customer: str, first: str, last: str | None = None) -> Decimal:
        """What FOCUS rows bill a customer over days."""
        start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last or first)
        days = [start + dt.timedelta(days=n) for n in range((end - start).days + 1)]
        rows = self.lake.scan("focus_cost_and_usage", days).filter(pl.col("x_CustomerKey") == customer)
        total = rows.select(pl.col("BilledCost").sum()).collect().item()
        assert isinstance(total, Decimal)
        return total
