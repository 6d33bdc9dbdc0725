"""A company whose invoices OpenMeter makes: what each customer used, and its invoices with figures worked out by hand.

Weeks from 1 August 2026. Tokens cost 0.0333 up to 100 with a fee of 0.555, then 0.0123; a request 0.0107; support 9.99
a week in advance; a job 1.00, less 20 percent, 100 at most; pings are free and on no invoice.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from focus_assets.cloudevents import CloudEventsSource
from focus_assets_tests.openmeter_server.app import Company as Server
from focus_assets_tests.openmeter_server.app import application
from focus_assets_tests.openmeter_server.documents import Document
from focus_assets_tests.openmeter_server.invoices import detailed, invoice, line, totals
from focus_assets_tests.openmeter_server.metering import MeteredEvents
from focus_assets_tests.openmeter_server.running import served
from focus_assets_tests.openmeter_server.validation import Validated
from focus_assets_tests.orchestration.company import START, Company

WEEK = ("2026-08-01T00:00:00Z", "2026-08-08T00:00:00Z")
NEXT_WEEK = ("2026-08-08T00:00:00Z", "2026-08-15T00:00:00Z")
SPLIT = "2026-08-04T13:45:00Z"

_TIERS = {
    "type": "tiered",
    "mode": "graduated",
    "tiers": [
        {"up_to_amount": "100", "unit_price": "0.0333", "flat_price": "0.555"},
        {"unit_price": "0.0123"},
    ],
}
_REQUESTS = {"feature": "requests", "price": {"type": "unit", "amount": "0.0107"}}
_SUPPORT = {"key": "support", "price": {"type": "flat", "amount": "9.99"}}
_JOBS = {
    "feature": "jobs",
    "price": {"type": "unit", "amount": "1", "maximum_amount": "100"},
    "discounts": {"percentage": "20"},
}
_PINGS = {"feature": "pings", "price": {"type": "unit", "amount": "0"}}
PLANS = {
    "full": [{"feature": "tokens", "price": _TIERS}, _REQUESTS, _SUPPORT, _PINGS],
    "metered": [_REQUESTS],
    "split": [{"feature": "tokens", "price": _TIERS}, _JOBS],
}
CUSTOMERS = {
    "ann": "full",
    "bob": "metered",
    "cy": "metered",
    "dee": "metered",
    "eve": "split",
    "fay": "metered",
    "gil": "metered",
}

USAGE: Sequence[tuple[str, str, str, int]] = (
    ("2026-08-01T12:00:00Z", "ann", "tokens", 61),
    ("2026-08-03T12:00:00Z", "ann", "tokens", 67),
    ("2026-08-07T12:00:00Z", "ann", "tokens", 11),
    ("2026-08-02T12:00:00Z", "ann", "requests", 33),
    ("2026-08-05T12:00:00Z", "ann", "requests", 8),
    ("2026-08-05T12:00:00Z", "ann", "pings", 9),
    ("2026-08-02T12:00:00Z", "bob", "requests", 150),
    ("2026-08-06T12:00:00Z", "bob", "requests", 50),
    ("2026-08-03T12:00:00Z", "cy", "requests", 10),
    ("2026-08-04T12:00:00Z", "dee", "requests", 10),
    ("2026-08-02T12:00:00Z", "eve", "tokens", 70),
    ("2026-08-04T13:30:00Z", "eve", "tokens", 10),
    ("2026-08-04T13:50:00Z", "eve", "tokens", 15),
    ("2026-08-06T12:00:00Z", "eve", "tokens", 35),
    ("2026-08-03T12:00:00Z", "eve", "jobs", 80),
    ("2026-08-05T12:00:00Z", "eve", "jobs", 80),
    ("2026-08-02T12:00:00Z", "fay", "requests", 30),
    ("2026-08-07T23:30:00Z", "fay", "requests", 7),
    ("2026-08-02T12:00:00Z", "gil", "requests", 5),
)


def configuration() -> dict[str, Any]:
    """The company as ``focus.yaml`` would have it, from which the server is made."""
    return {
        "start_date": START,
        "as_of": dt.datetime(2026, 8, 9, tzinfo=dt.UTC),
        "defaults": {
            "provider_name": "Test Vendor",
            "dimensions": {"ServiceName": "Test Service", "ServiceCategory": "Other", "RegionId": None},
        },
        "source": {"cloudevents": {"url": "events"}},
        "lake": {"url": "lake"},
        "sql": {"path": "focus.duckdb"},
        "meters": [
            {
                "slug": key,
                "event_type": key,
                "aggregation": "SUM",
                "value_property": "$.n",
                "unit": key.title(),
            }
            for key in ("tokens", "requests", "jobs", "pings")
        ],
        "features": [{"key": key, "meter": key} for key in ("tokens", "requests", "jobs", "pings")],
        "customers": [{"key": key} for key in CUSTOMERS],
        "plans": [
            {"key": key, "billing_cadence": "P1W", "rate_cards": cards} for key, cards in PLANS.items()
        ],
        "subscriptions": [
            {"customer": customer, "plan": plan, "active_from": WEEK[0]}
            for customer, plan in CUSTOMERS.items()
        ],
    }


def unit(number: str, amount: str, **of: Any) -> Document:
    """The one detailed line of requests: 0.0107 each, rounded."""
    return detailed("Requests: usage in period", number, "0.0107", totals(amount, **of))


def requests(customer: str, number: str, amount: str, **of: Any) -> Document:
    """A week's requests of a customer."""
    return line(
        "Requests",
        WEEK,
        [unit(number, amount, **of)],
        subscription=f"{customer}/{CUSTOMERS[customer]}",
        item="requests",
        metered=number,
    )


