"""The v1 interface: for servers without v3, and for what v3 lacks (native prices, every version of an item).

What belongs here: paths, spelling and reading of v1. What does not: what is asked (``extraction``, ``snapshot``).
v1's CSV is never used: it prints six decimals.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final
from urllib.parse import quote

import polars as pl

from focus_assets.openmeter import pages, wire_invoices_v1, wire_v1
from focus_assets.openmeter.answers import Coded, Columns, proven, stored_values
from focus_assets.openmeter.errors import MalformedResponse
from focus_assets.openmeter.questions import SUBJECT, Question, instant_text
from focus_assets.openmeter.quick import columns_v1
from focus_assets.openmeter.transport import Parameters, Transport
from focus_assets.openmeter.wire import read

_EVENTS: Final = 100
_EVENT_REQUESTS: Final = 200
"""How often events are asked for at most, before there are too many."""

_INVOICES: Final = 100
"""Invoices to a page: with their lines they are large."""

_MADE: Final = (
    "draft",
    "issuing",
    "issued",
    "payment_processing",
    "overdue",
    "paid",
    "uncollectible",
    "voided",
)

_ROOT: Final = "/api/v1"


class V1:
    """One server's v1 interface."""

    name: Final = "v1"

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def meters(self) -> list[wire_v1.Meter]:
        """Every meter that is not deleted."""
        path = f"{_ROOT}/meters"
        entries = await pages.bare_v1(self._transport, path)
        found = [read(wire_v1.Meter, entry, f"GET {path} [{i}]") for i, entry in enumerate(entries)]
        return [meter for meter in found if meter.deleted_at is None]

    async def meters_by_slug(self) -> dict[str, wire_v1.Meter]:
        """Every meter that is not deleted, by its slug; its id names it in a query."""
        return {meter.slug: meter for meter in await self.meters()}

    async def customers(self) -> list[wire_v1.Customer]:
        """Every customer that is not deleted."""
        found = await self._list("customers", wire_v1.Customer)
        return [customer for customer in found if customer.deleted_at is None]

    async def features(self) -> list[wire_v1.Feature]:
        """Every feature, also archived ones: running subscriptions may still sell them."""
        return await self._list("features", wire_v1.Feature, [("includeArchived", "true")])

    async def subscription_ids(self) -> list[str]:
        """Every subscription of every customer that is not deleted; v1 lists them by customer."""
        found: list[str] = []
        for customer in await self.customers():
            listed = await self._list(f"customers/{customer.id}/subscriptions", wire_v1.ListedSubscription)
            found += [subscription.id for subscription in listed if subscription.deleted_at is None]
        return found

    async def subscription(self, subscription_id: str) -> wire_v1.Subscription:
        """A subscription with every version of its items."""
        path = f"{_ROOT}/subscriptions/{quote(subscription_id, safe='')}"
        return read(wire_v1.Subscription, await self._transport.get(path), f"GET {path}")

    async def plans(self) -> list[wire_v1.Plan]:
        """Every version of every plan, with native price types."""
        return await self._list("plans", wire_v1.Plan)

    async def invoices(self, created_after: dt.datetime) -> list[wire_invoices_v1.Invoice]:
        """Every invoice made since, with its lines; not what is being gathered, which the server computes anew."""
        path = f"{_ROOT}/billing/invoices"
        asked = [
            *(("statuses", status) for status in _MADE),
            ("expand", "lines"),
            ("createdAfter", instant_text(created_after)),
        ]
        entries = await pages.numbered_v1(self._transport, path, asked, size=_INVOICES)
        # Of a hundred large documents each is known by its id, not by its place.
        return [read(wire_invoices_v1.Invoice, entry, f"GET {path} [id {entry['id']}]") for entry in entries]

    async def currencies(self) -> list[wire_v1.Currency]:
        """Every currency the server knows, with its subunits; a list without pages."""
        path = f"{_ROOT}/info/currencies"
        document = await self._transport.get(path)
        if not isinstance(document, list):
            raise MalformedResponse(f"GET {path}: the answer is no list. Nothing was written.")
        return [read(wire_v1.Currency, entry, f"GET {path} [{i}]") for i, entry in enumerate(document)]

    async def events_ingested(
        self, start: dt.datetime, end: dt.datetime, *, since: dt.datetime, before: dt.datetime
    ) -> list[wire_v1.StoredEvent] | None:
        """Events that came in [start, end) and whose own time is in [since, before); None where they are too many.

        v1 gives the newest hundred of a range and no way to go on, so a full answer is asked for again in halves,
        down to a second. It refuses a ``since`` of more than 32 days ago. Raises OpenMeterError.
        """
        waiting, found = [(start, end)] if since < before else [], list[wire_v1.StoredEvent]()
        for _ in range(_EVENT_REQUESTS):
            if not waiting:
                return found
            begin, until = waiting.pop()
            page = await self._events(begin, until, since, before)
            if len(page) < _EVENTS:
                found += page
                continue
            middle = (begin + (until - begin) / 2).replace(microsecond=0)
            if not begin < middle < until:
                return None
            waiting += [(begin, middle), (middle, until)]
        return None if waiting else found

    async def _events(
        self, start: dt.datetime, end: dt.datetime, since: dt.datetime, before: dt.datetime
    ) -> list[wire_v1.StoredEvent]:
        path = f"{_ROOT}/events"
        asked = [("ingestedAtFrom", start), ("ingestedAtTo", end), ("from", since), ("to", before)]
        parameters = [*((name, instant_text(instant)) for name, instant in asked), ("limit", str(_EVENTS))]
        document = await self._transport.get(path, parameters)
        if not isinstance(document, list):
            raise MalformedResponse(f"GET {path}: the answer is no list. Nothing was written.")
        return [read(wire_v1.StoredEvent, entry, f"GET {path} [{i}]") for i, entry in enumerate(document)]

    async def query(self, meter_id: str, question: Question) -> pl.DataFrame:
        """The answer to one question, proven (:data:`ANSWER`). Raises OpenMeterError."""
        path = f"{_ROOT}/meters/{meter_id}/query"
        answer = await self._transport.ask(path, _asked(question))
        request = f"POST {path} ({question.text()})"
        columns = columns_v1(answer.content, question.dimensions)
        if columns is None:
            rows = read(wire_v1.QueryResult, answer.document(), request).data
            names = question.dimensions
            columns = Columns(
                stored_values(question, request, [row.value for row in rows]),
                Coded.of((row.window_start.isoformat(), row.window_end.isoformat()) for row in rows),
                Coded.of((row.subject, tuple(map((row.group_by or {}).get, names))) for row in rows),
            )
        return proven(question, request, columns)

    async def _list(self, what: str, model: type[pages.M], parameters: Parameters = ()) -> list[pages.M]:
        path = f"{_ROOT}/{what}"
        entries = await pages.numbered_v1(self._transport, path, parameters)
        return [read(model, entry, f"GET {path} [{i}]") for i, entry in enumerate(entries)]


def _asked(question: Question) -> dict[str, Any]:
    grouped = [*((SUBJECT,) if question.groups_subjects else ()), *question.dimensions]
    asked: dict[str, Any] = {"from": instant_text(question.start), "to": instant_text(question.end)}
    if question.window:
        asked["windowSize"] = question.window.name
    if grouped:
        asked["groupBy"] = grouped
    if question.subjects:
        asked["subject"] = sorted(question.subjects)
    if question.customer_id:
        asked["filterCustomerId"] = [question.customer_id]
    if question.filters:
        asked["advancedMeterGroupByFilters"] = {
            key: {"$in": sorted(texts)} for key, texts in question.filters.items()
        }
    return asked
