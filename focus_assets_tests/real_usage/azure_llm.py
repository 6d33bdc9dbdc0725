"""The Azure LLM inference trace of 2023 as CloudEvents: 28,185 requests to two services within an hour.

Azure Public Dataset, CC-BY-4.0; Patel et al., Splitwise, ISCA 2024. Times in the files name no zone and are
taken as UTC; they are handed on with all their seven decimals.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from focus_assets_tests.real_usage.event_files import write_by_day, write_configuration

LLM_LOGS = ("AzureLLMInferenceTrace_code.csv", "AzureLLMInferenceTrace_conv.csv")
DAY = dt.date(2023, 11, 16)
REQUESTS = 28_185


def llm_requests(csvs: Sequence[Path], out_dir: Path) -> Path:
    """Write the requests as events and the configuration that prices them; returns the ``focus.yaml``.

    A request is two events at its time, its context tokens as ``input`` and its generated tokens as
    ``output``; the service (``code``, ``conv``) is subject, customer and dimension.
    """
    write_by_day(out_dir / "data" / "events", (event for path in csvs for event in _events(path)))
    return write_configuration(out_dir, _configuration(sorted(_service(path) for path in csvs)))


def tokens_oracle(csvs: Sequence[Path]) -> dict[tuple[str, str, dt.datetime], Decimal]:
    """Tokens by (service, direction, UTC hour), straight from the files with Python decimals."""
    sums: dict[tuple[str, str, dt.datetime], Decimal] = defaultdict(Decimal)
    for path in csvs:
        service = path.stem.rpartition("_")[2]
        for line in path.read_text(encoding="ascii").splitlines()[1:]:
            time, context, generated = line.split(",")
            hour = dt.datetime.strptime(time[:13], "%Y-%m-%d %H").replace(tzinfo=dt.UTC)
            sums[service, "input", hour] += Decimal(context)
            sums[service, "output", hour] += Decimal(generated)
    return dict(sums)


def _service(path: Path) -> str:
    return path.stem.split("_")[-1]


def _events(path: Path) -> Iterator[dict[str, Any]]:
    service = _service(path)
    with path.open(newline="", encoding="ascii") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            for direction, column in (("input", "ContextTokens"), ("output", "GeneratedTokens")):
                yield {
                    "specversion": "1.0",
                    "type": "llm.request",
                    "source": f"azure-llm/{service}",
                    "id": f"{number}-{direction}",
                    "subject": service,
                    "time": row["TIMESTAMP"].replace(" ", "T") + "Z",
                    "data": {"tokens": int(row[column]), "service": service, "direction": direction},
                }


def _configuration(services: list[str]) -> dict[str, Any]:
    prices = {"input": "0.000003", "output": "0.000015"}
    return {
        "start_date": DAY,
        "as_of": dt.datetime.combine(DAY, dt.time(), dt.UTC) + dt.timedelta(days=2),
        "defaults": {"provider_name": "LLM Services", "currency": "USD"},
        "meters": [
            {
                "slug": "tokens",
                "name": "Tokens",
                "event_type": "llm.request",
                "aggregation": "SUM",
                "value_property": "$.tokens",
                "group_by": {"service": "$.service", "direction": "$.direction"},
                "unit": "Tokens",
                "sku_dimensions": ["service"],
                "dimensions": {
                    "ServiceName": "Language Models",
                    "ServiceCategory": "AI and Machine Learning",
                    "ServiceSubcategory": "Generative AI",
                    "RegionId": None,
                    "RegionName": None,
                },
            }
        ],
        "features": [
            {"key": f"{direction}-tokens", "meter": "tokens", "filters": {"direction": [direction]}}
            for direction in prices
        ],
        "plans": [
            {
                "key": "tokens",
                "rate_cards": [
                    {"feature": f"{direction}-tokens", "price": {"type": "unit", "amount": price}}
                    for direction, price in prices.items()
                ],
            }
        ],
        "customers": [{"key": service, "name": service} for service in services],
        "subscriptions": [
            {
                "customer": service,
                "plan": "tokens",
                "active_from": dt.datetime.combine(DAY, dt.time(), dt.UTC),
            }
            for service in services
        ],
    }