def support(period: tuple[str, str], made: str) -> Document:
    return line(
        "Support",
        period,
        [detailed("Support", "1", "9.99", totals("9.99"))],
        subscription="ann/full",
        item="support",
        price={"type": "flat", "amount": "9.99", "paymentTerm": "in_advance"},
        billing=period,
        made=made,
    )


def plain() -> list[Document]:
    """Ann's: support of the first week when it begins, then the week's usage with support of the second.

    139 tokens: 100 x 0.0333 = 3.33, the fee 0.555 = 0.56, 39 x 0.0123 = 0.4797 = 0.48. 41 requests: 0.4387 = 0.44.
    """
    tokens = line(
        "Tokens",
        WEEK,
        [
            detailed("Tokens: usage price for tier 1", "100", "0.0333", totals("3.33")),
            detailed("Tokens: flat price for tier 1", "1", "0.555", totals("0.56")),
            detailed("Tokens: usage price for tier 2", "39", "0.0123", totals("0.48")),
        ],
        subscription="ann/full",
        item="tokens",
        metered="139",
    )
    first, second = "2026-08-01T00:05:00Z", "2026-08-08T01:00:00Z"
    return [
        invoice("ANN-0001", "ann", [support(WEEK, first)], made=first),
        invoice("ANN-0002", "ann", [tokens, requests("ann", "41", "0.44"), support(NEXT_WEEK, second)]),
    ]


def taxed() -> Document:
    """Bob's: 200 x 0.0107 = 2.14, 20 percent of it 0.428 = 0.43, so 2.57."""
    # Times of documents are as fine as the server's clock.
    finer = {"issuedAt": "2026-08-08T01:00:01.123Z", "updatedAt": "2026-08-08T01:00:02.456Z"}
    return invoice("BOB-0001", "bob", [requests("bob", "200", "2.14", tax="0.43")]) | finer


def by_hand() -> Document:
    """Cy's: 10 x 0.0107 = 0.107 = 0.11, and a workshop of 250 with 20 percent tax, which somebody added by hand."""
    workshop = line(
        "Workshop",
        ("2026-08-05T00:00:00Z", "2026-08-06T00:00:00Z"),
        by_hand=True,
        of=totals("250", tax="50"),
        metered="1",
    )
    return invoice("CY-0001", "cy", [requests("cy", "10", "0.11"), workshop])


