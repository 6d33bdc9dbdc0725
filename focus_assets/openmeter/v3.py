"""The v3 interface: meters, meter queries, customers, features, subscriptions and events.

What belongs here: paths, spelling and reading of v3. What does not: what is asked (``extraction``, ``snapshot``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote

import polars as pl

from focus_assets.openmeter import pages, wire_v3
from focus_assets.openmeter.answers import Coded, Columns, proven, stored_values
from focus_assets.openmeter.questions import CUSTOMER, SUBJECT, Question, instant_text
from focus_assets.openmeter.quick import columns_v3
from focus_assets.openmeter.transport import Transport
from focus_assets.openmeter.wire import read


class V3:
    """One server's v3 interface; ``root`` is what stands before ``/openmeter``, such as ``/api/v3``."""

    name: Final = "v3"

    def __init__(self, transport: Transport, root: str = "/api/v3") -> None:
        self._transport = transport
        self._root = f"{root}/openmeter"

    async def meters(self) -> list[wire_v3.Meter]:
        """Every meter that is not deleted."""
        return [meter for meter in await self._list("meters", wire_v3.Meter) if meter.deleted_at is None]

    async def meters_by_slug(self) -> dict[str, wire_v3.Meter]:
        """Every meter that is not deleted, by its slug; its id names it in a query."""
        return {meter.key: meter for meter in await self.meters()}

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

    async def plan(self, plan_id: str) -> wire_v3.Plan:
        """A version of a plan by its id."""
        path = f"{self._root}/plans/{quote(plan_id, safe='')}"
        return read(wire_v3.Plan, await self._transport.get(path), f"GET {path}")

    async def query(self, meter_id: str, question: Question) -> pl.DataFrame:
        """The answer to one question, proven (:data:`ANSWER`). Raises OpenMeterError."""
        path = f"{self._root}/meters/{meter_id}/query"
        answer = await self._transport.ask(path, _asked(question))
        request = f"POST {path} ({question.text()})"
        columns = columns_v3(answer.content, question.dimensions)
        if columns is None:
            rows = read(wire_v3.QueryResult, answer.document(), request).data
            names = question.dimensions
            columns = Columns(
                stored_values(question, request, [row.value for row in rows]),
                Coded.of((row.start.isoformat(), row.end.isoformat()) for row in rows),
                Coded.of(
                    (row.dimensions.get(SUBJECT), tuple(map(row.dimensions.get, names))) for row in rows
                ),
            )
        return proven(question, request, columns)

    async def events_stored(
        self, start: dt.datetime, end: dt.datetime, *, before: dt.datetime
    ) -> AsyncIterator[wire_v3.StoredEvent]:
        """Events by when they were stored, in [start, end), whose own time is ``before`` an instant; oldest first."""
        path = f"{self._root}/events"
        asked = [
            ("filter[stored_at][gte]", instant_text(start)),
            ("filter[stored_at][lt]", instant_text(end)),
            ("filter[time][lt]", instant_text(before)),
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
        filters[CUSTOMER] = {"in": [question.customer_id]}
    grouped = [*((SUBJECT,) if question.groups_subjects else ()), *question.dimensions]
    asked: dict[str, Any] = {"from": instant_text(question.start), "to": instant_text(question.end)}
    if question.window:
        asked["granularity"] = str(question.window)
    if grouped:
        asked["group_by_dimensions"] = grouped
    if filters:
        asked["filters"] = {"dimensions": filters}
    return asked
