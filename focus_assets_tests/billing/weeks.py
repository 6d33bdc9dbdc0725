"""A company that is billed by the week, computed stage by stage into a lake: small enough to work out by hand."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from focus_assets import billing_stages, chain, cost_stages
from focus_assets.billing.close import PeriodClose
from focus_assets.catalog.snapshot import Catalog
from focus_assets.chain import DayOutput, Upstream
from focus_assets.datasets import NORMALIZED_USAGE
from focus_assets.issued_instants import issued_instants
from focus_assets.lake import Lake
from focus_assets.settings import BillingSettings, CommitmentSettings
from focus_assets_tests.billing.computed_lakes import ComputedLakes, Files, after, files

START = dt.date(2026, 8, 1)
AFTER = dt.datetime(2026, 8, 11, tzinfo=dt.UTC)
"""The week of 1 August is over and closed, that of 8 August is open."""

BEFORE = dt.datetime(2026, 8, 10, 23, 59, 59, tzinfo=dt.UTC)
"""The week of 1 August is over, but not closed yet."""

TIERS = {
    "type": "tiered",
    "mode": "graduated",
    "tiers": [
        {"up_to_amount": "100", "unit_price": "0.0333", "flat_price": "0.555"},
        {"unit_price": "0.0123"},
    ],
}


def price(amount: str, **limits: str) -> dict[str, Any]:
    return {"type": "unit", "amount": amount, **limits}


def configuration(**changes: Any) -> dict[str, Any]:
    """Tokens in two tiers with a fee, requests at 0.0107 less ten percent; Ann from the start, Bob in mid-week."""
    return {
        "defaults": {
            "provider_name": "Test Vendor",
            "invoice_issuer_name": "Test Vendor Inc.",
            "dimensions": {"ServiceName": "Test Service", "ServiceCategory": "Other", "RegionId": None},
        },
        "meters": [
            {
                "slug": "tokens",
                "event_type": "prompt",
                "aggregation": "SUM",
                "value_property": "$.tokens",
                "group_by": {"model": "$.model"},
                "sku_dimensions": ["model"],
                "unit": "Tokens",
            },
            {"slug": "requests", "event_type": "prompt", "aggregation": "COUNT", "unit": "Requests"},
        ],
        "features": [{"key": key, "meter": key} for key in ("tokens", "requests")],
        "customers": [
            {"key": "ann"},
            {"key": "bob", "dimensions": {"InvoiceIssuerName": "Test Vendor Europe"}},
        ],
        "plans": [
            {
                "key": "basic",
                "billing_cadence": "P1W",
                "rate_cards": [
                    {"feature": "tokens", "price": TIERS},
                    {
                        "feature": "requests",
                        "price": price("0.0107"),
                        "discounts": {"percentage": "10"},
                    },
                ],
            }
        ],
        "subscriptions": [
            {"customer": "ann", "plan": "basic", "active_from": "2026-08-01T00:00:00Z"},
            {
                "customer": "bob",
                "plan": "basic",
                "active_from": "2026-08-04T00:00:00Z",
                "billing_anchor": "2026-08-01T00:00:00Z",
            },
        ],
        **changes,
    }


_LAKES = ComputedLakes()


@dataclass
class Weeks:
    """Ten days of the company in a lake; ``usage`` is (day of August, customer, meter, model, quantity)."""

    root: Path
    usage: Sequence[tuple[int, str, str, str | None, str]] = (
        (1, "ann", "tokens", "large", "61"),
        (3, "ann", "tokens", "large", "60"),
        (3, "ann", "tokens", "small", "7"),
        (7, "ann", "tokens", "small", "11"),
        (2, "ann", "requests", None, "33"),
        (5, "ann", "requests", None, "8"),
        (7, "bob", "requests", None, "3"),
        (8, "ann", "tokens", "large", "5"),
    )
    catalog: dict[str, Any] = field(default_factory=configuration)
    as_of: dt.datetime = AFTER
    close_after_days: int | None = 3
    start: dt.date = START
    terms: BillingSettings = field(
        default_factory=lambda: BillingSettings(contract_commitments=CommitmentSettings())
    )
    others: bool = False
    """Price list, billing periods and contract commitments too, from which nothing else is computed."""

    def __post_init__(self) -> None:
        self.lake = Lake.open(str(self.root))
        self._state, self._left = "", Files()

    @property
    def close(self) -> PeriodClose:
        days = self.terms.close_after_days
        return PeriodClose(self.as_of, self.close_after_days, self.start, without_invoice_after_days=days)

    def compute(self, first: int = 1, last: int = 10, *, anew: bool = False) -> Weeks:
        """Days of August, every stage that others rest on.

        What was computed from nothing by the same steps before is taken from there, but for ``anew``: where a test
        has changed how it is computed.
        """
        found = files(self.root)
        if anew or (found and found != self._left):
            self._compute(first, last)
            return self
        self._state = after(self._state if found else "", self._input(first, last))
        if not _LAKES.give(self._state, self.root):
            self._compute(first, last)
            _LAKES.keep(self._state, self.root)
        self._left = files(self.root)
        return self

    def _input(self, first: int, last: int) -> str:
        terms = self.terms.model_dump_json()
        return repr(
            (
                self.catalog,
                list(self.usage),
                self.as_of,
                self.close_after_days,
                self.start,
                terms,
                self.others,
                first,
                last,
            )
        )

    def _compute(self, first: int, last: int) -> None:
        with self.lake.writer("these tests"):
            self._compute_days(first, last)

    def _compute_days(self, first: int, last: int) -> None:
        days = [dt.date(2026, 8, n) for n in range(first, last + 1)]
        lake, close = self.lake, self.close
        configured = Catalog.model_validate(self.catalog)
        snapshots = chain.catalog_days(configured, days, issued_instants(lake))
        catalog = self._write("catalog", days, snapshots)
        usage = self._write(NORMALIZED_USAGE.name, days, (self._normalized(day) for day in days))
        totals = self._write("usage_totals", days, chain.usage_totals_days(usage, catalog))
        focus = self._write(
            "focus_cost_and_usage",
            days,
            cost_stages.focus_cost_and_usage_days(
                usage,
                totals,
                catalog,
                self.start,
                close,
                self.terms.late_usage or "rebilled",
                self.terms.contract_commitments,
            ),
        )
        if self.others:
            self._write("focus_price_list", days, billing_stages.focus_price_list_days(focus, catalog))
            self._write(
                "focus_billing_period", days, billing_stages.focus_billing_period_days(catalog, close)
            )
            commitments = billing_stages.focus_contract_commitment_days(catalog, close, self.terms)
            self._write("focus_contract_commitment", days, commitments)
        details = billing_stages.focus_invoice_detail_days(focus, catalog, close, self.terms)
        self._write("focus_invoice_detail", days, details)
        self._write("closed_periods", days, billing_stages.closed_period_days(focus, catalog, close))
        assert lake.days("focus_cost_and_usage")

    def rows(self, dataset: str = "focus_cost_and_usage") -> pl.DataFrame:
        """Every row of a dataset."""
        return self.lake.scan(dataset, self.lake.days(dataset)).collect()

    def line(self, line: str) -> pl.DataFrame:
        """The charges that are on a line of an invoice."""
        return self.rows().filter(pl.col("InvoiceDetailId") == line)

    def rewrite(self, dataset: str, n: int, rows: pl.DataFrame) -> None:
        """Put other rows in the place of a day's, as if they had been computed so."""
        record = self.lake.record(dataset, dt.date(2026, 8, n))
        assert record is not None
        self.lake.write(dataset, record.day, rows.lazy(), inputs=record.inputs, facts=lambda _: record.facts)

    def reconciled(self) -> pl.DataFrame:
        """The invoice lines of every day."""
        days = self.lake.days("focus_invoice_detail")
        return pl.concat([billing_stages.reconciled_day(self.lake, day) for day in days])

    def _write(self, dataset: str, days: list[dt.date], outputs: Iterable[DayOutput]) -> Upstream:
        for output in outputs:
            self.lake.write(dataset, output.day, output.frame, inputs=output.inputs, facts=output.facts)
        return Upstream(self.lake, dataset, days)

    def _normalized(self, day: dt.date) -> DayOutput:
        noon = dt.datetime.combine(day, dt.time(12), dt.UTC)
        rows = [
            {
                "charge_date": day,
                "meter": meter,
                "kind": "window",
                "window_from": noon,
                "window_to": noon + dt.timedelta(hours=1),
                "subject": customer,
                "customer": customer,
                "charge_id": None,
                "dimensions": json.dumps({"model": model} if model else {}, separators=(",", ":")),
                "quantity": Decimal(quantity),
                "unit": "Tokens" if meter == "tokens" else "Requests",
            }
            for n, customer, meter, model, quantity in self.usage
            if dt.date(2026, 8, n) == day
        ]
        frame = pl.LazyFrame(rows, schema=NORMALIZED_USAGE.schema).sort(NORMALIZED_USAGE.order)
        return DayOutput(day, frame)


@dataclass
class EveryDataset(Weeks):
    """With those that only some tests look at."""

    others: bool = True