def voided() -> Document:
    """Dee's: 10 x 0.0107 = 0.11, which nobody has to pay."""
    made = [requests("dee", "10", "0.11")]
    return invoice("DEE-0001", "dee", made, status="voided", voidedAt="2026-08-08T02:00:00.789Z")


def split() -> list[Document]:
    """Eve's: one invoice up to Tuesday 13:45, one of the rest.

    80 tokens: 2.664 = 2.66 and the fee 0.56; then 50 more: 20 x 0.0333 = 0.666 = 0.67, 30 x 0.0123 = 0.369 = 0.37.
    80 jobs less 20 percent: 64. Then 80 more: 64, of which 20 are left below the maximum of 100 when the gross 80 of
    the first invoice count: 80 - 16 - 44 = 20.
    """

    def part(
        name: str, item: str, period: tuple[str, str], metered: str, before: str, *of: Document
    ) -> Document:
        return line(name, period, of, subscription="eve/split", item=item, metered=metered, before=before)

    first, second = (WEEK[0], SPLIT), (SPLIT, WEEK[1])
    price = "0.0333"
    return [
        invoice(
            "EVE-0001",
            "eve",
            [
                part(
                    "Tokens",
                    "tokens",
                    first,
                    "80",
                    "0",
                    detailed("Tokens: usage price for tier 1", "80", price, totals("2.66")),
                    detailed("Tokens: flat price for tier 1", "1", "0.555", totals("0.56")),
                ),
                part(
                    "Jobs",
                    "jobs",
                    first,
                    "80",
                    "0",
                    detailed("Jobs: usage in period", "80", "1", totals("80", discounts="16")),
                ),
            ],
            made="2026-08-04T13:46:00Z",
        ),
        invoice(
            "EVE-0002",
            "eve",
            [
                part(
                    "Tokens",
                    "tokens",
                    second,
                    "50",
                    "80",
                    detailed("Tokens: usage price for tier 1", "20", price, totals("0.67")),
                    detailed("Tokens: usage price for tier 2", "30", "0.0123", totals("0.37")),
                ),
                part(
                    "Jobs",
                    "jobs",
                    second,
                    "80",
                    "80",
                    detailed("Jobs: usage in period", "80", "1", totals("80", discounts="60")),
                ),
            ],
        ),
    ]


def late() -> Document:
    """Fay's: 30 x 0.0107 = 0.321 = 0.32; seven more requests came after the quantity was frozen."""
    return invoice("FAY-0001", "fay", [requests("fay", "30", "0.32")])


def drafted() -> Document:
    """Gil's: 5 x 0.0107 = 0.0535 = 0.05, not issued yet."""
    return invoice("DRAFT-1", "gil", [requests("gil", "5", "0.05")], status="draft")


def invoices() -> list[Document]:
    """Every invoice."""
    return [*plain(), taxed(), by_hand(), voided(), *split(), late(), drafted()]


@contextmanager
def invoicing(root: Path, documents: Sequence[Document]) -> Iterator[tuple[Company, Server]]:
    """The company on a real server that has these invoices, and the server, whose invoices may be replaced."""
    by_files = Company(root / "files", configuration())
    by_files.root.mkdir(parents=True)
    for time, customer, kind, number in USAGE:
        by_files.event(time, customer, kind, n=number)
    settings = by_files.settings
    days = [START + dt.timedelta(days=n) for n in range(9)]
    with (
        duckdb.connect(config={"threads": 1}) as connection,
        CloudEventsSource(settings.source.cloudevents, connection).open(
            days, settings.catalog.meters
        ) as files,
    ):
        server = Server(settings.catalog, MeteredEvents(files.events), invoices=list(documents))
        with served(Validated(application(server))) as url:
            own = copy.deepcopy(by_files.configuration)
            units = {meter["slug"]: {"unit": meter["unit"]} for meter in own["meters"]}
            for key in ("meters", "features", "customers", "plans", "subscriptions"):
                del own[key]
            own["source"] = {"openmeter": {"url": url, "meters": units}}
            company = Company(root / "server", own)
            company.root.mkdir(parents=True)
            yield company, server
