"""The v3 interface: meters, meter queries, customers, features, subscriptions and events.

What belongs here: paths, spelling and reading of v3. What does not: what is asked (``extraction``, ``snapshot``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote

from focus_assets.openmeter import pages, wire_v3
from focus_assets.openmeter.questions import SUBJECT, Question, Row, checked_rows, instant_text
from focus_assets.openmeter.transport import Transport
from focus_assets.openmeter.wire import instant, number_text, read

_CUSTOMER: Final = "customer_id"


class V3:
    """One server's v3 interface; ``root`` is what stands before ``/openmeter``, such as ``/api/v3``."""

    name: Final = "v3"

    def __init__(self, transport: Transport, root: str = "/api/v3") -> None:
        self._transport = transport
        self._root = f"{root}/openmeter"

    async def meters(self) -> list[wire_v3.Meter]:
        """Every meter that is not deleted."""
        return [meter for meter in await self._list("meters", wire_v3.Meter) if meter.deleted_at is None]

    async def meter_ids(self) -> dict[str, str]:
        """What names a meter in a query, by its slug."""
        return {meter.key: meter.id for meter in await self.meters()}

    async def customers(self) -> list[wire_v3.Customer]:
        """Every customer that is not deleted; v3 does not list the deleted."""
        found = await self._list("customers", wire_v3.Customer)
        return [customer for customer in found if customer.deleted_at is None]

    async def features(self) -> list[wire_v3.Feature]:
        """Every feature that is neither deleted nor archived."""
        return [f for f in await self._list("features", wire_v3.Feature) if f.deleted_at is None]

    async def llm_prices(self) -> list[wire_v3.LlmPrice]:
        """What the tokens of every model known there cost, overrides included."""
        return await self._list("llm-cost/prices", wire_v3.LlmPrice)

    async def subscription_ids(self) -> list[str]:
        """Every subscription, whatever its status: a past day may hold it."""
        found = await self._list("subscriptions", wire_v3.ListedSubscription)
        return [subscription.id for subscription in found if subscription.deleted_at is None]

    async def subscription(self, subscription_id: str) -> wire_v3.Subscription:
        """A subscription with its items as they are now."""
        path = f"{self._root}/subscriptions/{quote(subscription_id, safe='')}"
        return read(wire_v3.Subscription, await self._transport.get(path), f"GET {path}")

    async def query(self, meter_id: str, question: Question) -> list[Row]:
        """The answer to one question. Raises OpenMeterError."""
        path = f"{self._root}/meters/{meter_id}/query"
        request = f"POST {path} ({question.text()})"
        document = await self._transport.ask(path, _asked(question))
        rows = _plain_rows(document)
        if rows is None:
            rows = list(map(_row, read(wire_v3.QueryResult, document, request).data))
        return checked_rows(question, request, rows)

    async def events_stored(self, start: dt.datetime, end: dt.datetime) -> AsyncIterator[wire_v3.StoredEvent]:
        """Events by when they were stored, in [start, end), the oldest first."""
        path = f"{self._root}/events"
        asked = [
            ("filter[stored_at][gte]", instant_text(start)),
            ("filter[stored_at][lt]", instant_text(end)),
            ("sort", "stored_at asc"),
        ]
        async for entry in pages.by_cursor_v3(self._transport, path, asked):
            yield read(wire_v3.StoredEvent, entry, f"GET {path}")

    async def _list(self, what: str, model: type[pages.M]) -> list[pages.M]:
        path = f"{self._root}/{what}"
        entries = await pages.numbered_v3(self._transport, path)
        return [read(model, entry, f"GET {path} [{i}]") for i, entry in enumerate(entries)]


def _asked(question: Question) -> dict[str, Any]:
    filters: dict[str, Any] = {key: {"in": sorted(texts)} for key, texts in question.filters.items()}
    if question.subjects:
        filters[SUBJECT] = {"in": sorted(question.subjects)}
    if question.customer_id:
        filters[_CUSTOMER] = {"in": [question.customer_id]}
    grouped = [*((SUBJECT,) if question.groups_subjects else ()), *question.dimensions]
    asked: dict[str, Any] = {"from": instant_text(question.start), "to": instant_text(question.end)}
    if question.window:
        asked["granularity"] = str(question.window)
    if grouped:
        asked["group_by_dimensions"] = grouped
    if filters:
        asked["filters"] = {"dimensions": filters}
    return asked


def _plain_rows(document: Any) -> list[Row] | None:
    """The rows of an answer in which every field is as it should be; None where one is not.

    Models cost three times as much, and answers have thousands of rows. What is wrong is for them to say.
    """
    try:
        if type(document["data"]) is not list:
            return None
        return [
            _plain_row(row["value"], row["from"], row["to"], row["dimensions"]) for row in document["data"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _plain_row(written: str, start: str, end: str, dimensions: dict[str, str | None]) -> Row:
    value = number_text(written)
    if value is None:
        raise ValueError
    for text in dimensions.values():
        if type(text) is not str and text is not None:
            raise ValueError
    return Row(instant(start), instant(end), dimensions.get(SUBJECT), dimensions, value)


def _row(row: wire_v3.QueryRow) -> Row:
    dimensions = {key: text or "" for key, text in row.dimensions.items() if key not in (SUBJECT, _CUSTOMER)}
    return Row(row.start, row.end, row.dimensions.get(SUBJECT), dimensions, row.value)
